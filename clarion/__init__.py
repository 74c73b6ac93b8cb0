"""Clarion: a NetFlow/IPFIX collector, load generator, measurement and capacity planner."""

__version__ = "0.1.0"
