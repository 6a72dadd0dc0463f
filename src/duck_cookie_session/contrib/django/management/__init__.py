"""Commands of `manage.py`. Not API."""
