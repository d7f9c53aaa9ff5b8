"""A run's records read once, and the rows of documented tables that they become."""
