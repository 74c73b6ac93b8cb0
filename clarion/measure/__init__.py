"""What one instance takes with zero loss, measured on this machine."""
