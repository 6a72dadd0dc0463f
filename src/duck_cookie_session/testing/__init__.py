"""For other people's tests. What needs pytest is imported by its own name: `testing.contract`."""
