"""Worlds that other libraries made: one folder a family, each behind the same contract."""
