"""Testbed: what runs, when, where, and where it is written."""
