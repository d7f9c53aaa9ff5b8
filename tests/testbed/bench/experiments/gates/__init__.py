"""Tests of testbed/bench/experiments/gates."""
