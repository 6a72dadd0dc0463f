"""This library as a contender. The only module here that knows its interface."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.data import SECRET
from tests.benchmarks.peers import label as peer_label
from tests.benchmarks.report import RoundTripError, Section

DISTRIBUTION = "duck-cookie-session"
COOKIE_NAME = "session"
DEFAULTS: dict[str, Any] = {
    "secret_keys": (SECRET,),
    "cookie_name": COOKIE_NAME,
    "subject_key": "user_id",
}


def available() -> bool:
    """Whether this library can be imported."""
    return find_spec("duck_cookie_session") is not None


def label(what: str = "") -> str:
    """This library's name in a table, with its version and what of it is meant."""
    return peer_label(DISTRIBUTION, what)


def settings(**changes: Any) -> Any:
    """Settings for a benchmark: a fixed secret, a subject as after a login, else the defaults."""
    from duck_cookie_session import SessionSettings

    return SessionSettings(**{**DEFAULTS, **changes})


class Fresh:
    """Values made one by one and never given twice: tokens or cookies that a node has not seen."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._number = 0

    def take(self, count: int) -> Sequence[Any]:
        """That many values not given before."""
        first = self._number
        self._number += count
        return [self._make(number) for number in range(first, first + count)]


_memory_list: Any = None


class Node:
    """Two nodes with the same secrets and list: `own` is measured, `other` makes what is new.

    Args:
        kind: "memory" (the one of this process), "separate memory", or "sqlite".
        folder: of the SQLite list; None makes one that is removed at the end.
    """

    def __init__(self, kind: str, *, folder: Path | None = None, **changes: Any) -> None:
        from duck_cookie_session import SessionStorageConnector

        self._removed: Path | None = None
        self.list = self._open(kind, folder)
        given = settings(**changes)
        self.own = SessionStorageConnector(lambda: self.list, settings=given)
        self.other = SessionStorageConnector(lambda: self.list, settings=given)

    def _open(self, kind: str, folder: Path | None) -> Any:
        global _memory_list
        from duck_cookie_session import MemoryRevocationList, SQLiteRevocationList

        if kind == "separate memory":
            return _separate_memory_list()
        if kind == "memory":
            # A process has one memory list: connectors over a second one are refused.
            _memory_list = _memory_list or MemoryRevocationList()
            return _memory_list
        if folder is None:
            folder = self._removed = Path(tempfile.mkdtemp(prefix="benchmark-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return SQLiteRevocationList(folder)

    def make_list(self) -> None:
        """Have the list's file made, and let go of it."""
        self.encode_new({"user_id": 1})
        self.close()

    def encode_new(self, data: dict[str, Any]) -> str:
        """A token of a session that starts with this call."""
        return str(self.own.set_session("", data))

    def encode_again(self, token: str) -> Callable[[dict[str, Any]], str]:
        """A function that seals data as the next state of the session in `token`."""
        return lambda data: self.own.set_session(token, data)

    def encode_elsewhere(self, data: dict[str, Any]) -> str:
        """A token made on the other node."""
        return str(self.other.set_session("", data))

    def sealing(self, data: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
        """The codec alone: a function that packs data and seals it under claims as `data` has."""
        from duck_cookie_session.token.format import open_token, seal_token
        from duck_cookie_session.token.keys import KeyRing
        from duck_cookie_session.token.payload import pack

        ring = KeyRing.of(self.own.settings)
        claims = open_token(ring, self.encode_new(data))[0]
        now = int(time.time())
        return lambda state: seal_token(ring, claims, pack(state), now)

    def opening(self) -> Callable[[str], Any]:
        """The codec alone: a function that opens a token and unpacks its data."""
        from duck_cookie_session.token.format import open_token
        from duck_cookie_session.token.keys import KeyRing
        from duck_cookie_session.token.payload import unpack

        ring = KeyRing.of(self.own.settings)
        return lambda token: unpack(open_token(ring, token)[1])

    def decode(self, token: str) -> Any:
        """The data in a token as the measured node reads it: verified, and the list asked."""
        return self.own.get_session(token)

    def prove(self, data: dict[str, Any]) -> None:
        """Check the round trip, a mutilated token, and a revoked one."""
        token = self.encode_elsewhere(data)
        if self.decode(token) != data or self.decode(token) != data:
            raise RoundTripError(f"{label()}: what came back is not what went in")
        wrong = "A" if token[60] != "A" else "B"
        if self.decode(token[:60] + wrong + token[61:]) is not None:
            raise RoundTripError(f"{label()}: a token with one character changed was accepted")
        self.other.delete_session(token)
        if self.decode(token) is not None:
            raise RoundTripError(f"{label()}: a revoked token was accepted")

    def close(self) -> None:
        """Close both nodes and remove their files."""
        self.own.close()
        self.other.close()
        if self._removed is not None:
            shutil.rmtree(self._removed, ignore_errors=True)


def _separate_memory_list() -> Any:
    """A memory list beside others in one process, each for one pair of nodes and never mixed up."""
    from duck_cookie_session import MemoryRevocationList

    class SeparateList(MemoryRevocationList):
        persistent = True  # said so that a process may have several, for lists of several sizes

    return SeparateList()


def node(section: Section, kind: str = "memory", **changes: Any) -> Node | None:
    """A proven pair of nodes; None, and named in the section, if not installed."""
    if not available():
        section.leave_out(f"{DISTRIBUTION} (not installed)")
        return None
    made = Node(kind, **changes)
    made.prove({"user_id": 48151, "cart": [1, 2, 3]})
    return made


def asgi_middleware(app: Any, connector: Any) -> Any:
    """An ASGI application wrapped in this library's middleware."""
    from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

    return CookieSessionMiddleware(app, connector=connector)


def flask_interface(made: Node) -> Any:
    """A session interface for Flask."""
    from duck_cookie_session.contrib.flask import CookieSessionInterface

    return CookieSessionInterface(connector=made.own)


def django_handler(section: Section, kind: str, handler: Callable[..., Any]) -> Any:
    """A Django application with this library's sessions, or None if it is not installed."""
    made = node(section, kind)
    if made is None:
        return None
    from duck_cookie_session.contrib.django import _connector as project

    module = "duck_cookie_session.contrib.django"
    project._connector = made.own  # what the middleware looks at when it is made
    inner = handler(MIDDLEWARE=[f"{module}.SessionMiddleware"], SESSION_ENGINE=module)

    def application(environ: Any, start_response: Any) -> Any:
        # A Django project has one connector; here two projects share a process.
        project._connector = made.own
        return inner(environ, start_response)

    return application
