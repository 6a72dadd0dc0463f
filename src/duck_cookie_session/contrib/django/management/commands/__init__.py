"""`manage.py sessions`. Not API."""
