"""Benchmarks: each one against a named baseline in the same run, with equal results checked."""
