"""Scripted players of known policy, a game each."""
