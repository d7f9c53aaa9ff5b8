"""Memories of notes that refer to each other."""
