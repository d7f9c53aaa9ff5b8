"""Who gives which skill to whom."""
