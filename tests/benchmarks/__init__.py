"""Benchmarks: this library beside other cookie sessions, in one run on one machine."""
