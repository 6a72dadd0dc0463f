"""keygen and inspect."""

from __future__ import annotations

import argparse
import re
import secrets
import sys
import time
from typing import Any

from ..errors import (
    RevocationListUnavailable,
    SessionSerializationError,
    TokenRefused,
)
from ..session.judging import Refusal
from ..session.rules import Rules
from ..session.stats import Stats
from ..settings import COOKIE_LIMIT, SessionSettings
from ..token.format import Claims, issued_at, open_token
from ..token.keys import KeyRing
from ..token.payload import key_sizes, unpack
from .devices import inspect_device
from .output import (
    FOUND,
    GOOD,
    UNREACHABLE,
    UsageError,
    complain,
    duration,
    moment,
    say,
    say_json,
    shown,
    table,
)
from .sources import Source, find

SECRET_BYTES = 24
"""Random bytes of a new secret: as text 32 characters, the most that Duck's SECRET_KEY may have."""

REASONS = {
    "malformed": "not a token in its only spelling, or made by a newer version",
    "no key": "none of these secrets made it for this cookie name and audience",
    "expired": "it has expired",
    "too old": "it is past absolute_age",
    "ended": "its session was ended: logout, or its id was changed at login",
    "superseded": "a later state of the session has superseded it",
    "subject revoked": "its subject was logged out everywhere",
    "group revoked": "one of its groups was revoked or ended",
    "all revoked": "every session issued before was revoked",
    "other list": "it was issued under another revocation list, or before this one was lost",
    "list forgot": "it shows that the revocation list was put back from a copy",
    "no proof of its device": "its session is bound to a device; beside a proof it is good",
}


def keygen(arguments: argparse.Namespace) -> int:
    """Print a new secret."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    if arguments.json:
        say_json({"secret": secret})
    else:
        say(secret)
    return GOOD


def read_token() -> str:
    """The token on standard input, with or without the cookie's name before it.

    Raises:
        UsageError: there is none.
    """
    if sys.stdin.isatty():
        complain("paste the token and end with Enter")
        text = sys.stdin.readline()
    else:
        # More than any cookie has, which shows that it is too long.
        text = sys.stdin.read(2 * COOKIE_LIMIT)
    token = text.strip()
    if not token:
        raise UsageError("Give the token (the cookie's value) on standard input.")
    return token


def check_is_value(text: str, settings: SessionSettings) -> None:
    """Tell a cookie with its name and attributes, which is no token, from one that is malformed.

    Raises:
        UsageError: the text is more than a cookie's value.
    """
    if re.search(";|=[^=]", text):
        raise UsageError(
            f"Give the value of the cookie {settings.cookie_name!r} alone: without a name and = "
            "before it, and without ; and what follows."
        )


def inspect(arguments: argparse.Namespace) -> int:
    """Say what a token holds and whether it is accepted."""
    source = find(arguments)
    token = read_token().removeprefix(source.settings.cookie_name + "=")
    ring = KeyRing.of(source.settings)
    size = Rules(source.settings, time.time, Stats()).line_bytes + len(token)
    try:
        claims, data, number = open_token(ring, token)
    except TokenRefused as refused:
        of_device = inspect_device(source.settings, token, as_json=arguments.json)
        if of_device is not None:
            return of_device
        check_is_value(token, source.settings)
        facts: dict[str, Any] = {
            "accepted": False,
            "reason": refused.reason.value,
            "bytes": {"cookie": size},
        }
    else:
        facts = _facts(source.settings, token, claims, number)
        facts["bytes"] = {"cookie": size, "token": len(token), "data": len(data)}
        _add_data(facts, data, show_values=arguments.show_values)
        said, reason = _judge(source, token)
        facts["list"], facts["reason"] = said, reason
        facts["accepted"] = None if said == "unreachable" and reason is None else reason is None
    if arguments.json:
        say_json(facts)
    else:
        _print(facts, source.settings)
    if facts["accepted"] is None:
        return UNREACHABLE
    return GOOD if facts["accepted"] else FOUND


def _facts(settings: SessionSettings, token: str, claims: Claims, number: int) -> dict[str, Any]:
    return {
        "accepted": None,
        "reason": None,
        "list": None,
        "session_id": claims.id_text,
        "subject": claims.subject,
        "created": moment(claims.created_ms / 1000),
        "issued": moment(issued_at(token)),
        "expires": moment(claims.expires_ms / 1000),
        "ends_at_the_latest": moment(claims.created_ms / 1000 + settings.absolute_age),
        "lifetime": claims.lifetime_ms / 1000 or None,
        "browser_length": claims.browser_length,
        "authenticated": _authenticated(claims),
        "groups": len(claims.groups),
        "birth": claims.birth or None,
        "checkpoint": claims.checkpoint or None,
        "secret": number + 1,
    }


def _authenticated(claims: Claims) -> str | None:
    """When somebody last proved who they are; None for a visitor."""
    if claims.subject is None:
        return None
    at_ms = claims.created_ms if claims.authenticated_ms is None else claims.authenticated_ms
    return moment(at_ms / 1000)


def _add_data(facts: dict[str, Any], data: bytes, *, show_values: bool) -> None:
    try:
        session = unpack(data)
        facts["bytes"]["keys"] = dict(key_sizes(session))
    except SessionSerializationError as error:
        facts["unreadable"] = str(error)
        return
    if show_values:
        facts["values"] = {shown(repr(key)): _represented(session[key]) for key in session}


def _represented(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError) as error:  # an int of thousands of digits; deep nesting
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


def _judge(source: Source, token: str) -> tuple[str, str | None]:
    """Whether the list was asked, and why the token is refused."""
    opened = Rules(source.settings, time.time, Stats()).open(token)
    if isinstance(opened, Refusal):
        return "not asked", opened.reason.value
    try:
        connector = source.connector()
    except UsageError as error:
        complain(str(error))
        return "not asked", None
    try:
        if not connector.revocations.knows(connector.rules.scopes.prefix):
            # A lookup would draw a birth, which is another than the token's.
            return "asked", "other list" if source.settings.on_lost == "refuse" else None
        # Asked directly: on_unreachable="accept" must not pass for an answer.
        standing = connector.revocations.lookup(opened.scopes, checkpoint=opened.claims.checkpoint)
    except RevocationListUnavailable as error:
        complain(str(error))
        return "unreachable", None
    finally:
        connector.close()
    reason = connector.rules.judge(opened, standing)
    return "asked", reason and reason.value


def _print(facts: dict[str, Any], settings: SessionSettings) -> None:
    reason, asked = facts["reason"], facts.get("list")
    if reason is not None:
        say(f"Refused: {reason} ({REASONS[reason]})")
    elif asked == "unreachable":
        say("Not known: the revocation list could not be asked")
    elif asked == "not asked":
        say("Good as far as it goes: the revocation list was not asked")
    else:
        say("Accepted")
    sizes = facts["bytes"]
    lifetime = facts.get("lifetime")
    rows: list[tuple[str, object]] = [(name, facts.get(name)) for name in ("session_id", "subject")]
    rows += [(name, facts.get(name)) for name in ("created", "issued", "expires")]
    if "session_id" in facts:
        each = f"{duration(lifetime)}, renewed at each save" if lifetime else "fixed"
        rows.append(("lifetime", each + (", browser-length" if facts["browser_length"] else "")))
        rows.append(("ends at latest", facts["ends_at_the_latest"]))
        rows.append(("authenticated", facts["authenticated"]))
        rows.append(("groups", facts["groups"] or None))
        rows.append(("list's birth", facts["birth"]))
        rows.append(("checkpoint", facts["checkpoint"]))
        rows.append(
            ("secret", f"{facts['secret']} of {len(settings.secret_keys)} (1 is the newest)")
        )
        rows.append(("unreadable", facts.get("unreadable")))
    limit = settings.max_cookie_bytes
    rows.append(("cookie bytes", f"{sizes['cookie']} of {limit} (with its attributes)"))
    rows.append(("data bytes", sizes.get("data")))
    table(rows)
    for key, size in sizes.get("keys", {}).items():
        say(f"  {shown(key)}: {size} bytes")
    for key, value in facts.get("values", {}).items():
        say(f"  {key} = {shown(value)}")
