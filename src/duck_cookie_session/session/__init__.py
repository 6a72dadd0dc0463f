"""What happens to a session: rules, what a request knows of its own, dict, connector. Not API."""
