"""Estimates and tests on arrays."""
