"""A study under way: what its failures mean, what it may spend."""
