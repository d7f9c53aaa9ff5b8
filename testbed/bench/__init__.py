"""Benchmarks, each against a named baseline in the same run; and experiments on the method itself."""
