"""Tests of duck-cookie-session; tests/README.md says what to run."""
