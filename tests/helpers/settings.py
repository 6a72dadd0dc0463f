"""Settings with which tests begin."""

from __future__ import annotations

from typing import Any

from duck_cookie_session import SessionSettings

SECRET = "a secret of forty characters, used in tests"
OTHER_SECRET = "another secret of the same length, in tests"


def make_settings(**changed: Any) -> SessionSettings:
    """Settings with a secret and a subject key."""
    return SessionSettings(**{"secret_keys": (SECRET,), "subject_key": "user", **changed})
