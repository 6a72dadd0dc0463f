"""A compact JWS taken apart: one spelling, JSON objects, each name once; nothing is verified."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from enum import Enum
from typing import Any, NamedTuple, NoReturn

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Flaw(Enum):
    """Why a JWS can't be taken apart."""

    TOO_LONG = "too long"
    MALFORMED = "malformed"
    """Not a compact JWS whose header and payload are JSON objects with unique names."""
    SPELLING = "no base64url"
    """Or not in its canonical spelling."""
    CRITICAL = "critical header"
    """It needs what we don't know (`crit`)."""


class JWSRefused(ValueError):
    """A JWS can't be taken apart. Internal to the library.

    Attributes:
        flaw: what is wrong with it.
    """

    def __init__(self, flaw: Flaw) -> None:
        self.flaw = flaw
        super().__init__(flaw.value)


class Parts(NamedTuple):
    """A JWS taken apart, with nothing verified yet.

    Attributes:
        header, payload: the JSON objects (RFC 7515 section 4; RFC 7519 for the payload).
        signature: its bytes.
        signed: what the signature is of (RFC 7515 section 5.1).
    """

    header: dict[str, Any]
    payload: dict[str, Any]
    signature: bytes
    signed: bytes


def take_apart(jws: str, most: int) -> Parts:
    """Take apart a JWS of the compact form (RFC 7515 section 7.1) with its payload attached.

    Args:
        most: characters that it may have.

    Raises:
        JWSRefused: it is malformed or too long, or names a header that must be understood.
    """
    if len(jws) > most:
        raise JWSRefused(Flaw.TOO_LONG)
    found = _COMPACT.fullmatch(jws)
    if found is None:
        raise JWSRefused(Flaw.MALFORMED)
    header = _object(found[1])
    # RFC 7515 section 4.1.11: understand all that it names, or refuse.
    if "crit" in header:
        raise JWSRefused(Flaw.CRITICAL)
    signed = f"{found[1]}.{found[2]}".encode("ascii")
    return Parts(header, _object(found[2]), decoded(found[3]), signed)


def decoded(text: str) -> bytes:
    """The bytes of base64url without padding (RFC 7515 section 2), in its one spelling.

    Raises:
        JWSRefused: it is something else.
    """
    try:
        spelled = text.encode("ascii")
        data = urlsafe_b64decode(spelled + b"=" * (-len(spelled) % 4))
    except ValueError:
        raise JWSRefused(Flaw.SPELLING) from None
    if urlsafe_b64encode(data).rstrip(b"=") != spelled:
        raise JWSRefused(Flaw.SPELLING)
    return data


def _object(part: str) -> dict[str, Any]:
    """A part as a JSON object (RFC 7515 section 4), whose names must differ."""
    data = decoded(part)
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number
        )
    except (RecursionError, ValueError):
        raise JWSRefused(Flaw.MALFORMED) from None
    if not isinstance(value, dict):
        raise JWSRefused(Flaw.MALFORMED)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise JWSRefused(Flaw.MALFORMED)
    return value


def _no_number(name: str) -> NoReturn:
    raise JWSRefused(Flaw.MALFORMED)
