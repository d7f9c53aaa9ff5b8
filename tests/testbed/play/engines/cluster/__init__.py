"""Ray's machines."""
