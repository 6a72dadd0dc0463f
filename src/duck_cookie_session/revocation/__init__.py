"""Revocation lists: the only state that the server keeps."""
