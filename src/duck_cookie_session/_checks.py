"""How the value of a setting is checked, and what is said of one that is not allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import import_module
from inspect import iscoroutinefunction
from os import PathLike, fspath
from typing import Any

from .errors import InvalidSettings

MIN_SECRET_BYTES = 32

REDIS_SCHEMES = (
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)
"""Of the addresses that RedisRevocationList understands."""

SQL_SCHEMES = ("postgresql", "mariadb", "mysql")
"""The same of SQLRevocationList."""

MOST_REPLICAS = 100


def setting_name(name: str) -> str:
    """The name that a field of `SessionSettings` has among a framework's settings."""
    return "SESSION_" + name.upper().removeprefix("SESSION_")


def fail(name: str, wrong: str, allowed: str) -> InvalidSettings:
    """The error that says what is wrong with a setting and what is allowed."""
    return InvalidSettings(f"{name} ({setting_name(name)}) {wrong}; allowed: {allowed}.")


def shown(value: object) -> str:
    """The value for an error message, its type where that would be long."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "too large a number"  # Python refuses to print the largest
    if value is not None and not isinstance(value, (str, int, float)):
        return f"of type {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def secret_bytes(secret: str | bytes) -> bytes:
    """A secret as bytes: text counts as UTF-8."""
    return secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret


def check_secret_keys(name: str, value: Any) -> tuple[str | bytes, ...]:
    """One secret or several, each once, newest first."""
    allowed = f"one or more secrets of at least {MIN_SECRET_BYTES} bytes, newest first"
    secrets = (value,) if isinstance(value, (str, bytes)) else value
    if not isinstance(secrets, Sequence):
        raise fail(name, f"is of type {type(value).__name__}", allowed)
    if not secrets:
        raise fail(name, "is empty", allowed + " (`duck-cookie-session keygen` makes one)")
    for number, secret in enumerate(secrets, 1):
        if not isinstance(secret, (str, bytes)):
            kind = type(secret).__name__
            raise fail(name, f"has a value of type {kind} as secret {number}", allowed)
        size = len(secret_bytes(secret))
        if size < MIN_SECRET_BYTES:
            noun = "byte" if size == 1 else "bytes"
            raise fail(name, f"has only {size} {noun} in secret {number}", allowed)
    return tuple(dict.fromkeys(secrets))


def a_number(
    low: float, high: float, unit: str, *, whole: bool = False
) -> Callable[[str, Any], Any]:
    """A check for a number within bounds."""
    bounds = f"a {'whole ' if whole else ''}number of {unit} from {low:g} to {high:,.0f}"

    def check(name: str, value: Any) -> Any:
        if isinstance(value, timedelta) and not whole:
            value = value.total_seconds()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise fail(name, f"is of type {type(value).__name__}", bounds)
        if not low <= value <= high or (whole and not isinstance(value, int)):
            raise fail(name, f"is {shown(value)}", bounds)
        return value

    return check


check_staleness = a_number(0, 3600, "seconds")


def check_flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise fail(name, f"is {shown(value)}", "True or False")
    return value


def a_text(pattern: re.Pattern[str], allowed: str, *, optional: bool) -> Callable[[str, Any], Any]:
    """A check for a text of a certain form."""

    def check(name: str, value: Any) -> str | None:
        if value is None and optional:
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise fail(name, f"is {shown(value)}", allowed + (" or None" if optional else ""))
        return value

    return check


def keys_up_to(most: int) -> Callable[[str, Any], tuple[str, ...]]:
    """A check for a tuple or list of different keys of the session."""
    allowed = f"up to {most} different keys of the session, in a tuple or list"

    def check(name: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, (tuple, list)):
            raise fail(name, f"is of type {type(value).__name__}", allowed)
        if not all(isinstance(key, str) and key for key in value):
            raise fail(name, "holds something that is not a key", allowed)
        if len(value) > most or len(set(value)) < len(value):
            raise fail(name, f"holds {len(value)} keys, {len(set(value))} different ones", allowed)
        return tuple(value)

    return check


def import_named(path: str) -> Any:
    """What a dotted path names.

    Raises:
        ImportError: the path names nothing that can be imported, with the reason.
    """
    # An import takes a dotted path part by part, by recursion, and keeps each part's whole name.
    if len(path) > 255 or not all(part.isidentifier() for part in path.split(".")):
        raise ImportError("a dotted path is up to 255 characters of names with dots between")
    module, _, attribute = path.rpartition(".")
    try:
        return getattr(import_module(module), attribute)
    except (AttributeError, ValueError) as error:
        raise ImportError(str(error)) from error


def check_callable(name: str, value: Any) -> Callable[..., Any] | None:
    """Something to call that does its work when called, or the dotted path to it."""
    allowed = "something to call, the dotted path to it, or None"
    if isinstance(value, str):
        try:
            value = import_named(value)
        except ImportError as error:
            raise fail(
                name, f"names {value!r:.300}, which can't be imported ({error})", allowed
            ) from error
    if value is not None and not callable(value):
        raise fail(name, f"is of type {type(value).__name__}", allowed)
    if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise fail(name, "is a coroutine function, which nobody would await", "a plain one")
    return value  # type: ignore[no-any-return]  # checked just now


def one_of(*allowed: str) -> Callable[[str, Any], str]:
    """A check for one of a few words."""

    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise fail(name, f"is {shown(value)}", " or ".join(map(repr, allowed)))
        return str(value)

    return check


def check_samesite(name: str, value: Any) -> str | None:
    """The attribute SameSite, in upper or lower case."""
    if value is None:
        return None
    known = {"lax": "Lax", "strict": "Strict", "none": "None"}
    if not isinstance(value, str) or value.lower() not in known:
        raise fail(name, f"is {shown(value)}", "'Lax', 'Strict', 'None' or None (no attribute)")
    return known[value.lower()]


def check_folder(name: str, value: Any) -> str | None:
    """The path of a folder."""
    if value is None:
        return None
    if not isinstance(value, (str, PathLike)) or not fspath(value):
        raise fail(name, f"is {shown(value)}", "the path of a folder, or None")
    return str(fspath(value))


def check_audience(name: str, value: Any) -> str:
    """Text that UTF-8 can encode."""
    if not isinstance(value, str):
        raise fail(name, f"is of type {type(value).__name__}", "a str")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise fail(name, "has a lone surrogate", "a str that UTF-8 can encode") from None
    return value


def check_url(name: str, value: Any) -> str | None:
    """The address of a shared list, or None."""
    if value is None or (isinstance(value, str) and _is_address(value)):
        return value
    # The value is not shown: an address may hold a password.
    schemes = (*REDIS_SCHEMES, *(f"{scheme}://" for scheme in SQL_SCHEMES))
    raise fail(name, "has another scheme", ", ".join(schemes) + " or None")


def is_sql_url(url: str) -> bool:
    """Whether an address is for SQLRevocationList; a driver may be named, as in mariadb+pymysql."""
    scheme, separator, _ = url.partition("://")
    return bool(separator) and scheme.partition("+")[0] in SQL_SCHEMES


def _is_address(url: str) -> bool:
    return url.startswith(REDIS_SCHEMES) or is_sql_url(url)
