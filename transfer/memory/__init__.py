"""What is remembered: trajectories, skills, and how they came about."""
