"""The command line: `duck-cookie-session`, or `python -m duck_cookie_session`. Not API."""

from .main import main as main
