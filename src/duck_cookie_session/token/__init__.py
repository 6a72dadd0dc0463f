"""Claims and data to a cookie value and back: pure, without clock or I/O. Not API."""
