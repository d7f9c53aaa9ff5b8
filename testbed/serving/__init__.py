"""Servers that we start ourselves."""
