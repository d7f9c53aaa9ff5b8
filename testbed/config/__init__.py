"""The study file: its shape, and the names in it."""
