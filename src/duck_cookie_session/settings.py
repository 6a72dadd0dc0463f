"""SessionSettings: one frozen object, validated once, given or read from a framework's settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from os import PathLike
from typing import Any, Literal

from ._checks import (
    MOST_REPLICAS,
    a_number,
    a_text,
    check_audience,
    check_callable,
    check_flag,
    check_folder,
    check_samesite,
    check_secret_keys,
    check_staleness,
    check_url,
    fail,
    keys_up_to,
    one_of,
)
from ._checks import is_sql_url as is_sql_url
from ._checks import secret_bytes as secret_bytes
from ._checks import setting_name as setting_name
from .errors import InvalidSettings

COOKIE_LIMIT = 4096
MOST_GROUPS = 4
_TEN_YEARS = 10 * 365 * 86_400

Secrets = str | bytes | Sequence[str | bytes]
"""One secret, or several with the newest first."""

SameSite = Literal["Lax", "Strict", "None"]
RefuseOrAccept = Literal["refuse", "accept"]
OffOrOffer = Literal["off", "offer"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 6265 section 4.1.1: cookie-name
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")  # RFC 6265 section 4.1.1: path-value
# Without what a header would have to quote, and what browsers take out of a path.
_ENDPOINTS = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
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
        subject_key: the key of the session's data that holds the user's id. The adapters of
            Duck, Flask and Django know theirs; elsewhere set it. None weakens: a login is a write
            like any other then, which gives no new session id and revokes nothing, and nobody can
            be logged out everywhere.
        group_keys: keys of the session's data, four at most, whose values (str, int, UUID) name the
            groups that a session belongs to, such as a tenant; `delete_group()` ends those of one.
        compress: deflate the data if that makes it smaller. Weakens: the length of the cookie then
            tells something of the content.
        max_cookie_bytes: bytes of the cookie's whole line (name, value and attributes, as in
            `Set-Cookie`), 4,096 and never more: browsers and proxies drop longer ones.
        clock_skew: seconds that the clocks of nodes may differ by, 60; lengthens the life of
            entries of the revocation list, never that of a token.
        on_unreachable: "refuse" raises RevocationListUnavailable; "accept" weakens: reads are then
            served without the check, revoked sessions among them.
        on_lost: what to do if the revocation list was lost, or put back from an older copy.
            "refuse" ends every session; "accept" weakens: sessions that were revoked come back.
        token_cache_size: verified tokens that one process keeps in memory, in plain text, 4,096; 0
            keeps none. They take at most 4,096 bytes each on average, however much one visitor's
            session inflates to under `compress`: about 17 MB in all by default, as measured. A
            kept token is still checked for expiry and revocation at each read.
        revocation_url: address of the shared list, for RedisRevocationList (redis://, rediss://,
            unix://, redis+sentinel://, redis+cluster:// and rediss+ of both) or SQLRevocationList
            (postgresql://, mariadb://, mysql://).
        max_staleness: seconds that a network list may reuse an answer for reads, 0. Weakens: a
            revocation made on another node is seen that much later.
        min_replicas: how many replicas of a Redis must have a revocation before the call returns,
            0; a primary that reports fewer is not believed at all. With 0, what a primary passed on
            to nobody is lost when another takes its place.
        device_binding: "offer" lets browsers that know Device Bound Session Credentials bind a
            session to their device at its login, so that a copied cookie is soon of no use. For
            a `__Host-` cookie with SameSite Lax or Strict.
        device_binding_path: under it the middleware itself answers such browsers. An application
            below a prefix needs one that begins with it, such as "/shop/.session-device".
        device_proof_age: seconds after which the browser has to prove again that it has the key,
            600, at least 10; a thief of all cookies has no longer than that.
        on_event: called with a `SessionEvent` after whatever happens to a session, in the thread or
            task that did it; or the dotted path to it. None: nothing is called.
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
    min_replicas: int
    device_binding: OffOrOffer
    device_binding_path: str
    device_proof_age: float
    on_event: Callable[..., object] | None

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
        min_replicas: int = 0,
        device_binding: OffOrOffer = "off",
        device_binding_path: str = "/.session-device",
        device_proof_age: float | timedelta = 600,
        on_event: Callable[..., object] | str | None = None,
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


def _secrets_of(mapping: Mapping[str, Any]) -> Any:
    if mapping.get("SESSION_SECRET_KEYS"):
        return mapping["SESSION_SECRET_KEYS"]
    first, more = mapping.get("SECRET_KEY"), mapping.get("SECRET_KEY_FALLBACKS") or ()
    if isinstance(more, (str, bytes)):
        more = (more,)
    if not isinstance(more, (tuple, list)):
        raise InvalidSettings(
            f"SECRET_KEY_FALLBACKS is of type {type(more).__name__}; allowed: a list of "
            "older secrets."
        )
    return (first, *more) if first else ()


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "secret_keys": check_secret_keys,
    "cookie_name": a_text(_TOKEN, "letters, digits and !#$%&'*+-.^_`|~", optional=False),
    "cookie_age": a_number(1, _TEN_YEARS, "seconds"),
    "cookie_path": a_text(_PATH, "a path that starts with /, without ;", optional=False),
    "cookie_domain": a_text(_DOMAIN, "a host name", optional=True),
    "cookie_secure": check_flag,
    "cookie_httponly": check_flag,
    "cookie_samesite": check_samesite,
    "cookie_partitioned": check_flag,
    "expire_at_browser_close": check_flag,
    "session_dir": check_folder,
    "absolute_age": a_number(1, _TEN_YEARS, "seconds"),
    "audience": check_audience,
    "subject_key": a_text(re.compile(r"(?s).+"), "a key of the session", optional=True),
    "group_keys": keys_up_to(MOST_GROUPS),
    "compress": check_flag,
    "max_cookie_bytes": a_number(256, COOKIE_LIMIT, "bytes", whole=True),
    "clock_skew": a_number(0, 86_400, "seconds"),
    "on_unreachable": one_of("refuse", "accept"),
    "on_lost": one_of("refuse", "accept"),
    "token_cache_size": a_number(0, 1_000_000, "tokens", whole=True),
    "revocation_url": check_url,
    "max_staleness": check_staleness,
    "min_replicas": a_number(0, MOST_REPLICAS, "replicas", whole=True),
    "device_binding": one_of("off", "offer"),
    "device_binding_path": a_text(
        _ENDPOINTS, "a path such as '/.session-device', without / at its end", optional=False
    ),
    "device_proof_age": a_number(10, 86_400, "seconds"),
    "on_event": check_callable,
}


def _check_together(settings: SessionSettings) -> None:
    name = settings.cookie_name.lower()  # RFC 6265bis section 5.7: prefixes match in any case
    if name.startswith(("__host-", "__secure-")) and not settings.cookie_secure:
        raise fail("cookie_secure", "is False", f"True, for a cookie named {settings.cookie_name}")
    if name.startswith("__host-") and settings.cookie_path != "/":
        raise fail("cookie_path", f"is {settings.cookie_path!r}", "'/', for a __Host- cookie")
    if name.startswith("__host-") and settings.cookie_domain is not None:
        raise fail("cookie_domain", "is set", "None, for a __Host- cookie")
    if settings.cookie_samesite == "None" and not settings.cookie_secure:
        raise fail("cookie_samesite", "is 'None' without cookie_secure", "'Lax', or cookie_secure")
    if settings.cookie_partitioned and not settings.cookie_secure:
        raise fail("cookie_partitioned", "is True without cookie_secure", "False, or cookie_secure")
    if settings.device_binding == "offer":
        _check_binding(settings)


def _check_binding(settings: SessionSettings) -> None:
    """A browser renews for one origin, and sibling hosts could plant cookies without `__Host-`.

    That prefix brings Secure, Path=/ (so the endpoints are within it) and no Domain with it.
    """
    if not settings.cookie_name.startswith("__Host-"):
        name = settings.cookie_name
        raise fail("device_binding", f"is 'offer' for a cookie named {name}", "a __Host- name")
    if settings.cookie_samesite not in ("Lax", "Strict"):
        given = settings.cookie_samesite
        raise fail("device_binding", f"is 'offer' with SameSite {given}", "'Lax' or 'Strict'")
    if settings.subject_key is None:
        raise fail(
            "device_binding", "is 'offer' without subject_key", "the key of who is logged in"
        )
    if settings.cookie_partitioned:
        raise fail("device_binding", "is 'offer' for a partitioned cookie", "'off', or no CHIPS")
