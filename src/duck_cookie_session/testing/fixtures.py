"""Fixtures of pytest, to opt into: `pytest_plugins = ["duck_cookie_session.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..session.connector import SessionStorageConnector
from ..settings import SessionSettings
from ._clock import Clock
from ._memory import MemoryListForTests


@pytest.fixture
def session_clock() -> Clock:
    """The clock of the connectors and lists that this test makes."""
    return Clock()


@pytest.fixture
def make_session_connector(
    session_clock: Clock,
) -> Iterator[Callable[[SessionSettings], SessionStorageConnector]]:
    """Makes connectors, each with a memory list of its own; they are closed after the test."""
    made: list[SessionStorageConnector] = []

    def make(settings: SessionSettings) -> SessionStorageConnector:
        made.append(
            SessionStorageConnector(
                lambda: MemoryListForTests(session_clock), settings=settings, clock=session_clock
            )
        )
        return made[-1]

    yield make
    for connector in made:
        connector.close()
