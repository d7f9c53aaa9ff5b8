"""Tests of testbed/bench/experiments/players."""
