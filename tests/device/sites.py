"""One application whose sessions are bound to the browser, in process under every adapter.

A site is nodes that share one revocation list and one clock. Django and Duck keep settings for a
whole process, so that they are served by one of their own: `Elsewhere` asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from wsgiref.util import setup_testing_defaults

import flask

from duck_cookie_session import SessionStorageConnector
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.contrib.flask import CookieSessionInterface
from tests.helpers import SECRET, Clock, SwitchableList, make_settings
from tests.helpers.device_browser import Answer, Send

NAME = "__Host-session"
ROOT = Path(__file__).parents[2]

PAGE = "<!doctype html><link rel=icon href='data:,'><p>"
HTML = {"Content-Type": "text/html; charset=utf-8"}

Serve = Callable[[SessionStorageConnector], Send]


def view(session: Any, path: str) -> tuple[int, str, dict[str, str]]:
    """What the application does: status, a page that shows the session, and headers."""
    what, _, given = path.strip("/").partition("/")
    if what == "login":
        session["user"] = given
    elif what == "signin":  # and a flash message, as after many a login
        session["user"], session["n"] = given, 1
        return 303, "", {**HTML, "Location": "/write"}
    elif what == "form":
        session["token"] = "of the form"
    elif what == "send":  # the form
        if session.get("token") != "of the form":
            return 403, "", HTML
        session["user"] = given
    elif what == "logout":
        getattr(session, "flush", session.clear)()  # Django's clear() ends nothing
    elif what == "cycle":
        session.cycle_key()
    elif what == "cycle-twice":
        session.cycle_key()
        session.save()  # as Django's update_session_auth_hash() does
        session.cycle_key()
    elif what == "write":
        session["n"] = session.get("n", 0) + 1
    bound = session.exists(session.session_key) if what == "exists" else session.device_bound
    return 200, PAGE + json.dumps([session.get("user"), bound, session.get("n", 0)]), HTML


class Node(Protocol):
    """One process of a site."""

    send: Send

    def count(self, name: str) -> Any:
        """One of its counters."""


class Site(Protocol):
    """Nodes that share a list and a clock.

    Attributes:
        clock: of the nodes and of the list.
        down: whether the list answers nobody.
    """

    clock: Clock
    down: bool

    def node(self, *secrets: str, **changed: Any) -> Node:
        """One more node, with these secrets and other settings."""

    def events(self) -> list[str]:
        """The kinds of all events so far."""


class HereNode:
    def __init__(self, connector: SessionStorageConnector, send: Send) -> None:
        self.connector, self.send = connector, send

    def count(self, name: str) -> Any:
        return self.connector.stats()[name]


class Here:
    """A site in this process."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.clock = Clock()
        self._list = SwitchableList(self.clock)
        self._events: list[Any] = []
        self._nodes: list[HereNode] = []

    @property
    def down(self) -> bool:
        return self._list.down

    @down.setter
    def down(self, value: bool) -> None:
        self._list.down = value

    def node(self, *secrets: str, **changed: Any) -> HereNode:
        settings = make_settings(
            cookie_name=NAME,
            secret_keys=secrets or (SECRET,),
            on_event=self._events.append,
            **{"device_binding": "offer", **changed},
        )
        connector = SessionStorageConnector(lambda: self._list, settings=settings, clock=self.clock)
        self._nodes.append(HereNode(connector, self._serve(connector)))
        return self._nodes[-1]

    def events(self) -> list[str]:
        return [event.kind.value for event in self._events]

    def close(self) -> None:
        for node in self._nodes:
            node.connector.close()


# Under ASGI and Flask.


def asgi_app(connector: SessionStorageConnector) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        session = scope["session"]
        status, body, headers = view(session, scope["path"])
        if scope["path"] == "/exists":
            assert await session.aexists() == session.exists()
        lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": body.encode()})

    return CookieSessionMiddleware(application, connector=connector)


def under_asgi(connector: SessionStorageConnector) -> Send:
    return over_asgi(asgi_app(connector), split=True)


def under_flask(connector: SessionStorageConnector) -> Send:
    app = flask.Flask("bound")
    app.before_request(functools.partial(_redirect_to_login, app))
    CookieSessionInterface(connector=connector).init_app(app)

    @app.route("/", defaults={"path": ""})
    @app.route("/<path:path>", methods=["GET", "POST"])
    def everything(path: str) -> Any:
        status, body, headers = view(flask.session, path)
        return flask.Response(body, status, headers)

    return over_wsgi(app)


def _redirect_to_login(app: flask.Flask) -> Any:
    """As an application's own, which knows nothing of our paths."""
    if flask.request.path.startswith("/.session-device"):
        return flask.redirect("/login")
    return None


def over_wsgi(app: Any) -> Send:
    """To an application in this process (PEP 3333)."""

    def send(method: str, path: str, headers: dict[str, str]) -> Answer:
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "wsgi.url_scheme": "https"}
        environ["PATH_INFO"], _, environ["QUERY_STRING"] = path.partition("?")
        environ["wsgi.input"] = io.BytesIO()
        environ["CONTENT_LENGTH"] = "0"
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        setup_testing_defaults(environ)
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            started[:] = [int(status[:3]), headers]

        body = app(environ, start)
        with contextlib.closing(body) if hasattr(body, "close") else contextlib.nullcontext():
            content = b"".join(body)
        return Answer(*started, content)

    return send


def over_asgi(app: Any, *, split: bool = False) -> Send:
    """To an ASGI application in this process.

    Args:
        split: whether each cookie comes in a line of its own, as HTTP/2 may bring them (RFC 9113).
    """

    def send(method: str, path: str, headers: dict[str, str]) -> Answer:
        path, _, query = path.partition("?")
        # HTTP/2 may bring each cookie in a line of its own (RFC 9113).
        lines = [
            (name.lower().encode(), line.encode())
            for name, value in headers.items()
            for line in (value.split("; ") if split and name == "Cookie" else [value])
        ]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": lines,
            "http_version": "1.1",
        }
        messages: list[Any] = []

        async def take(message: Any) -> None:
            messages.append(message)

        asked: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def give() -> Any:
            if not asked:
                await asyncio.Event().wait()  # the browser stays
            return asked.pop()

        asyncio.run(app(scope, give, take))
        headers_of = [(name.decode(), value.decode()) for name, value in messages[0]["headers"]]
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return Answer(messages[0]["status"], headers_of, body)

    return send


# In a process of its own.


class ElsewhereNode:
    def __init__(self, site: Elsewhere, number: int) -> None:
        self._site, self._number = site, number

    def send(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        status, lines, body = self._site.tell("send", self._number, method, path, headers)
        return Answer(status, [(name, value) for name, value in lines], body.encode())

    def count(self, name: str) -> Any:
        return self._site.tell("count", self._number, name)


class Elsewhere:
    """A site in a process of its own, which is told what to do (`tests/device/process.py`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.clock, self.down = Clock(), False
        self.tell("new")

    def tell(self, *command: Any) -> Any:
        """Have the process do something; what comes of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([self.clock.now, self.down, *command]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process has ended; what it said stands above"
        return json.loads(answer)

    def node(self, *secrets: str, **changed: Any) -> ElsewhereNode:
        return ElsewhereNode(self, self.tell("node", secrets, changed))

    def events(self) -> list[str]:
        events: list[str] = self.tell("events")
        return events


def obey(serve: Serve) -> None:
    """Do what `Elsewhere` tells, until there is no more."""
    site = Here(serve)
    nodes: list[HereNode] = []
    for line in sys.stdin:
        now, down, what, *given = json.loads(line)
        result: Any = None
        if what == "new":
            site.close()
            site, nodes = Here(serve), []
        site.clock.now, site.down = now, down
        if what == "node":
            nodes.append(site.node(*given[0], **given[1]))
            result = len(nodes) - 1
        elif what == "send":
            answer = nodes[given[0]].send(*given[1:])
            result = answer.status, answer.headers, answer.body.decode()
        elif what == "count":
            result = nodes[given[0]].count(given[1])
        elif what == "events":
            result = site.events()
        print(json.dumps(result), flush=True)


@contextlib.contextmanager
def process(framework: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process that serves a framework's sites, until the block is left."""
    command = [sys.executable, "-W", "error", "-m", "tests.device.process", framework, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        assert started.stdin is not None
        started.stdin.close()
