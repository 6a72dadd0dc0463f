"""Applications run by their real servers as processes of their own, and a client for them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from duck_cookie_session import SessionSettings, SessionStorageConnector, SQLiteRevocationList

APPS = Path(__file__).parent / "apps"
COOKIE = "session_id"
SUBJECT_KEY = "_auth_user_id"
START = 60
"""Seconds that a server may take to start."""

_UVICORN = ["-m", "uvicorn", "--log-level", "warning", "--port", "{port}", "--app-dir", str(APPS)]
_GUNICORN = ["-m", "gunicorn", "--threads", "4", "-b", "127.0.0.1:{port}", "--pythonpath"]


@dataclass(frozen=True)
class Kind:
    """An adapter under one server. A new adapter joins the suite with one of these.

    Attributes:
        command: what Python is started with; {port} is filled in.
        environment: what the application reads besides.
        own: whether the framework's own middleware is kept in place of ours.
        last_cookie: whether the framework hands over the last of two cookies of one name.
        utf8: whether the server itself refuses a request that is not UTF-8.
    """

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    own: bool = False
    last_cookie: bool = False
    utf8: bool = False


_DUCK = Kind([str(APPS / "duck_app.py")], utf8=True)
_DJANGO = Kind([*_GUNICORN, str(APPS), "django_app:application"])
_DUCKS_OWN = {"SITE_MIDDLEWARE": "duck.http.middlewares.contrib.session"}
_DJANGOS_OWN = {"SITE_MIDDLEWARE": "django.contrib.sessions.middleware"}
_ASYNC = {"SITE_ASYNC": "1"}

KINDS = {
    "duck": _DUCK,
    "duck-async": replace(_DUCK, environment=_ASYNC),
    "duck-own-middleware": replace(_DUCK, environment=_DUCKS_OWN, own=True, last_cookie=True),
    "asgi": Kind([*_UVICORN, "starlette_app:application"]),
    "flask": Kind([str(APPS / "flask_app.py")]),
    "django": _DJANGO,
    "django-async": replace(
        _DJANGO, command=[*_UVICORN, "django_app:application"], environment=_ASYNC
    ),
    "django-own-middleware": replace(_DJANGO, environment=_DJANGOS_OWN, own=True, last_cookie=True),
    "wsgi": Kind([str(APPS / "wsgi_app.py")]),
    "aiohttp": Kind([str(APPS / "aiohttp_app.py")]),
}


class Response:
    """What a client got."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body.decode()

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def tokens(self, name: str) -> set[str]:
        """The words of a header that is a list, in lower case."""
        return {word.strip().lower() for word in ",".join(self.all(name)).split(",")} - {""}

    @property
    def set_cookie(self) -> str | None:
        """The session's `Set-Cookie`, of which there is one at most."""
        found = [value for value in self.all("Set-Cookie") if value.startswith(COOKIE + "=")]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def deletes(self) -> bool:
        """Whether it deletes the session's cookie."""
        text = (self.set_cookie or "").lower()
        return "max-age=0" in text or "01 jan 1970" in text or "01-jan-1970" in text

    @property
    def state(self) -> dict[str, Any]:
        """What /show and the like say of the session."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Client:
    """A browser with one cookie jar, for the nodes of one site."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.ports = ports
        self.cookie: str | None = None

    def get(
        self,
        path: str,
        *,
        node: int = 0,
        cookie: str | bytes | None = None,
        method: str = "GET",
        **args: object,
    ) -> Response:
        """One request.

        Args:
            node: which of the site's processes is asked.
            cookie: a whole Cookie header, in place of the jar, which then stays as it is.
        """
        header = cookie
        if cookie is None and self.cookie is not None:
            header = f"{COOKIE}={self.cookie}"
        headers = {} if header is None else {"Cookie": header}
        target = f"{path}?{urlencode(args)}" if args else path
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[node], timeout=20)
        with contextlib.closing(connection):
            connection.request(method, target, headers=headers)
            got = connection.getresponse()
            response = Response(got.status, got.getheaders(), got.read())
        if cookie is None and response.set_cookie is not None:
            value = response.set_cookie.partition("=")[2].partition(";")[0]
            self.cookie = None if response.deletes else value
        return response

    def show(self, **options: Any) -> dict[str, Any]:
        """The session as the application sees it."""
        return self.get("/show", **options).state


@dataclass
class Site:
    """Two processes of one application, with one secret and one revocation list."""

    kind: Kind
    ports: tuple[int, ...]
    secret: str
    folder: Path

    def client(self) -> Client:
        """A new visitor."""
        return Client(self.ports)

    @contextlib.contextmanager
    def connector(self, *, ago: float = 0, **changes: Any) -> Iterator[SessionStorageConnector]:
        """A node in this process, whose clock may be behind by `ago` seconds."""
        settings = SessionSettings(
            **{"secret_keys": (self.secret,), "cookie_name": COOKIE, "subject_key": SUBJECT_KEY}
            | changes
        )
        made = SessionStorageConnector(
            lambda: SQLiteRevocationList(self.folder),
            settings=settings,
            clock=lambda: time.time() - ago,
        )
        try:
            yield made
        finally:
            made.close()


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of the loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return tuple(found.getsockname()[1] for found in sockets)


@contextlib.contextmanager
def serving(
    kind: Kind, folder: Path, *, nodes: int = 2, list_url: str = "", secret: str | None = None
) -> Iterator[Site]:
    """Run an application until the block is left; it may have run in this folder before."""
    ports, secret = free_ports(nodes), secret or secrets.token_urlsafe(48)
    environment = {
        **os.environ,
        **kind.environment,
        "SITE_SECRET": secret,
        "SITE_FOLDER": str(folder / "sessions"),
        "SITE_LIST": list_url,
    }
    with contextlib.ExitStack() as stack:
        processes = []
        for number, port in enumerate(ports):
            own = folder / f"node{number}"
            own.mkdir(exist_ok=True)
            output = stack.enter_context((own / "output.txt").open("wb"))
            process = subprocess.Popen(
                [sys.executable, *(part.format(port=port) for part in kind.command)],
                cwd=own,
                env={**environment, "SITE_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            stack.callback(_stop, process)
            processes.append((process, port, own))
        for process, port, own in processes:
            _wait(process, port, own)
        yield Site(kind, ports, secret, folder / "sessions")


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if Client((port,)).get("/plain").status == 200:
                return
        time.sleep(0.03)  # between two attempts to connect
    said = (folder / "output.txt").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"The server on port {port} did not start. It said:\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
