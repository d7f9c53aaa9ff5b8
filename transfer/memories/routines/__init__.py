"""Procedures written by a model: how a game is played, step by step, in words."""
