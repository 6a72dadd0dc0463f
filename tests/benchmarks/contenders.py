"""The codecs of the peers: session data to cookie value and back, each by the peer's own code."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgpack
from cryptography.fernet import Fernet

from tests.benchmarks.data import KEY_32, SECRET
from tests.benchmarks.peers import label, missing
from tests.benchmarks.report import RoundTripError, Section

Encode = Callable[[dict[str, Any]], Any]
Decode = Callable[[Any], Any]


@dataclass
class Codec:
    """Both directions of one peer.

    `encrypts`: the client can't read the data. `is_session`: a session library, with an expiry of
    its own, and not bare cryptography.
    """

    name: str
    encode: Encode
    decode: Decode
    encrypts: bool
    text: Callable[[Any], str] = str
    is_session: bool = True

    def prove(self, data: dict[str, Any]) -> None:
        """Check that data comes back, and none of it from a token with one character changed."""
        token = self.encode(data)
        back = self.decode(token)
        if back is None or dict(back) != data:
            raise RoundTripError(f"{self.name}: what came back is not what went in")
        middle = len(token) // 2
        wrong: Any = "A" if token[middle : middle + 1] not in ("A", b"A") else "B"
        wrong = wrong.encode() if isinstance(token, bytes) else wrong
        try:
            back = self.decode(token[:middle] + wrong + token[middle + 1 :])
        except Exception:  # noqa: BLE001 - every peer has its own error for a bad token; all of them are a refusal
            return
        if back:
            raise RoundTripError(f"{self.name}: a token with one character changed was accepted")


def bare_fernet() -> Codec:
    """What cannot be undercut with the standard parts: Fernet and msgpack, nothing else."""
    fernet = Fernet(urlsafe_b64encode(KEY_32))
    return Codec(
        label("cryptography", "Fernet + msgpack"),
        lambda data: fernet.encrypt(msgpack.packb(data)),
        lambda token: msgpack.unpackb(fernet.decrypt(token)),
        True,
        bytes.decode,
        is_session=False,
    )


def peers(section: Section) -> list[Codec]:
    """Every peer's codec that is installed; the others are named in the section."""
    makers: list[tuple[tuple[str, ...], Callable[[], Codec]]] = [
        (("rfernet",), _rfernet),
        (("starlette", "itsdangerous"), _starlette),
        (("starsessions",), _starsessions),
        (("litestar",), _litestar),
        (("pyramid-nacl-session", "pyramid"), _pyramid_nacl),
        (("aiohttp-session", "aiohttp"), _aiohttp),
        (("flask",), _flask),
        (("django",), _django),
    ]
    return [make() for distributions, make in makers if not missing(section, *distributions)]


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the coroutine waits for something")


def _rfernet() -> Codec:
    import rfernet

    fernet = rfernet.Fernet(urlsafe_b64encode(KEY_32).decode())
    return Codec(
        label("rfernet", "+ msgpack"),
        lambda data: fernet.encrypt(msgpack.packb(data)),
        lambda token: msgpack.unpackb(fernet.decrypt(token)),
        True,
        is_session=False,
    )


def _starlette() -> Codec:
    from itsdangerous import TimestampSigner

    signer = TimestampSigner(SECRET)
    return Codec(
        label("starlette", "(signed)"),
        lambda data: signer.sign(b64encode(json.dumps(data).encode())).decode(),
        lambda token: json.loads(b64decode(signer.unsign(token.encode(), max_age=1_209_600))),
        False,
    )


def _starsessions() -> Codec:
    from starsessions import CookieStore, JsonSerializer

    store, serializer = CookieStore(SECRET), JsonSerializer()

    def decode(token: str) -> Any:
        return serializer.deserialize(finish(store.read(token, 1_209_600)))

    return Codec(
        label("starsessions", "(signed)"),
        lambda data: finish(store.write("", serializer.serialize(data), 1_209_600, 1_209_600)),
        decode,
        False,
    )


def _litestar() -> Codec:
    from litestar.middleware.session.client_side import (
        ClientSideSessionBackend,
        CookieBackendConfig,
    )

    backend = ClientSideSessionBackend(CookieBackendConfig(secret=KEY_32))
    return Codec(
        label("litestar", "(AES-GCM)"),
        lambda data: b"".join(backend.dump_data(data)),
        lambda token: backend.load_data([token]),
        True,
        bytes.decode,
    )


def _pyramid_nacl() -> Codec:
    from pyramid.session import JSONSerializer
    from pyramid_nacl_session import EncryptedSerializer

    serializer = EncryptedSerializer(KEY_32, JSONSerializer())
    return Codec(
        label("pyramid-nacl-session", "(SecretBox)"),
        serializer.dumps,
        serializer.loads,
        True,
        bytes.decode,
    )


def _aiohttp() -> Codec:
    from aiohttp.web import Response
    from aiohttp_session import Session
    from aiohttp_session.cookie_storage import EncryptedCookieStorage

    storage: Any = EncryptedCookieStorage(KEY_32)

    class CookiesOnly:
        """The one attribute that the storage reads of a request."""

        def __init__(self, token: str) -> None:
            self.cookies = {storage.cookie_name: token}

    def encode(data: dict[str, Any]) -> str:
        session = Session(None, data={"session": data, "created": 1_700_000_000}, new=False)
        response = Response()
        finish(storage.save_session(None, response, session))
        return response.cookies[storage.cookie_name].value

    def decode(token: str) -> dict[str, Any]:
        return dict(finish(storage.load_session(CookiesOnly(token))))

    return Codec(label("aiohttp-session", "(Fernet)"), encode, decode, True)


def _flask() -> Codec:
    from flask import Flask
    from flask.sessions import SecureCookieSessionInterface

    app = Flask("benchmark")
    app.secret_key = SECRET
    serializer: Any = SecureCookieSessionInterface().get_signing_serializer(app)
    return Codec(label("flask", "(signed)"), serializer.dumps, serializer.loads, False)


def _django() -> Codec:
    from django.core import signing

    from tests.benchmarks import django_app

    django_app.configure()
    salt = "django.contrib.sessions.backends.signed_cookies"
    return Codec(
        label("django", "(signed)"),
        lambda data: signing.dumps(data, key=SECRET, salt=salt, compress=True),
        lambda token: signing.loads(token, key=SECRET, salt=salt, max_age=1_209_600),
        False,
    )
