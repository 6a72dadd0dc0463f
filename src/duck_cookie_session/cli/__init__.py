"""The command line: `duck-cookie-session`, or `python -m duck_cookie_session`."""

from .main import main as main
