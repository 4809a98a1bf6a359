"""Benchmarks of the app against the usual ways to do the same. Not tests."""
