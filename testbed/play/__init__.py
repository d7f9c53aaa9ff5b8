"""From names to objects, from trials to episodes."""
