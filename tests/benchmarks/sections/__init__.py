"""One module a section. Each has `run(options) -> Section`, see `tests.benchmarks.__main__`."""
