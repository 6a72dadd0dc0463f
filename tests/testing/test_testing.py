"""What the package gives to other people's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flask
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from duck_cookie_session import (
    InvalidArgument,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    session_headers,
)
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.contrib.flask import CookieSessionInterface
from duck_cookie_session.testing import (
    Clock,
    MemoryListForTests,
    read_session,
    session_cookie,
    session_token,
)
from tests.helpers import OTHER_SECRET, make_settings

pytest_plugins = ["duck_cookie_session.testing.fixtures"]

Make = Callable[[SessionSettings], SessionStorageConnector]


@pytest.fixture
def connector(make_session_connector: Make) -> SessionStorageConnector:
    return make_session_connector(make_settings())


def test_starlettes_test_client(connector: SessionStorageConnector) -> None:
    async def view(request: Request) -> PlainTextResponse:
        if request.url.path == "/out":
            request.session.clear()
        elif request.url.path == "/count":
            request.session["seen"] = request.session.get("seen", 0) + 1
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/{what}", view)])
    client = TestClient(
        CookieSessionMiddleware(app, connector=connector), base_url="https://testserver"
    )
    headers = {"Cookie": session_cookie(connector, {"user": "alice", "seen": 4})}
    assert read_session(connector, client.get("/look", headers=headers)) is None
    counted = client.get("/count", headers=headers)
    assert read_session(connector, counted) == {"user": "alice", "seen": 5}
    assert read_session(connector, client.get("/out", headers=headers)) == {}
    assert read_session(connector, counted) is None


def test_flasks_client(connector: SessionStorageConnector) -> None:
    app = flask.Flask(__name__)
    CookieSessionInterface(app, connector=connector)

    @app.get("/")
    def view() -> str:
        flask.session["seen"] = flask.session.get("seen", 0) + 1
        return ""

    client = app.test_client()
    https = "https://localhost"
    client.set_cookie(connector.settings.cookie_name, session_token(connector, {"seen": 4}))
    assert read_session(connector, client.get("/", base_url=https)) == {"seen": 5}
    with client.session_transaction(base_url=https) as session:
        session["seen"] = 10
    assert read_session(connector, client.get("/", base_url=https)) == {"seen": 11}


def test_headers_of_any_other_framework(connector: SessionStorageConnector) -> None:
    session = SessionStore(None, connector=connector)
    session["cart"] = [1]
    headers = session_headers(session)
    assert read_session(connector, headers) == {"cart": [1]}
    assert read_session(connector, [("Set-Cookie", "other=1; Path=/"), *headers]) == {"cart": [1]}
    assert read_session(connector, [("Set-Cookie", "other=1; Path=/")]) is None


@pytest.mark.parametrize("response", [None, 5, object(), ["a"]])
def test_what_has_no_headers(connector: SessionStorageConnector, response: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"of type {type(response).__name__} has no headers"):
        read_session(connector, response)


def test_settings_in_place_of_a_connector() -> None:
    settings: Any = make_settings()
    for call in (
        lambda: session_token(settings, {}),
        lambda: session_cookie(settings, {}),
        lambda: read_session(settings, []),
    ):
        with pytest.raises(InvalidArgument, match="type SessionSettings, not a SessionStorageConn"):
            call()


def test_only_the_secret_that_was_given_counts(make_session_connector: Make) -> None:
    """Also: there may be as many memory lists as one wants, and each knows its own sessions."""
    ours, others, same = map(
        make_session_connector,
        [make_settings(), make_settings(secret_keys=(OTHER_SECRET,)), make_settings()],
    )
    token = session_token(ours, {"user": "alice"})
    assert ours.get_session(token) == {"user": "alice"}
    assert others.get_session(token) is same.get_session(token) is None


def test_the_clock_moves_expiry(connector: SessionStorageConnector, session_clock: Clock) -> None:
    token = session_token(connector, {"user": "alice"})
    session_clock.tick(connector.settings.cookie_age - 1)
    assert connector.get_session(token) == {"user": "alice"}
    session_clock.tick(1)
    assert connector.get_session(token) is None


def test_a_process_may_have_many_lists_for_tests_and_none_of_them_is_called_durable(
    clock: Clock,
) -> None:
    one, other = (
        SessionStorageConnector(MemoryListForTests, settings=make_settings(), clock=clock)
        for _ in range(2)
    )
    token = session_token(one, {"user": "alice"})
    assert one.get_session(token) == {"user": "alice"}
    assert other.get_session(token) is None
    assert not MemoryListForTests.persistent
    one.close()
    other.close()
