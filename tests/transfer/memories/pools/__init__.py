"""Learners that need no language model."""
