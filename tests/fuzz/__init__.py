"""Fuzzing, which needs Atheris: ``pip install atheris``."""
