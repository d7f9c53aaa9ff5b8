"""Models seen through others."""
