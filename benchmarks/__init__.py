"""Harnesses that measure the app against the usual ways of doing the same; never run as tests."""
