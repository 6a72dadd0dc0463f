"""The frameworks' own session tests, run with this library's sessions in place."""
