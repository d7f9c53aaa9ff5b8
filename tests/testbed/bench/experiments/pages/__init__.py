"""Tests of testbed/bench/experiments/pages."""
