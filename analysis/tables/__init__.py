"""The documented tables that an analysis reads."""
