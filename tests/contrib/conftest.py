"""The sites of the conformance suite: each started once, when a test first needs it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.contrib.served import KINDS, Client, Site, serving


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """Gives the site of a kind; all of them are stopped at the end."""
    running: dict[str, Site] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Site:
            if name not in running:
                folder = tmp_path_factory.mktemp(name)
                running[name] = stack.enter_context(serving(KINDS[name], folder))
            return running[name]

        yield start


@pytest.fixture(params=sorted(KINDS))
def site(request: pytest.FixtureRequest, started: Callable[[str], Site]) -> Site:
    return started(request.param)


@pytest.fixture
def client(site: Site) -> Client:
    """A visitor without a cookie."""
    return site.client()


@pytest.fixture
def member(client: Client) -> Client:
    """A visitor who has something in the session."""
    client.get("/set", key="color", value="blue")
    assert client.cookie is not None
    return client
