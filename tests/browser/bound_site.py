"""A site over https that binds sessions to the browser, and remembers what it saw.

Not the library's own: it answers what a test tells it to, so that what browsers make of an answer
can be found out, and held against the browser in Python (`tests/helpers/device_browser.py`).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from duck_cookie_session.device.jws import DeviceKey, verify_refresh, verify_registration

from .authority import Authority

ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
AGE = 600
Headers = list[tuple[str, str]]
PAGE = "<!doctype html><link rel=icon href='data:,'><title>{title}</title>"
RELOADS = '<meta http-equiv="refresh" content="0">'


@dataclass
class BoundSite:
    """What the site does and what it saw.

    Attributes:
        saw: a few words for each request, in order.
        registering: status of the answers to registrations, the first for the first; then 200.
        refreshing: the same of renewals that are signed.
        ended: whether every renewal is answered 401.
    """

    port: int = 0
    saw: list[str] = field(default_factory=list)
    registering: list[int] = field(default_factory=list)
    refreshing: list[int] = field(default_factory=list)
    ended: bool = False
    _key: DeviceKey | None = None
    _number: int = 0

    def url(self, host: str, path: str) -> str:
        return f"https://{host}:{self.port}{path}"

    def wait_for(self, what: str, times: int = 1) -> None:
        """Until it has seen this, or AssertionError after 10 s: browsers do some things beside."""
        until = time.monotonic() + 10
        while self.saw.count(what) < times:
            assert time.monotonic() < until, self.saw
            time.sleep(0.01)

    def answer(self, target: str, headers: dict[str, str]) -> tuple[int, Headers, str]:
        """Status, headers and body; names of headers in lower case."""
        path, _, query = target.partition("?")
        if path == "/.device/register":
            return self._register(headers)
        if path == "/.device/refresh":
            return self._refresh(headers)
        return self._page(path, query, headers)

    def _page(self, path: str, query: str, headers: dict[str, str]) -> tuple[int, Headers, str]:
        if path == "/link":
            return 200, [], PAGE.format(title="link") + f'<a href="{query}">Link</a>'
        if path == "/login":
            self.saw.append("login")
            self._number += 1
            offer = f'(ES256);path="/.device/register";challenge="{self._challenge}"'
            return (
                303,
                [
                    ("Location", "/home"),
                    ("Set-Cookie", f"__Host-session=s; {ATTRIBUTES}"),
                    ("Secure-Session-Registration", offer),
                ],
                "",
            )
        words = ["page", "with proof" if "__Host-proof=" in headers.get("cookie", "") else "alone"]
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            words.append("from elsewhere")
        if "secure-session-skipped" in headers:
            words.append("skipped " + headers["secure-session-skipped"].replace(" ", ""))
        self.saw.append(" ".join(words))
        reloads = RELOADS if words[1:] == ["alone", "from elsewhere"] else ""
        return 200, [], PAGE.format(title=path) + reloads

    def _register(self, headers: dict[str, str]) -> tuple[int, Headers, str]:
        assert headers["origin"].startswith("https://")
        assert headers["sec-fetch-site"] == "same-origin"
        assert "__Host-session=s" in headers["cookie"]
        response = headers["secure-session-response"]
        self._key = verify_registration(response, challenge=self._challenge)
        status = self.registering.pop(0) if self.registering else 200
        self.saw.append(f"register {status}")
        if status != 200:
            return status, [], ""
        credential = {"type": "cookie", "name": "__Host-proof", "attributes": ATTRIBUTES}
        told = {
            "session_identifier": "sid",
            "refresh_url": "/.device/refresh",
            "scope": {"include_site": False},
            "credentials": [credential],
        }
        return 200, [self._proof()], json.dumps(told)

    def _refresh(self, headers: dict[str, str]) -> tuple[int, Headers, str]:
        assert headers["sec-secure-session-id"] == "sid"
        assert "__Host-session=s" in headers["cookie"]
        challenge = ("Secure-Session-Challenge", f'"{self._challenge}";id="sid"')
        if self.ended:
            self.saw.append("refresh 401")
            return 401, [], ""
        response = headers.get("secure-session-response")
        if response is None:
            self.saw.append("refresh unsigned")
            return 403, [challenge], ""
        assert self._key is not None
        verify_refresh(response, key=self._key, challenge=self._challenge)
        status = self.refreshing.pop(0) if self.refreshing else 200
        self.saw.append(f"refresh {status}")
        if status == 403:
            return 403, [challenge], ""
        if status != 200:
            return status, [], ""
        self._number += 1
        following = ("Secure-Session-Challenge", f'"{self._challenge}";id="sid"')
        return 200, [self._proof(), following], ""

    @property
    def _challenge(self) -> str:
        return f"challenge-{self._number}"

    def _proof(self) -> tuple[str, str]:
        return "Set-Cookie", f"__Host-proof=p; {ATTRIBUTES}; Max-Age={AGE}"


class _Handler(http.server.BaseHTTPRequestHandler):
    site: BoundSite

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more, text = self.site.answer(self.path, headers)
        body = text.encode()
        self.send_response(status)
        kind = "application/json" if text.startswith("{") else "text/html; charset=utf-8"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # its body is empty

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what the site saw."""


@contextlib.contextmanager
def binding(authority: Authority) -> Iterator[BoundSite]:
    """The site, until the block is left."""
    site = BoundSite()
    handler = type("Handler", (_Handler,), {"site": site})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server)
    # The handshake belongs into the thread of its connection, not into the one that accepts.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        site.port = server.server_address[1]
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
