"""Adapters, one thin module a framework; each imports its framework only when it is imported."""
