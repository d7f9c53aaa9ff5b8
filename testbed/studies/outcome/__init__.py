"""How a study ended: its log, and what it lacks."""
