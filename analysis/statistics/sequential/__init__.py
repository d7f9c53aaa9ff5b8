"""Tests that may be looked at while the data come, and the confidence sequences that they invert to."""
