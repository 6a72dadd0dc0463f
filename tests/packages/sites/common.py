"""What the sites share: what they were started with, and what is stored in their sessions."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from duck_cookie_session import (
    RevocationList,
    SessionSettings,
    SessionStorageConnector,
    SQLiteRevocationList,
)

PORT = int(os.environ["SITE_PORT"])
SECRET = os.environ["SITE_SECRET"]
FOLDER = os.environ["SITE_FOLDER"]
DEBUG = bool(os.environ["SITE_DEBUG"])
REDIS = os.environ["SITE_LIST"]
PROVIDER = os.environ["SITE_PROVIDER"]
"""Where the OpenID provider of the tests is."""

COOKIE = os.environ["SITE_COOKIE"]
PASSWORD = "the password of every user"
BODY = "the whole of the body"

FAILS: dict[str, Callable[[], Any]] = {
    "type": object,
    "size": lambda: secrets.token_urlsafe(4_000),
}
"""Values that can't be stored."""


def settings(subject_key: str | None = "user", **more: Any) -> SessionSettings:
    """The site's settings."""
    return SessionSettings(
        secret_keys=(SECRET,),
        cookie_name=COOKIE,
        cookie_secure=False,  # the tests go over plain http
        session_dir=FOLDER,
        subject_key=subject_key,
        revocation_url=REDIS or None,
        **more,
    )


def storage() -> type[RevocationList]:
    """The class of the list that the test asks for."""
    if REDIS:
        from duck_cookie_session.revocation.redis import RedisRevocationList

        return RedisRevocationList
    return SQLiteRevocationList


def connector(subject_key: str | None = "user") -> SessionStorageConnector:
    """The site's connector, on that list."""
    return SessionStorageConnector(storage(), settings=settings(subject_key))


def visit(session: Any, path: str, user: str | None) -> dict[str, Any] | str:
    """Act as the view of /show, /store/..., or /fail/... does, and say what it answers."""
    action, _, value = path.strip("/").partition("/")
    if action == "fail":
        session["value"] = FAILS[value]()
        return BODY
    if action == "store":
        session["value"] = value
    return {"user": user, "value": session.get("value")}
