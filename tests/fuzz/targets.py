"""What is fuzzed: one function a target, bytes in, an exception for whatever must not happen.

They run without a fuzzer too: `test_corpus.py` feeds them the corpus in every test run.
"""

from __future__ import annotations

import base64
import contextlib
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.device.jws import (
    MAX_JWS,
    DeviceKey,
    ProofRefused,
    claimed_challenge,
    verify_refresh,
    verify_registration,
)
from duck_cookie_session.device.sealed import REFRESH, REGISTRATION, Sealed, binding_text
from duck_cookie_session.engine import SessionStore
from duck_cookie_session.errors import InvalidSettings, SessionSerializationError, TokenRefused
from duck_cookie_session.response import find_cookie, merge_vary, session_headers, set_cookie
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.session_storage_connector import SessionStorageConnector
from duck_cookie_session.settings import SessionSettings, setting_name
from duck_cookie_session.token.claims import Claims, read_claims, write_claims
from duck_cookie_session.token.format import open_token, seal_token
from duck_cookie_session.token.keys import KeyRing
from duck_cookie_session.token.payload import pack, unpack

MAX_INPUT = 1 << 20
NOW = 1_800_000_000
SECRET = "fuzz-secret-" * 4
FLOATS = ("-inf", "nan", "inf", "1e308", "0.5", "-0.0", "1e-9", "5")

_settings = SessionSettings(secret_keys=(SECRET,), subject_key="user", token_cache_size=16)
_ring = KeyRing.of(_settings)
_connector = SessionStorageConnector(
    MemoryRevocationList, settings=_settings, clock=lambda: float(NOW)
)
_claims = Claims(b"i" * 16, created_ms=NOW * 1000, expires_ms=(NOW + 60) * 1000, lifetime_ms=60_000)
_tokens = tuple(
    _connector.set_session("", data)
    for data in ({}, {"user": 1, "cart": [1, 2]}, {"text": "x" * 400}, {"deep": {"er": (1, {2})}})
)
_live = frozenset(_tokens)
# One process may hold one open memory list. This one is used to the end of the process, by pytest
# beside the lists of other tests: closing gives up the claim, and nothing else of a memory list.
_connector.close()


def grown(data: bytes) -> bytes:
    """The input; one whose first byte is above 250 is repeated until it is 1 MB long."""
    if len(data) > 1 and data[0] > 250:
        return (data[1:] * (MAX_INPUT // (len(data) - 1) + 1))[:MAX_INPUT]
    return data[1:]


def token(data: bytes) -> None:
    """Token decoding: what is no live token of ours is None, and nothing raises."""
    kind, rest = data[:1], grown(data[1:])
    text = {
        b"\0": lambda: rest.decode("utf-8", "surrogateescape"),
        b"\1": lambda: rest.decode("latin-1"),
        b"\2": lambda: base64.urlsafe_b64encode(rest).decode("ascii"),
        b"\3": lambda: base64.urlsafe_b64encode(b"\x80" + rest).rstrip(b"=").decode("ascii"),
    }.get(kind, lambda: _edited(rest))()
    session = _connector.get_session(text)
    if (session is not None) != (text in _live):
        raise AssertionError("accepted a text that is no token of ours, or refused one that is")
    SessionStore(text, connector=_connector).get("user")
    _connector.session_id_of(text)


def _edited(data: bytes, texts: tuple[str, ...] = _tokens) -> str:
    """A live token with a few edits: each three bytes are where, what kind, which character."""
    if not data:
        return texts[0]
    text = list(texts[data[0] % len(texts)])
    for at in range(1, min(len(data), 12) - 2, 3):
        where, what, char = data[at], data[at + 1], chr(data[at + 2])
        spot = where * len(text) // 256
        if what < 80:
            text[spot : spot + 1] = [char]
        elif what < 160:
            text.insert(spot, char)
        elif what < 200:
            del text[spot:]
        else:
            text.append(char)
    return "".join(text)


def payload(data: bytes) -> None:
    """An authenticated but hostile or foreign payload, alone and inside a token."""
    packed = grown(data)
    try:
        session = unpack(packed)
    except SessionSerializationError:
        session = None
    if session is not None:
        _stays(session)
    _sealed(seal_token(_ring, _claims, packed[:2_800], NOW))
    _sealed(seal_token(_ring, _claims, packed, NOW, deflate=True))
    # Claims too: the key is right, the layout need not be.
    plain = packed[:2_800]
    _sealed(_ring.encrypt(plain, NOW).rstrip(b"=").decode("ascii"))
    try:
        claims, at, deflated = read_claims(plain)
    except (ValueError, struct.error):
        return
    if write_claims(claims, deflated=deflated) != plain[:at]:
        raise AssertionError("claims were read that would be written in another way")


def _stays(session: dict[Any, Any]) -> None:
    """What was read can be written, and is then the same for good."""
    try:
        once = pack(session)
    except SessionSerializationError:
        return  # as deep as can be read is one level deeper than can be written
    if pack(unpack(once)) != once:
        raise AssertionError("a session changes when it is read and written")


def _sealed(text: str) -> None:
    try:
        open_token(_ring, text)
    except TokenRefused:
        if _connector.get_session(text) is not None:
            raise AssertionError("a refused token gave a session") from None
    else:
        _connector.get_session(text)


def cookie(data: bytes) -> None:
    """The Cookie header: found as by splitting, in text and in bytes; never raises."""
    header = grown(data)
    name = ("session_id", "a", "__Host-s")[data[0] % 3] if data else "a"
    found = find_cookie(header, name.encode())
    if found != _by_splitting(header, name.encode()):
        raise AssertionError("the cookie was found elsewhere than by splitting")
    text = find_cookie(header.decode("latin-1"), name)
    if (None if found is None else found.decode("latin-1")) != text:
        raise AssertionError("text and bytes differ")
    merge_vary(header[:4096].decode("latin-1"))
    store = SessionStore(text, connector=_connector)
    store.get("user")
    for _, value in session_headers(store):
        _is_header(value)


def _by_splitting(header: bytes, name: bytes) -> bytes | None:
    for part in header.split(b";"):
        left, equals, value = part.lstrip(b" \t").partition(b"=")
        if equals and left == name:
            return value.strip(b" \t")
    return None


def settings(data: bytes) -> None:
    """Settings of any type and value: valid, or InvalidSettings that shows no secret."""
    values = _Values(data)
    mapping: dict[str, Any] = {"SESSION_SECRET_KEYS": [SECRET]}
    for name in SessionSettings.__dataclass_fields__:
        if values.byte() % 4 == 0:
            mapping[setting_name(name)] = values.value(4)
    for name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS"):
        if values.byte() % 8 == 0:
            mapping[name] = values.value(4)
    try:
        made = SessionSettings.from_mapping(mapping)
    except InvalidSettings as error:
        if SECRET in str(error):
            raise AssertionError("a secret is shown") from None
        return
    if SECRET in repr(made):
        raise AssertionError("a secret is shown")
    _is_header(set_cookie(made, _tokens[0], 60))
    ring = KeyRing.of(made)
    opened = open_token(ring, seal_token(ring, _claims, b"\x80", NOW, deflate=made.compress))
    if opened != (_claims, b"\x80", 0):
        raise AssertionError("a token does not come back")


def _is_header(value: str) -> None:
    if any(char < " " or char == "\x7f" for char in value):
        raise AssertionError("a header with a control character")


class _Values:
    """Python values out of bytes; zeros when the bytes have run out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 1

    def bytes(self) -> bytes:
        size, first = self.byte(), b""
        if size > 250:
            size, first = self.byte(), b"\xff"
        taken = self._data[self._at : self._at + size]
        self._at += size
        return grown(first + taken) if first else taken

    def value(self, depth: int) -> Any:
        text = self.bytes
        makers: tuple[Callable[[], Any], ...] = (
            lambda: None,
            lambda: bool(self.byte() & 1),
            lambda: self.byte(),
            lambda: int.from_bytes(text(), "big", signed=True),
            lambda: float(FLOATS[self.byte() % 8]),
            lambda: text().decode("utf-8", "surrogateescape"),
            lambda: text().decode("latin-1") + "x" * 32,
            lambda: text(),
            lambda: timedelta(seconds=self.byte() * 1000 - 10_000),
            lambda: Path(text().decode("latin-1")),
            lambda: ("Lax", "none", "refuse", "accept", "/", "__Host-a", "redis://h")[
                self.byte() % 7
            ],
            lambda: object(),
            lambda: [self.value(depth - 1) for _ in range(self.byte() % 4)] if depth else [],
            lambda: tuple(self.value(depth - 1) for _ in range(self.byte() % 4)) if depth else (),
            lambda: {text(): self.value(depth - 1)} if depth else {},
        )
        return makers[self.byte() % len(makers)]()


_private = ec.derive_private_key(123456789, ec.SECP256R1())
_numbers = _private.public_key().public_numbers()
_x, _y = _numbers.x.to_bytes(32, "big"), _numbers.y.to_bytes(32, "big")
_key = DeviceKey(_x + _y)


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signed(header: bytes, payload: bytes) -> str:
    signed = f"{_unpadded(header)}.{_unpadded(payload)}"
    r, s = decode_dss_signature(_private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_unpadded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


_jwk = f'{{"kty":"EC","crv":"P-256","x":"{_unpadded(_x)}","y":"{_unpadded(_y)}"}}'
_head = f'{{"alg":"ES256","jwk":{_jwk},"typ":"dbsc+jwt"}}'.encode()
_jws = _signed(_head, b'{"jti":"challenge"}')


def device(data: bytes) -> None:
    """What should be a browser's signature: refused by name, or one that is ours to the letter."""
    kind, rest = data[:1], grown(data[1:])
    header, _, payload = rest.partition(b"\n")
    if kind == b"\0":
        text = rest.decode("utf-8", "surrogateescape")
    elif kind == b"\1":  # hostile, but signed by the right key
        text = _signed(header, payload)
    elif kind == b"\2":
        text = _signed(_head, rest)
    elif kind == b"\3":
        text = f"{_unpadded(header)}.{_unpadded(payload)}.{_unpadded(rest[-64:])}"
    else:
        text = _edited(rest, (_jws,))
    try:
        challenge = claimed_challenge(text)
    except ProofRefused:
        challenge = "challenge"
    accepted = False
    with contextlib.suppress(ProofRefused):
        verify_refresh(text, key=_key, challenge=challenge)
        accepted = True
    with contextlib.suppress(ProofRefused):  # by whatever key it brings: anyone may sign with his
        accepted |= verify_registration(text, challenge=challenge) == _key
    if not accepted:
        return
    if kind not in (b"\1", b"\2") and text != _jws:
        raise AssertionError("accepted what nobody signed")
    if len(text) > MAX_JWS or claimed_challenge(text) != challenge:
        raise AssertionError("accepted what is no proof")


_name = "__Host-session"
_site = "https://app.test"
_list_now = [float(NOW)]
bindable = SessionStorageConnector(
    lambda: MemoryRevocationList(lambda: _list_now[0]),
    settings=SessionSettings(
        secret_keys=(SECRET,), subject_key="user", cookie_name=_name, device_binding="offer"
    ),
    clock=lambda: float(NOW),
)


def _good_values() -> dict[str, str]:
    """What the browser of a bound session sends, header by header, some in more than one form."""
    rules, now_ms = bindable.rules, NOW * 1000
    seals, token = rules.seals, bindable.set_session(None, {"user": "ada"})
    session_id = bindable.session_id_of(token)
    assert seals is not None
    assert session_id is not None
    bound = Sealed(b"b" * 16, session_id, now_ms + 3_600_000, _key.point)
    lines = seals.set_key(bound, now_ms), seals.set_proof(bound, now_ms)
    pair = [line.partition(";")[0] for line in lines]
    cookies = "; ".join([f"{_name}={token}", *pair])
    bindable.load(token, cookies)  # its first request with a proof
    _list_now[0] += 31
    challenges = [
        seals.challenge(purpose, b"b" * 16, session_id, now_ms)
        for purpose in (REGISTRATION, REFRESH)
    ]
    registers, renews = (_signed(_head, f'{{"jti":"{one}"}}'.encode()) for one in challenges)
    return {
        "cookies": cookies,
        "without proof": cookies.rpartition(";")[0],
        "registers": registers,
        "renews": renews,
        "binding": binding_text(b"b" * 16),
        "skipped": f'server_error;session_identifier="{binding_text(b"b" * 16)}"',
        "origin": _site,
        "host": "app.test",
    }


_good = _good_values()
bindable.close()  # as above
_HEADERS = (
    "cookie",
    "secure-session-response",
    "sec-secure-session-id",
    "secure-session-skipped",
    "origin",
    "host",
    "sec-fetch-site",
    "sec-fetch-mode",
)
_REQUESTS = (
    ("POST", "/.session-device/registration"),
    ("POST", "/.session-device/refresh"),
    ("GET", "/"),
)
_PROOF = _good["cookies"].rpartition("=")[2]


async def _page(scope: Any, receive: Any, send: Any) -> None:
    """Tells who is logged in."""
    body = scope["session"].get("user", "").encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


_site_app = CookieSessionMiddleware(_page, connector=bindable)


def binding(data: bytes) -> None:
    """The headers of a browser that binds sessions: answered, and nothing is had without a key.

    A line is a header; one that begins with a control character is a good value with edits.
    """
    values, headers = tuple(_good.values()), {}
    for name, line in zip(_HEADERS, grown(data).split(b"\n", len(_HEADERS)), strict=False):
        if line and line[0] < 32:
            line = _edited(line[1:], (values[line[0] % len(values)],)).encode("latin-1")
        headers[name] = line
    method, path = _REQUESTS[data[0] % 3 if data else 2]
    pairs = [(name.encode(), value) for name, value in headers.items() if value]
    start, body = _asked({"type": "http", "method": method, "path": path, "headers": pairs})
    for _, value in start["headers"]:
        _is_header(value.decode("latin-1"))
    if method == "GET":
        if body["body"] == b"ada" and _PROOF.encode() not in headers.get("cookie", b""):
            raise AssertionError("a bound session was opened without its proof")
        return
    if start["status"] not in (200, 401, 403):
        raise AssertionError("an answer that no browser knows")
    signed = headers.get("secure-session-response", b"").decode("latin-1")
    if start["status"] == 200 and signed not in (_good["registers"], _good["renews"]):
        raise AssertionError("accepted what nobody signed")


def _asked(scope: dict[str, Any]) -> list[Any]:
    """What the middleware sends; nothing here has to wait, so no event loop is needed."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    with contextlib.suppress(StopIteration):
        _site_app(scope, None, send).send(None)
        raise AssertionError("the middleware waits for something")
    return sent


TARGETS: dict[str, Callable[[bytes], None]] = {
    "token": token,
    "cookie": cookie,
    "payload": payload,
    "settings": settings,
    "device": device,
    "binding": binding,
}
