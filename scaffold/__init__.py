"""Scaffold a backend from a versioned template and run it, with its database, on a Docker engine."""

__version__ = "0.2.0.dev0"
