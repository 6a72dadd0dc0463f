"""What a session bound to a device adds to a request, and what binding and renewing it take."""

from __future__ import annotations

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.benchmarks import ours
from tests.benchmarks.asgi_apps import AsgiApplication
from tests.benchmarks.data import session_data
from tests.benchmarks.measure import (
    Contender,
    Options,
    awaiting,
    calling,
    measure,
    row,
    same,
    table,
)
from tests.benchmarks.report import RoundTripError, Section, Table
from tests.helpers.device_browser import signed

NAME = "device"
COOKIE, PATH = "__Host-session", "/.session-device"
OFF, NOT_BOUND = "off", "on, not bound"
SEEN, NEW = "on, bound, proof seen before", "on, bound, a new proof"
BARE = "an ES256 verification alone"
BINDING = b"b" * 16


def run(options: Options) -> Section:
    """Requests with the setting off and on; registration and renewal over a bare verification."""
    section = Section(NAME)
    if not ours.available():
        section.leave_out(f"{ours.DISTRIBUTION} (not installed)")
        return section
    loop = asyncio.new_event_loop()
    off = ours.Node("memory", cookie_name=COOKIE)
    on = ours.Node("memory", cookie_name=COOKIE, device_binding="offer")
    try:
        bound = _Bound(on, loop)
        bound.prove()
        for case in ("read", "written"):
            section.tables.append(_requests(case, off, bound, loop, options))
        section.tables.append(_endpoints(bound, options))
        _judge(section)
    finally:
        off.close()
        on.close()
        loop.close()
    return section


class _Bound:
    """A session bound to a key, as the browser that has the key sees it."""

    def __init__(self, node: ours.Node, loop: asyncio.AbstractEventLoop) -> None:
        from duck_cookie_session.device.jws import DeviceKey
        from duck_cookie_session.device.sealed import REFRESH, REGISTRATION, Sealed

        self.node, self.loop = node, loop
        self.private = generate_private_key(SECP256R1())
        numbers = self.private.public_key().public_numbers()
        self.point = b"".join(number.to_bytes(32, "big") for number in (numbers.x, numbers.y))
        self.token = node.encode_new(session_data(380))
        session_id = node.own.session_id_of(self.token)
        now_ms = int(time.time() * 1000)
        self._key = Sealed(BINDING, session_id, now_ms + 3_600_000, DeviceKey(self.point).point)
        seals = node.own.rules.seals
        assert session_id is not None
        assert seals is not None
        self._seals = seals
        self._key_cookie = self._seals.set_key(self._key, now_ms).partition(";")[0]
        self._pairs = f"{COOKIE}={self.token}; {self._key_cookie}"
        self.registers, self.renews = (
            signed(
                self.private, seals.challenge(purpose, BINDING, session_id, now_ms), with_key=True
            )
            for purpose in (REGISTRATION, REFRESH)
        )
        self.cookies = self.fresh_cookies()
        self.app = AsgiApplication("", ours.asgi_middleware(_endpoint, node.own), loop, "bare")

    def fresh_cookies(self, _: int = 0) -> str:
        """A Cookie header with a proof that was never seen before."""
        proof = self._seals.set_proof(self._key, int(time.time() * 1000)).partition(";")[0]
        return f"{self._pairs}; {proof}"

    def post(self, path: str, signed: str) -> dict[str, Any]:
        """The scope of a registration or renewal."""
        scope = {**self.app.scope(PATH + path, self.cookies), "method": "POST"}
        own = [(b"secure-session-response", signed.encode())] if signed else []
        binding = urlsafe_b64encode(BINDING).rstrip(b"=")
        scope["headers"] = [*scope["headers"], *own, (b"sec-secure-session-id", binding)]
        return scope

    def verify(self, signed: str) -> None:
        """What neither can do without: the key made of its point, and the signature verified."""
        text, _, signature = signed.rpartition(".")
        raw = urlsafe_b64decode(signature + "==")
        r, s = (int.from_bytes(part, "big") for part in _halves(raw))
        public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b"\x04" + self.point)
        public.verify(encode_dss_signature(r, s), text.encode(), ECDSA(SHA256()))

    def prove(self) -> None:
        """Bind the session, and check that a copy of its cookie alone has no proof."""
        registered, renewed = (
            self._status(self.post(path, signed))
            for path, signed in (("/registration", self.registers), ("/refresh", self.renews))
        )
        if (registered, renewed, self._status(self.post("/refresh", ""))) != (200, 200, 403):
            raise RoundTripError(f"{ours.label()}: a registration or renewal was not answered")
        if self.app.ask("/bound", self.cookies).body != "True":
            raise RoundTripError(f"{ours.label()}: the session was not bound")
        if self.app.ask("/bound", f"{COOKIE}={self.token}").body != "False":
            raise RoundTripError(f"{ours.label()}: a copied cookie passed for bound")

    def _status(self, scope: dict[str, Any]) -> int:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        app = ours.asgi_middleware(_endpoint, self.node.own)
        self.loop.run_until_complete(app(scope, None, send))
        return int(messages[0]["status"])


def _halves(data: bytes) -> tuple[bytes, bytes]:
    return data[:32], data[32:]


async def _endpoint(scope: Any, receive: Any, send: Any) -> None:
    del receive
    session, path, body = scope["session"], scope["path"], ""
    if path == "/write":
        session["locale"] = "sv_FI" if session.get("locale") == "sv_SE" else "sv_SE"
    elif path == "/bound":
        body = str(session.device_bound)
    else:
        body = str(session.get("user_id"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


def _requests(
    case: str, off: ours.Node, bound: _Bound, loop: asyncio.AbstractEventLoop, options: Options
) -> Table:
    """Whole requests, then what each adds to the row before it, round by round."""
    path = "/write" if case == "written" else "/read"
    unbound = f"{COOKIE}={off.encode_new(session_data(380))}"
    off_app = AsgiApplication("", ours.asgi_middleware(_endpoint, off.own), loop, "bare")
    stranger = f"{COOKIE}={bound.node.encode_new(session_data(380))}"

    def contender(
        name: str, app: AsgiApplication, cookies: Callable[[int], Sequence[str]]
    ) -> Contender:
        def scopes(count: int) -> list[Any]:
            return [app.scope(path, cookie) for cookie in cookies(count)]

        return Contender(name, awaiting(loop.run_until_complete, app.serve, scopes), limit=400)

    fresh = ours.Fresh(bound.fresh_cookies)
    samples = measure(
        [
            contender(OFF, off_app, same(unbound)),
            contender(NOT_BOUND, bound.app, same(stranger)),
            contender(SEEN, bound.app, same(bound.cookies)),
            contender(NEW, bound.app, fresh.take),
        ],
        options,
    )
    found = table(f"a request, {case}", samples, OFF)
    for name, base in ((NOT_BOUND, OFF), (SEEN, NOT_BOUND), (NEW, SEEN)):
        extra = [own - other for own, other in zip(samples[name], samples[base], strict=True)]
        found.rows.append(row(f"added by {name!r} to {base!r}", extra))
    return found


def _endpoints(bound: _Bound, options: Options) -> Table:
    """Registration and renewal over a bare verification."""

    def contender(name: str, path: str, signed: str) -> Contender:
        def scopes(count: int) -> list[Any]:
            return [bound.post(path, signed) for _ in range(count)]

        run_one = bound.loop.run_until_complete
        return Contender(name, awaiting(run_one, bound.app.serve, scopes), limit=400)

    entries = [
        Contender(BARE, calling(bound.verify, same(bound.renews))),
        contender("registration", "/registration", bound.registers),
        contender("renewal", "/refresh", bound.renews),
        contender("renewal, asked for a signature", "/refresh", ""),
    ]
    return table("registration and renewal", measure(entries, options), BARE)


def _judge(section: Section) -> None:
    for found, case in zip(section.tables, ("read", "written"), strict=False):
        extra = found.median(f"added by {SEEN!r} to {NOT_BOUND!r}")
        assert extra is not None
        section.judge_figure(f"{case}: a proof seen before adds", extra, 2.0, "us")
