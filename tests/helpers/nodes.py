"""A node: one process of an application, here one object of many in one process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from duck_cookie_session import (
    RevocationList,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    session_headers,
)
from duck_cookie_session.session.phase import Phase
from duck_cookie_session.testing import read_session, session_token

from .settings import make_settings


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

    def responding(self, token: str | None = None) -> SessionStore:
        """The same under an adapter, whose response is still to come."""
        session = self.request(token)
        session._request.phase = Phase.OPEN
        return session

    def start(self, **data: Any) -> str:
        """The token of a new session."""
        return session_token(self.connector, data)

    def sent(self, session: SessionStore) -> dict[Any, Any] | None:
        """What the session holds that the response to a request sets; {} for a deleted one."""
        return read_session(self.connector, session_headers(session))

    def read(self, token: str | None) -> dict[Any, Any] | None:
        return self.connector.get_session(token)


@contextlib.contextmanager
def closing(*nodes: Node) -> Iterator[None]:
    try:
        yield
    finally:
        for node in nodes:
            node.connector.close()
