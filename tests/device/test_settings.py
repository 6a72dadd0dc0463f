"""What can't be bound is refused at start, under every adapter."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import pytest

from duck_cookie_session import InvalidSettings, MemoryRevocationList, SessionStorageConnector
from duck_cookie_session.contrib.flask import CookieSessionInterface
from duck_cookie_session.session.duck import duck_session_settings
from tests.device.sites import NAME
from tests.helpers import SECRET, make_settings


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cookie_name": "session"}, "a __Host- name"),
        ({"cookie_samesite": "None"}, "'Lax' or 'Strict'"),
        ({"cookie_samesite": None}, "'Lax' or 'Strict'"),
        ({"cookie_partitioned": True}, "partitioned"),
        ({"subject_key": None}, "without subject_key"),
        ({"cookie_secure": False}, "SESSION_COOKIE_SECURE"),
        ({"device_binding": "on"}, "SESSION_DEVICE_BINDING"),
        ({"device_binding_path": "relative"}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_binding_path": '/a"b'}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_binding_path": "/a/../b"}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_binding_path": "/."}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_proof_age": 9}, "SESSION_DEVICE_PROOF_AGE"),
    ],
)
def test_what_can_not_be_bound_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        make_settings(**{"cookie_name": NAME, "device_binding": "offer", **changed})


def flask_app(folder: Path, **changed: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.config |= {
        "SECRET_KEY": SECRET,
        "SESSION_COOKIE_NAME": NAME,
        "SESSION_COOKIE_SECURE": True,
        "SESSION_DEVICE_BINDING": "offer",
        "SESSION_DIR": str(folder),
        **changed,
    }
    return app


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SESSION_COOKIE_NAME": "session"}, "a __Host- name"),
        ({"SESSION_COOKIE_SECURE": False}, "SESSION_COOKIE_SECURE"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "'Lax' or 'Strict'"),
    ],
)
def test_flask_refuses_it_where_its_config_is_read(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSettings, match=said):
        CookieSessionInterface(flask_app(tmp_path, **changed))


def test_flask_serves_it_with_its_own_names_and_once(clean_process: None, tmp_path: Path) -> None:
    app = flask_app(tmp_path)
    interface = CookieSessionInterface(app)
    interface.init_app(app)
    assert len(app.before_request_funcs[None]) == 1
    client = app.test_client(use_cookies=False)
    assert client.post("/.session-device/refresh").status_code == 401
    assert client.get("/.session-device/refresh").status_code == 404
    app.config["SESSION_DEVICE_BINDING"] = "off"
    assert client.post("/.session-device/refresh").status_code == 404


def test_flask_refuses_it_where_nobody_would_answer(clean_process: None, tmp_path: Path) -> None:
    app = flask_app(tmp_path, TESTING=True)
    app.session_interface = CookieSessionInterface()
    with pytest.raises(InvalidSettings, match="init_app"):
        app.test_client().get("/")


def test_a_connector_that_is_given_is_served_by_flask_too() -> None:
    settings = make_settings(
        cookie_name=NAME, device_binding="offer", device_binding_path="/shop/d"
    )
    made = SessionStorageConnector(MemoryRevocationList, settings=settings)
    with contextlib.closing(made) as connector:
        app = flask.Flask("shop")
        CookieSessionInterface(app, connector=connector)
        client = app.test_client(use_cookies=False)
        # The path is that of the browser, from the root of its host.
        mounted = client.post("/d/refresh", environ_overrides={"SCRIPT_NAME": "/shop"})
        assert mounted.status_code == 401
        assert client.post("/d/refresh").status_code == 404


OURS = "duck_cookie_session.contrib.duck.SessionMiddleware"
CSRF = "duck.http.middlewares.security.CSRFMiddleware"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SESSION_COOKIE_NAME": "session"}, "a __Host- name"),
        ({"MIDDLEWARES": ["duck.http.middlewares.contrib.SessionMiddleware"]}, "Duck's own"),
        ({"MIDDLEWARES": [CSRF, OURS]}, "CSRFMiddleware would refuse"),
        ({"MIDDLEWARE_FAILURE_BEHAVIOR": "ignore"}, "MIDDLEWARE_FAILURE_BEHAVIOR"),
        ({}, None),
    ],
)
def test_duck_refuses_what_its_settings_would_keep_from_working(
    changed: dict[str, Any],
    said: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: Any = ModuleType("duck.settings")
    settings.SETTINGS = {
        "SECRET_KEY": SECRET,
        "SESSION_COOKIE_NAME": NAME,
        "SESSION_COOKIE_SECURE": True,
        "SESSION_DEVICE_BINDING": "offer",
        "MIDDLEWARES": [OURS, CSRF],
        **changed,
    }
    monkeypatch.setitem(sys.modules, "duck", ModuleType("duck"))
    monkeypatch.setitem(sys.modules, "duck.settings", settings)
    # Django's adapter, where another test of this process imported it, offers its connector.
    monkeypatch.setattr("duck_cookie_session.session.process._offered", [])
    if said is None:
        assert duck_session_settings().device_binding == "offer"
    else:
        with pytest.raises(InvalidSettings, match=said):
            duck_session_settings()
