"""What tests share: a clock to turn, a node of an application, lists that can be disturbed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from duck_cookie_session import (
    MemoryRevocationList,
    RevocationList,
    RevocationListUnavailable,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
)

START = 1_800_000_000.0
SECRET = "a secret of forty characters, used in tests"
OTHER_SECRET = "another secret of the same length, in tests"
DAY = 86_400


@dataclass
class Clock:
    """Seconds since 1970, moved by the test."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


def make_settings(**changed: Any) -> SessionSettings:
    """Settings with a secret and a subject key."""
    return SessionSettings(**{"secret_keys": (SECRET,), "subject_key": "user", **changed})


class SwitchableList(MemoryRevocationList):
    """A memory list that can stop answering, wholly or for changes only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.down = False
        self.read_only = False
        self.asked: list[str] = []

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.down or (self.read_only and what not in ("lookup", "age")):
            raise RevocationListUnavailable("The list of this test is switched off.")

    def lookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        self._answer("lookup")
        return super().lookup(scopes, fresh=fresh)

    def raise_epoch(self, scope: bytes) -> int:
        self._answer("raise_epoch")
        return super().raise_epoch(scope)

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        self._answer("compare_and_raise")
        return super().compare_and_raise(scope, expected, last=last)

    def end(self, scope: bytes) -> None:
        self._answer("end")
        super().end(scope)

    def age(self, scope: bytes) -> float | None:
        self._answer("age")
        return super().age(scope)


class NetworkList(SwitchableList):
    """A list that says of itself that a lookup goes over the network."""

    local = False


class Node:
    """One process of an application: a connector of its own over a list that others share."""

    def __init__(
        self,
        revocations: RevocationList,
        clock: Callable[[], float],
        settings: SessionSettings | None = None,
    ) -> None:
        self.revocations = revocations
        self.connector = SessionStorageConnector(
            lambda: revocations, settings=settings or make_settings(), clock=clock
        )

    def request(self, token: str | None = None, **options: Any) -> SessionStore:
        """The session of a request that carries this cookie."""
        return SessionStore(token, connector=self.connector, **options)

    def start(self, **data: Any) -> str:
        """The token of a new session."""
        return self.connector.set_session(None, data)

    def read(self, token: str | None) -> dict[Any, Any] | None:
        return self.connector.get_session(token)


@contextlib.contextmanager
def closing(*nodes: Node) -> Iterator[None]:
    try:
        yield
    finally:
        for node in nodes:
            node.connector.close()


def sent_cookie(headers: Sequence[tuple[str, str]], name: str = "session_id") -> str | None:
    """What a response sets the cookie to: a token, "" where it deletes it, None for no cookie."""
    for header, value in headers:
        if header == "Set-Cookie":
            assert value.startswith(name + "=")
            return value[len(name) + 1 :].partition(";")[0]
    return None
