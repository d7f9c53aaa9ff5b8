"""Tests of agents/models/decoding."""
