"""SessionSettings: one frozen object, validated once, given or read from a framework's settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from os import PathLike, fspath
from typing import Any, Literal

from .errors import InvalidSettings

MIN_SECRET_BYTES = 32
COOKIE_LIMIT = 4096
MOST_GROUPS = 4
_TEN_YEARS = 10 * 365 * 86_400

Secrets = str | bytes | Sequence[str | bytes]
"""One secret, or several with the newest first."""

SameSite = Literal["Lax", "Strict", "None"]
RefuseOrAccept = Literal["refuse", "accept"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 6265 section 4.1.1: cookie-name
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")  # RFC 6265 section 4.1.1: path-value
_DOMAIN = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


@dataclass(frozen=True, kw_only=True, init=False)
class SessionSettings:
    """Everything that can be set, checked once when it is made.

    Attributes:
        secret_keys: secrets, newest first, each at least 32 bytes (str counts as UTF-8). A plain
            string is one secret. The first seals; all open.
        cookie_name: name of the cookie; part of the key, so that no token made for one name is good
            under another.
        cookie_age: seconds that a session lives after it was last saved, 7 days.
        cookie_path: attribute Path.
        cookie_domain: attribute Domain; None keeps the cookie to the host that set it. Setting it
            weakens: every subdomain then receives the cookie.
        cookie_secure: attribute Secure. False weakens: the cookie travels over plain HTTP too.
        cookie_httponly: attribute HttpOnly. False weakens: scripts of the page can read the cookie.
        cookie_samesite: "Lax", "Strict", "None" or None (no attribute). "None" and None weaken:
            requests from other sites carry the cookie.
        cookie_partitioned: attribute Partitioned (CHIPS); needs cookie_secure.
        expire_at_browser_close: no Max-Age in the cookie; the token's own expiry stays.
        session_dir: folder of the SQLite list; given to a storage class that needs an argument.
        absolute_age: seconds from login (or the first save) after which a session ends whatever
            it does, 30 days; ASVS 5.0 V7.3.2. At most ten years; can't be turned off.
        audience: name of the application, for several that share a secret and a cookie name.
        subject_key: key of the session's data under which the user's id stands. The adapters of
            Duck, Flask and Django know theirs; elsewhere set it. None weakens: a login is a write
            like any other then, which gives no new session id and revokes nothing, and nobody can
            be logged out everywhere.
        group_keys: keys of the session's data, four at most, whose values (str, int, UUID) name the
            groups that a session belongs to, such as a tenant.
        compress: deflate the data if that makes it smaller. Weakens: the length of the cookie then
            tells something of the content.
        max_cookie_bytes: bytes of the cookie's whole line (name, value and attributes, as in
            `Set-Cookie`), 4,096 and never more: browsers and proxies drop longer ones.
        clock_skew: seconds that the clocks of nodes may differ by, 60; lengthens the life of
            entries of the revocation list, never that of a token.
        on_unreachable: "refuse" raises RevocationListUnavailable; "accept" weakens: reads are then
            served without the check, revoked sessions among them.
        on_lost: what a revocation list that lost everything means. "refuse" ends every session;
            "accept" weakens: sessions that were revoked come back.
        token_cache_size: verified tokens that one process keeps in memory, in plain text, 4,096; 0
            keeps none. They take at most 4,096 bytes each on average, however much one visitor's
            session inflates to under `compress`: about 17 MB in all by default, as measured. A
            kept token is still checked for expiry and revocation at each read.
        revocation_url: address of the shared list (redis://, rediss://, unix://), for
            RedisRevocationList.
        max_staleness: seconds that a network list may reuse an answer for reads, 0. Weakens: a
            revocation made on another node is seen that much later.
    """

    # As they are once checked; what may be given is in `__init__`.
    secret_keys: tuple[str | bytes, ...] = field(repr=False)
    cookie_name: str
    cookie_age: float
    cookie_path: str
    cookie_domain: str | None
    cookie_secure: bool
    cookie_httponly: bool
    cookie_samesite: SameSite | None
    cookie_partitioned: bool
    expire_at_browser_close: bool
    session_dir: str | None
    absolute_age: float
    audience: str
    subject_key: str | None
    group_keys: tuple[str, ...]
    compress: bool
    max_cookie_bytes: int
    clock_skew: float
    on_unreachable: RefuseOrAccept
    on_lost: RefuseOrAccept
    token_cache_size: int
    revocation_url: str | None = field(repr=False)
    max_staleness: float

    def __init__(
        self,
        *,
        secret_keys: Secrets,
        cookie_name: str = "session_id",
        cookie_age: float | timedelta = 604_800,
        cookie_path: str = "/",
        cookie_domain: str | None = None,
        cookie_secure: bool = True,
        cookie_httponly: bool = True,
        cookie_samesite: SameSite | Literal["lax", "strict", "none"] | None = "Lax",
        cookie_partitioned: bool = False,
        expire_at_browser_close: bool = False,
        session_dir: str | PathLike[str] | None = None,
        absolute_age: float | timedelta = 2_592_000,
        audience: str = "",
        subject_key: str | None = None,
        group_keys: Sequence[str] = (),
        compress: bool = False,
        max_cookie_bytes: int = COOKIE_LIMIT,
        clock_skew: float | timedelta = 60,
        on_unreachable: RefuseOrAccept = "refuse",
        on_lost: RefuseOrAccept = "refuse",
        token_cache_size: int = 4096,
        revocation_url: str | None = None,
        max_staleness: float | timedelta = 0,
    ) -> None:
        given = locals()
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, given[name]))
        _check_together(self)

    @property
    def application(self) -> bytes:
        """Cookie name and audience, each with its length, so that no two pairs look alike."""
        return b"".join(
            len(part).to_bytes(4, "big") + part
            for part in (self.cookie_name.encode("utf-8"), self.audience.encode("utf-8"))
        )

    @cached_property
    def cookie_attributes(self) -> str:
        """The attributes of the cookie besides Path and Max-Age, as `Set-Cookie` spells them."""
        attributes = ""
        if self.cookie_domain:
            attributes += f"; Domain={self.cookie_domain}"
        if self.cookie_secure:
            attributes += "; Secure"
        if self.cookie_httponly:
            attributes += "; HttpOnly"
        if self.cookie_samesite:
            attributes += f"; SameSite={self.cookie_samesite}"
        if self.cookie_partitioned:
            attributes += "; Partitioned"
        return attributes

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], **defaults: Any) -> SessionSettings:
        """Read the settings of Duck or Django, or any mapping with the same names.

        A field is read from `SESSION_` and its name in capitals. Secrets come from
        `SESSION_SECRET_KEYS`, else `SECRET_KEY` followed by `SECRET_KEY_FALLBACKS`.

        Args:
            mapping: upper-case names to values; absent names fall back.
            defaults: values for fields that the mapping does not name.

        Raises:
            InvalidSettings: names the setting and what is allowed.
        """
        values = dict(defaults)
        for spec in fields(cls):
            if spec.name != "secret_keys" and setting_name(spec.name) in mapping:
                values[spec.name] = mapping[setting_name(spec.name)]
        values["secret_keys"] = _secrets_of(mapping) or defaults.get("secret_keys", ())
        return cls(**values)


def setting_name(name: str) -> str:
    """The name that a field of `SessionSettings` has among a framework's settings."""
    return "SESSION_" + name.upper().removeprefix("SESSION_")


def _secrets_of(mapping: Mapping[str, Any]) -> Any:
    if mapping.get("SESSION_SECRET_KEYS"):
        return mapping["SESSION_SECRET_KEYS"]
    first, more = mapping.get("SECRET_KEY"), mapping.get("SECRET_KEY_FALLBACKS") or ()
    if isinstance(more, (str, bytes)):
        more = (more,)
    if not isinstance(more, (tuple, list)):
        raise InvalidSettings(
            f"SECRET_KEY_FALLBACKS is a {type(more).__name__}; allowed: a list of older secrets."
        )
    return (first, *more) if first else ()


def _fail(name: str, wrong: str, allowed: str) -> InvalidSettings:
    return InvalidSettings(f"{name} ({setting_name(name)}) {wrong}; allowed: {allowed}.")


def _shown(value: object) -> str:
    """The value for an error message, its type where that would be long."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "too large a number"  # Python refuses to print the largest
    if value is not None and not isinstance(value, (str, int, float)):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _secret_keys(name: str, value: Any) -> tuple[str | bytes, ...]:
    allowed = f"one or more secrets of at least {MIN_SECRET_BYTES} bytes, newest first"
    secrets = (value,) if isinstance(value, (str, bytes)) else value
    if not isinstance(secrets, Sequence):
        raise _fail(name, f"is a {type(value).__name__}", allowed)
    if not secrets:
        raise _fail(name, "is empty", allowed + " (`duck-cookie-session keygen` makes one)")
    for number, secret in enumerate(secrets, 1):
        if not isinstance(secret, (str, bytes)):
            raise _fail(name, f"holds a {type(secret).__name__} as secret {number}", allowed)
        size = len(secret_bytes(secret))
        if size < MIN_SECRET_BYTES:
            raise _fail(name, f"has only {size} bytes in secret {number}", allowed)
    return tuple(dict.fromkeys(secrets))


def secret_bytes(secret: str | bytes) -> bytes:
    """A secret as bytes: text counts as UTF-8."""
    return secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret


def _number(
    low: float, high: float, unit: str, *, whole: bool = False
) -> Callable[[str, Any], Any]:
    bounds = f"a {'whole ' if whole else ''}number of {unit} from {low:g} to {high:,.0f}"

    def check(name: str, value: Any) -> Any:
        if isinstance(value, timedelta) and not whole:
            value = value.total_seconds()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _fail(name, f"is a {type(value).__name__}", bounds)
        if not low <= value <= high or (whole and not isinstance(value, int)):
            raise _fail(name, f"is {_shown(value)}", bounds)
        return value

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _fail(name, f"is {_shown(value)}", "True or False")
    return value


def _text(pattern: re.Pattern[str], allowed: str, *, optional: bool) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> str | None:
        if value is None and optional:
            return None
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _fail(name, f"is {_shown(value)}", allowed + (" or None" if optional else ""))
        return value

    return check


def _keys(name: str, value: Any) -> tuple[str, ...]:
    allowed = f"up to {MOST_GROUPS} different keys of the session, in a tuple or list"
    if not isinstance(value, (tuple, list)):
        raise _fail(name, f"is a {type(value).__name__}", allowed)
    if not all(isinstance(key, str) and key for key in value):
        raise _fail(name, "holds something that is no key", allowed)
    if len(value) > MOST_GROUPS or len(set(value)) < len(value):
        raise _fail(name, f"holds {len(value)} keys, {len(set(value))} of them different", allowed)
    return tuple(value)


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise _fail(name, f"is {_shown(value)}", " or ".join(map(repr, allowed)))
        return str(value)

    return check


def _samesite(name: str, value: Any) -> str | None:
    if value is None:
        return None
    known = {"lax": "Lax", "strict": "Strict", "none": "None"}
    if not isinstance(value, str) or value.lower() not in known:
        raise _fail(name, f"is {_shown(value)}", "'Lax', 'Strict', 'None' or None (no attribute)")
    return known[value.lower()]


def _folder(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, PathLike)) or not fspath(value):
        raise _fail(name, f"is {_shown(value)}", "the path of a folder, or None")
    return str(fspath(value))


def _audience(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _fail(name, f"is a {type(value).__name__}", "a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _fail(name, "has a lone surrogate", "a text that UTF-8 can hold") from None
    return value


def _url(name: str, value: Any) -> str | None:
    schemes = ("redis://", "rediss://", "unix://")
    if value is None or (isinstance(value, str) and value.startswith(schemes)):
        return value
    # The value is not shown: an address may hold a password.
    raise _fail(name, "has another scheme", ", ".join(schemes) + " or None")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "secret_keys": _secret_keys,
    "cookie_name": _text(_TOKEN, "letters, digits and !#$%&'*+-.^_`|~", optional=False),
    "cookie_age": _number(1, _TEN_YEARS, "seconds"),
    "cookie_path": _text(_PATH, "a path that starts with /, without ;", optional=False),
    "cookie_domain": _text(_DOMAIN, "a host name", optional=True),
    "cookie_secure": _flag,
    "cookie_httponly": _flag,
    "cookie_samesite": _samesite,
    "cookie_partitioned": _flag,
    "expire_at_browser_close": _flag,
    "session_dir": _folder,
    "absolute_age": _number(1, _TEN_YEARS, "seconds"),
    "audience": _audience,
    "subject_key": _text(re.compile(r"(?s).+"), "a key of the session", optional=True),
    "group_keys": _keys,
    "compress": _flag,
    "max_cookie_bytes": _number(256, COOKIE_LIMIT, "bytes", whole=True),
    "clock_skew": _number(0, 86_400, "seconds"),
    "on_unreachable": _choice("refuse", "accept"),
    "on_lost": _choice("refuse", "accept"),
    "token_cache_size": _number(0, 1_000_000, "tokens", whole=True),
    "revocation_url": _url,
    "max_staleness": _number(0, 3600, "seconds"),
}


def _check_together(settings: SessionSettings) -> None:
    name = settings.cookie_name.lower()  # RFC 6265bis section 5.7: prefixes match in any case
    if name.startswith(("__host-", "__secure-")) and not settings.cookie_secure:
        raise _fail("cookie_secure", "is False", f"True, for a cookie named {settings.cookie_name}")
    if name.startswith("__host-") and settings.cookie_path != "/":
        raise _fail("cookie_path", f"is {settings.cookie_path!r}", "'/', for a __Host- cookie")
    if name.startswith("__host-") and settings.cookie_domain is not None:
        raise _fail("cookie_domain", "is set", "None, for a __Host- cookie")
    if settings.cookie_samesite == "None" and not settings.cookie_secure:
        raise _fail("cookie_samesite", "is 'None' without cookie_secure", "'Lax', or cookie_secure")
    if settings.cookie_partitioned and not settings.cookie_secure:
        raise _fail(
            "cookie_partitioned", "is True without cookie_secure", "False, or cookie_secure"
        )
