"""Memories of written procedures."""
