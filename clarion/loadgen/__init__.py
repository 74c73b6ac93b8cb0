"""The load generator: synthetic exporters whose every record is known."""
