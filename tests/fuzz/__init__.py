"""Coverage-guided fuzzing; see `__main__.py` for how to run it."""
