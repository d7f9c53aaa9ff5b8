"""Bytes to a server and back: over connections of our own, or through a proxy."""
