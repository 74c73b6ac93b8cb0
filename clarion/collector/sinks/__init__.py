"""Where flows are delivered, by URI."""
