"""A small site on the standard library, over http or https, whose session is this library's."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from duck_cookie_session import (
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SQLiteRevocationList,
    session_headers,
)
from duck_cookie_session.response import find_cookie


@dataclass(frozen=True)
class Site:
    """A running site.

    Attributes:
        scheme: http or https.
        port: on 127.0.0.1, which is also localhost: another site to a browser.
        settings: of its sessions.
    """

    scheme: str
    port: int
    settings: SessionSettings

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the session as JSON.

    `/write?text=...` writes to the session, `/raw?header=...` sends that Set-Cookie header as it
    is, `/form?to=...` has a button that posts there and a link that leads there.
    """

    connector: SessionStorageConnector

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        cookies = self.headers.get("Cookie") or ""
        settings = self.connector.settings
        session = SessionStore(find_cookie(cookies, settings.cookie_name), connector=self.connector)
        headers: list[tuple[str, str]] = []
        if url.path == "/form":
            self._send(
                f'<form method="post" action="{query["to"]}"><button>Post</button></form>'
                f'<a href="{query["to"]}">Link</a>',
                "text/html",
                headers,
            )
            return
        if url.path == "/raw":
            headers.append(("Set-Cookie", query["header"]))
        else:
            if url.path == "/write":
                session["text"] = query["text"]
            shown: dict[str, Any] = {"session": dict(session), "cookies": cookies}
            headers += session_headers(session)
            self._send(json.dumps(shown), "application/json", headers)
            return
        self._send("{}", "application/json", headers)

    def _send(self, text: str, content_type: str, headers: list[tuple[str, str]]) -> None:
        body = text.encode("utf-8")
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at the answers."""


@contextlib.contextmanager
def serving(
    folder: Path, settings: SessionSettings, certificate: Path | None = None
) -> Iterator[Site]:
    """The site, until the block is left; https with a certificate, else http."""
    connector = SessionStorageConnector(lambda: SQLiteRevocationList(folder), settings=settings)
    handler = type("Handler", (_Handler,), {"connector": connector})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake belongs into the thread of its connection, not into the one that accepts.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        scheme = "https" if certificate is not None else "http"
        yield Site(scheme, server.server_address[1], settings)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        connector.close()
