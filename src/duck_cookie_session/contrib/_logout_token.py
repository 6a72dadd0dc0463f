"""A logout token, by OpenID Connect Back-Channel Logout 1.0. Pure: no clock, no I/O."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

try:
    from joserfc.errors import JoseError
    from joserfc.jws import JWSRegistry, deserialize_compact
except ImportError as _missing:  # pragma: no cover  # the tests have it
    raise ImportError(
        'LogoutReceiver needs joserfc: pip install "duck-cookie-session[oidc]"'
    ) from _missing

from .._jws import JWSRefused, take_apart
from ..errors import LogoutReason
from ._oidc_keys import ProviderKey

FORM = "application/x-www-form-urlencoded"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = ("logout+jwt", "jwt")
"""Section 2.4 recommends the first; many providers write that of any JWT (RFC 7519 section 5.1)."""

MOST_TOKEN = 8_192
"""Most characters of a logout token; providers' have 500 to 1,000."""

MOST_HEADER = 512
"""Most characters of its header: those that joserfc reads."""

MOST_BODY = 4 * MOST_TOKEN
_MOST_FIELDS = 16


class LogoutRefused(Exception):
    """A logout token was not accepted. Internal to the library.

    Attributes:
        reason: what it was refused for.
    """

    def __init__(self, reason: LogoutReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class LogoutToken(NamedTuple):
    """A logout token that was read, and not verified yet.

    Attributes:
        text: the token.
        algorithm: one of those that are allowed.
        key_id: its `kid`; None without one.
        claims: what it says.
    """

    text: str
    algorithm: str
    key_id: str | None
    claims: dict[str, Any]


class Logout(NamedTuple):
    """What a good logout token asks for; of `sid` and `sub` one at least is there.

    Attributes:
        token_id: its `jti`.
        sid: the provider's session that ended.
        sub: whose it was.
    """

    token_id: str
    sid: str | None
    sub: str | None


def token_in(body: bytes, content_type: str | None) -> str:
    """The logout token in the body of a request (section 2.5); other fields are ignored.

    Raises:
        LogoutRefused: it is no form with one logout token.
    """
    if (content_type or "").partition(";")[0].strip().lower() != FORM or len(body) > MOST_BODY:
        raise LogoutRefused(LogoutReason.MALFORMED)
    try:
        fields = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise LogoutRefused(LogoutReason.MALFORMED) from None
    tokens = [value for name, value in fields if name == "logout_token"]
    if len(tokens) != 1:
        raise LogoutRefused(LogoutReason.MALFORMED)
    return tokens[0]


def read_token(text: str, algorithms: Collection[str]) -> LogoutToken:
    """Read a logout token, as far as that goes without a key.

    Raises:
        LogoutRefused: it is no JWT signed by one of the algorithms, or of another type.
    """
    try:
        parts = take_apart(text, MOST_TOKEN)
    except JWSRefused:
        raise LogoutRefused(LogoutReason.MALFORMED) from None
    header = parts.header
    algorithm, key_id, kind = (header.get(name) for name in ("alg", "kid", "typ"))
    if algorithm not in algorithms:
        raise LogoutRefused(LogoutReason.ALGORITHM)
    if not isinstance(key_id, str | None) or "b64" in header or text.index(".") > MOST_HEADER:
        raise LogoutRefused(LogoutReason.MALFORMED)
    if "typ" in header and not _is_type(kind):
        raise LogoutRefused(LogoutReason.TYPE)
    return LogoutToken(text, str(algorithm), key_id, parts.payload)


def verify(token: LogoutToken, keys: Iterable[ProviderKey]) -> LogoutReason | None:
    """Verify the signature by the provider's keys (section 2.6, as for an ID token).

    Returns:
        None if one of them made it; else what it is refused for.
    """
    fitting = [key for key in keys if key.fits(token.algorithm, token.key_id)]
    registry = JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
    for key in fitting:
        try:
            deserialize_compact(token.text, key.public, registry=registry)
        except JoseError:
            continue
        return None
    named = fitting and token.key_id is not None
    return LogoutReason.SIGNATURE if named else LogoutReason.NO_KEY


def judge(
    claims: dict[str, Any],
    *,
    issuer: str,
    client_id: str,
    now: float,
    leeway: float,
    longest: float,
) -> Logout:
    """Judge the claims of a verified token (sections 2.4 and 2.6).

    Args:
        now: seconds since 1970.
        leeway: seconds that the provider's clock may differ.
        longest: seconds from now that it may be good for at most: its id is remembered so long.

    Raises:
        LogoutRefused: one of them is not as it has to be.
    """
    if claims.get("iss") != issuer:
        raise LogoutRefused(LogoutReason.ISSUER)
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences or not all(isinstance(one, str) for one in audiences):
        raise LogoutRefused(LogoutReason.AUDIENCE)
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if issued > now + leeway or not now - leeway < expires <= now + longest:
        raise LogoutRefused(LogoutReason.TIME)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise LogoutRefused(LogoutReason.EVENT)
    if "nonce" in claims:  # section 2.4: so that no ID token passes for a logout, nor the reverse
        raise LogoutRefused(LogoutReason.EVENT)
    token_id = _text(claims, "jti")
    sid, sub = _text(claims, "sid"), _text(claims, "sub")
    if token_id is None or (sid is None and sub is None):
        raise LogoutRefused(LogoutReason.MALFORMED)
    return Logout(token_id, sid, sub)


def _is_type(kind: object) -> bool:
    """RFC 7515 section 4.1.9: in any case, and `application/` may be left out."""
    return isinstance(kind, str) and kind.lower().removeprefix("application/") in TYPES


def _time(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 section 2); infinity is what JSON's 1e999 becomes."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value == math.inf:
        raise LogoutRefused(LogoutReason.MALFORMED)
    return value


def _text(claims: dict[str, Any], name: str) -> str | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise LogoutRefused(LogoutReason.MALFORMED)
    return value
