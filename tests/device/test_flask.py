"""Bound sessions under Flask, in whose applications functions run after each request too."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pytest

from duck_cookie_session import SessionStorageConnector
from duck_cookie_session.contrib.flask import CookieSessionInterface
from tests.device.conftest import World
from tests.device.sites import Here, over_wsgi, view
from tests.device.stories import KEY, PROOF, kind_of, only, shown, who
from tests.helpers.device_browser import Answer, Send


def that_counts_requests(connector: SessionStorageConnector) -> Send:
    """An application that writes to the session after each request."""
    app = flask.Flask("counting")
    CookieSessionInterface(connector=connector).init_app(app)

    @app.get("/", defaults={"path": ""})
    @app.get("/<path:path>")
    def everything(path: str) -> flask.Response:
        status, body, headers = view(flask.session, path)
        return flask.Response(body, status, headers)

    @app.after_request
    def count(response: flask.Response) -> flask.Response:
        flask.session["requests"] = flask.session.get("requests", 0) + 1
        return response

    return over_wsgi(app)


@pytest.fixture
def world() -> Iterator[World]:
    site = Here(that_counts_requests)
    yield World(site)
    site.close()


def kinds_set(answer: Answer) -> set[str | None]:
    return {kind_of(line.partition("=")[0]) for line in answer.all("Set-Cookie")}


def test_what_is_written_after_an_answer_of_ours_touches_no_session(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    (offer,) = browser.offers
    registered = browser.send_registration(offer)
    assert kinds_set(registered) == {KEY, PROOF}
    browser.registered(offer, registered)
    assert who(browser) == ("ada", True)
    world.pass_by(700)  # so that a renewal comes without a proof, as a visitor's
    assert kinds_set(browser.send_refresh(only(browser), None)) == set()
    assert who(browser) == ("ada", True)
    world.pass_by(700)
    assert shown(browser.follow_link("/")) == ("ada", True)
