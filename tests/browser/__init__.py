"""The demo and the cookies of this library in a real browser."""
