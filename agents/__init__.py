"""Agents: models, skills, and what one agent does to decide on one action."""
