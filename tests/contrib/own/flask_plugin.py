"""pytest plugin: Flask's own tests, with this library's interface as Flask's default.

Its tests use secrets of a few bytes, so the bound of 32 is lowered here.
"""

from __future__ import annotations

from typing import Any

import flask

from duck_cookie_session import MemoryRevocationList, _checks
from duck_cookie_session.contrib.flask import CookieSessionInterface

_checks.MIN_SECRET_BYTES = 1
revocations = MemoryRevocationList()
plain_init = flask.Flask.__init__


def init(self: Any, *args: Any, **options: Any) -> None:
    plain_init(self, *args, **options)
    self.config["SESSION_STORAGE"] = lambda: revocations
    if "session_interface" not in vars(type(self)):
        self.session_interface = CookieSessionInterface()


flask.Flask.__init__ = init
