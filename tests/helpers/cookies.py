"""What a response says of its cookie."""

from __future__ import annotations

from collections.abc import Sequence

LOOKED_AT = [("Cache-Control", "private, no-cache"), ("Vary", "Cookie")]
"""What a response carries whose view looked at the session and changed nothing."""


def sent_cookie(headers: Sequence[tuple[str, str]], name: str = "session_id") -> str | None:
    """What a response sets the cookie to: a token, "" where it deletes it, None for no cookie."""
    for header, value in headers:
        if header == "Set-Cookie":
            assert value.startswith(name + "=")
            return value[len(name) + 1 :].partition(";")[0]
    return None
