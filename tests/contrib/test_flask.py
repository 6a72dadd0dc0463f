"""What only the Flask interface does: Flask's config names and its sessions' attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import flask_login
import pytest
from flask.sessions import SessionMixin

from duck_cookie_session import (
    InvalidArgument,
    InvalidSettings,
    SessionError,
    SessionStorageConnector,
    SessionTooLarge,
    get_session_storage_connector,
)
from duck_cookie_session.contrib.flask import CookieSessionInterface, FlaskSession
from tests.helpers import SECRET, Clock, SwitchableList, make_settings

sys.path.append(str(Path(__file__).parent / "migration"))


@pytest.fixture
def app(tmp_path: Path) -> flask.Flask:
    made = flask.Flask(__name__)
    made.config.update(SECRET_KEY=SECRET, SESSION_DIR=str(tmp_path), TESTING=True)
    made.session_interface = CookieSessionInterface()

    @made.get("/set/<key>/<value>")
    def put(key: str, value: str) -> str:
        flask.session[key] = value
        return "set"

    @made.get("/show")
    def show() -> Any:
        return flask.jsonify(dict(flask.session))

    @made.get("/untouched")
    def untouched() -> str:
        return "nothing"

    return made


@pytest.fixture
def connector(clock: Clock) -> Iterator[SessionStorageConnector]:
    revocations = SwitchableList(clock)
    made = SessionStorageConnector(lambda: revocations, settings=make_settings(), clock=clock)
    yield made
    made.close()


def max_age(cookie: str) -> int:
    (found,) = (part for part in attributes(cookie) if part.startswith("Max-Age="))
    return int(found.partition("=")[2])


def attributes(cookie: str) -> set[str]:
    return {part.strip() for part in cookie.split(";")[1:]}


def test_flasks_defaults_count(app: flask.Flask) -> None:
    cookie = app.test_client().get("/set/a/1").headers["Set-Cookie"]
    assert cookie.startswith("session=")
    # Flask's SESSION_COOKIE_SECURE is False unless set; browser-length, as it is not permanent.
    assert attributes(cookie) == {"Path=/", "HttpOnly", "SameSite=Lax"}


def test_flasks_config_names_count(app: flask.Flask) -> None:
    app.config.update(
        SESSION_COOKIE_NAME="own",
        SESSION_COOKIE_DOMAIN="example.org",
        SESSION_COOKIE_PATH="/shop",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_PARTITIONED=True,
    )
    cookie = app.test_client().get("/set/a/1").headers["Set-Cookie"]
    assert cookie.startswith("own=")
    wanted = {"Path=/shop", "Domain=example.org", "Secure", "HttpOnly", "SameSite=Strict"}
    assert attributes(cookie) == wanted | {"Partitioned"}


def test_the_application_root_is_the_path(app: flask.Flask) -> None:
    app.config["APPLICATION_ROOT"] = "/below"
    cookie = app.test_client().get("/set/a/1").headers["Set-Cookie"]
    assert "Path=/below" in attributes(cookie)


def test_the_settings_of_this_library_count_too(app: flask.Flask) -> None:
    app.config.update(SESSION_MAX_COOKIE_BYTES=300, TESTING=False)
    client = app.test_client()
    assert "Set-Cookie" not in client.get("/set/a/" + "x" * 300).headers
    assert "Set-Cookie" in client.get("/set/a/x").headers


def test_a_wrong_value_is_named(app: flask.Flask) -> None:
    app.config["SESSION_CLOCK_SKEW"] = -1
    with pytest.raises(InvalidSettings, match="SESSION_CLOCK_SKEW"):
        app.test_client().get("/untouched")


WRONG: dict[str, dict[str, Any]] = {
    "SESSION_ABSOLUTE_AGE": {"SESSION_ABSOLUTE_AGE": 0},
    "SESSION_DIR": {"SESSION_DIR": None},
    "SESSION_SECRET_KEYS": {"SECRET_KEY": "short"},
    "has only 5 bytes": {"SECRET_KEY": "short"},
    "is empty": {"SECRET_KEY": None},
    "SESSION_COOKIE_SAMESITE": {"SESSION_COOKIE_SAMESITE": "lux"},
    "SECRET_KEY_FALLBACKS": {"SECRET_KEY_FALLBACKS": ["also short"]},
    "SECRET_KEY_FALLBACKS is of type int": {"SECRET_KEY_FALLBACKS": 5},
    "PERMANENT_SESSION_LIFETIME": {"PERMANENT_SESSION_LIFETIME": "x"},
    "not a revocation list": {"SESSION_STORAGE": "flask.Flask"},
    "can't be imported": {"SESSION_STORAGE": "of.nothing"},
    "not a class": {"SESSION_STORAGE": 7},
}


@pytest.mark.parametrize("match", WRONG)
@pytest.mark.parametrize("way", ["constructor", "init_app"])
def test_a_wrong_value_is_refused_at_start(tmp_path: Path, match: str, way: str) -> None:
    app = flask.Flask(__name__)
    app.config.update({"SECRET_KEY": SECRET, "SESSION_DIR": str(tmp_path), **WRONG[match]})
    interface = None if way == "constructor" else CookieSessionInterface()
    before = app.session_interface
    start = CookieSessionInterface if interface is None else interface.init_app
    if match == "SECRET_KEY_FALLBACKS":
        match = "bytes in secret 2"
    with pytest.raises(InvalidSettings, match=match):
        start(app)
    assert app.session_interface is before


def test_the_interface_serves_the_application_that_it_was_given(app: flask.Flask) -> None:
    app.session_interface = flask.Flask("x").session_interface
    interface = CookieSessionInterface(app)
    assert app.session_interface is interface
    assert "Set-Cookie" in app.test_client().get("/set/a/1").headers


def test_what_is_no_application_is_refused(connector: SessionStorageConnector) -> None:
    for given in (connector, "app", object()):
        with pytest.raises(InvalidArgument, match="connector="):
            CookieSessionInterface(given)
    for given in (object(), "connector", make_settings()):
        with pytest.raises(InvalidArgument, match="not a SessionStorageConnector"):
            CookieSessionInterface(connector=given)  # type: ignore[arg-type]  # the point


def test_a_wrong_value_is_not_buried_in_production(
    app: flask.Flask, caplog: pytest.LogCaptureFixture
) -> None:
    app.config.update(TESTING=False, SESSION_CLOCK_SKEW=-1)
    assert app.test_client().get("/untouched").status_code == 500
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert record.exc_info is not None
    assert record.exc_info[0] is InvalidSettings
    assert "Error" not in caplog.text.replace("InvalidSettings", "").replace("Internal", "")


def test_the_connector_of_the_process_is_the_applications(
    app: flask.Flask, clean_process: None
) -> None:
    CookieSessionInterface(app)
    seen: list[SessionStorageConnector] = []

    @app.get("/revoke")
    def revoke() -> str:
        seen.append(get_session_storage_connector())
        seen[-1].delete_subject("alice")
        return "revoked"

    client = app.test_client()
    client.get("/set/_user_id/alice")
    assert client.get("/show").json == {"_user_id": "alice"}
    client.get("/revoke")
    assert client.get("/show").json == {}
    app.config["SESSION_COOKIE_NAME"] = "another"
    client.get("/untouched")
    client.get("/revoke")
    assert [made.settings.cookie_name for made in seen] == ["session", "another"]


def test_of_several_connectors_the_error_names_each(tmp_path: Path, clean_process: None) -> None:
    kept = []
    for name in ("shop", "admin"):
        app = flask.Flask(name)
        app.config.update(
            SECRET_KEY=SECRET, SESSION_DIR=str(tmp_path), SESSION_COOKIE_NAME=f"of_{name}"
        )
        kept.append(CookieSessionInterface(app))
    with pytest.raises(
        InvalidSettings, match=r"'shop' .*'of_shop'.*'admin' .*'of_admin'.*connector="
    ):
        get_session_storage_connector()


class EmptyList(SwitchableList):
    """A list that says of itself that it is empty."""

    def __len__(self) -> int:
        return 0


def test_a_list_that_is_false_is_a_list(app: flask.Flask, clock: Clock) -> None:
    revocations = EmptyList(clock)
    app.config["SESSION_STORAGE"] = lambda: revocations
    CookieSessionInterface(app)
    client = app.test_client()
    client.get("/set/a/1")
    app.config["SESSION_CLOCK_SKEW"] = 61
    assert client.get("/show").json == {"a": "1"}
    connector = SessionStorageConnector(lambda: revocations, settings=make_settings(), clock=clock)
    CookieSessionInterface(app, connector=connector)
    revocations.asked.clear()
    client.get("/set/b/1")
    assert "lookup" in revocations.asked
    connector.close()


def test_without_a_folder_the_error_says_so(app: flask.Flask) -> None:
    del app.config["SESSION_DIR"]
    with pytest.raises(InvalidSettings, match="SESSION_DIR"):
        app.test_client().get("/show")


def test_a_storage_may_be_named(app: flask.Flask) -> None:
    app.config["SESSION_STORAGE"] = "duck_cookie_session.SQLiteRevocationList"
    assert "Set-Cookie" in app.test_client().get("/set/a/1").headers
    app.session_interface = CookieSessionInterface()
    app.config["SESSION_STORAGE"] = "flask.Flask"
    with pytest.raises(InvalidSettings, match="flask"):
        app.test_client().get("/show")


def test_without_a_secret_there_is_no_session(app: flask.Flask) -> None:
    app.secret_key = None
    with app.test_request_context():
        assert flask.session.get("a") is None
        with pytest.raises(RuntimeError, match="secret key"):
            flask.session["a"] = 1


def test_secrets_rotate(app: flask.Flask) -> None:
    client = app.test_client()
    client.get("/set/a/1")
    app.secret_key = "n" * 32
    app.config["SECRET_KEY_FALLBACKS"] = [SECRET]
    assert client.get("/show").json == {"a": "1"}
    app.config["SECRET_KEY_FALLBACKS"] = []
    assert client.get("/show").json == {}


def test_a_connector_counts_and_not_the_config(
    app: flask.Flask, connector: SessionStorageConnector
) -> None:
    app.session_interface = CookieSessionInterface(connector=connector)
    cookie = app.test_client().get("/set/a/1").headers["Set-Cookie"]
    assert cookie.startswith("session_id=")


# The attributes of Flask's sessions.


def test_a_session_is_one_of_flasks(app: flask.Flask) -> None:
    with app.test_request_context() as context:
        session = app.session_interface.open_session(app, context.request)
    assert isinstance(session, FlaskSession)
    assert isinstance(session, SessionMixin)
    assert isinstance(session, dict)


def test_new_accessed_and_modified(app: flask.Flask) -> None:
    seen: list[tuple[bool, ...]] = []

    @app.get("/attributes")
    def look() -> str:
        session = flask.session
        before = (session.new, session.accessed, session.modified)
        session.setdefault("list", []).append(1)
        seen.append((*before, session.modified))
        return "seen"

    client = app.test_client()
    client.get("/attributes")
    client.get("/attributes")
    assert seen == [(True, True, False, True), (False, True, False, True)]
    assert client.get("/show").json == {"list": [1, 1]}


def test_a_permanent_session_gets_an_age(app: flask.Flask) -> None:
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(hours=1)
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False

    @app.get("/permanent/<int:value>")
    def permanent(value: int) -> str:
        flask.session.permanent = bool(value)
        return str(flask.session.permanent)

    client = app.test_client()
    client.get("/set/a/1")
    assert 3500 < max_age(client.get("/permanent/1").headers["Set-Cookie"]) <= 3600
    assert 3500 < max_age(client.get("/set/b/1").headers["Set-Cookie"]) <= 3600
    assert "Set-Cookie" not in client.get("/show").headers
    gone = client.get("/permanent/0").headers["Set-Cookie"]
    assert "Max-Age" not in gone


def test_a_permanent_session_never_outlives_its_absolute_age(app: flask.Flask) -> None:
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=31)  # Flask's default

    @app.get("/permanent")
    def permanent() -> str:
        flask.session.permanent = True
        return "yes"

    cookie = app.test_client().get("/permanent").headers["Set-Cookie"]
    assert 30 * 86400 - 100 < max_age(cookie) <= 30 * 86400


def test_refresh_is_for_requests_that_accessed_the_session(app: flask.Flask) -> None:
    client = app.test_client()
    with client.session_transaction() as session:
        session["a"] = 1
        session.permanent = True
    assert "Set-Cookie" in client.get("/show").headers
    assert "Set-Cookie" not in client.get("/untouched").headers
    app.config["SESSION_REFRESH_EACH_REQUEST"] = False
    assert "Set-Cookie" not in client.get("/show").headers


def test_every_vary_header_is_kept(app: flask.Flask) -> None:
    @app.get("/varies")
    def varies() -> Any:
        response = flask.Response(str(len(flask.session)))
        response.headers.add("Vary", "Accept")
        response.headers.add("Vary", "Origin")
        return response

    assert app.test_client().get("/varies").headers.getlist("Vary") == ["Accept, Origin, Cookie"]


def test_flash(app: flask.Flask) -> None:
    app.add_url_rule("/flash", view_func=lambda: flask.flash("saved") or "flashed", endpoint="f")
    app.add_url_rule("/flashed", view_func=lambda: flask.get_flashed_messages(), endpoint="g")
    client = app.test_client()
    client.get("/flash")
    assert client.get("/flashed").json == ["saved"]
    assert client.get("/flashed").json == []


def test_the_logout_of_flask_login_ends_the_session(app: flask.Flask) -> None:
    """In the default configuration: nothing is said of a subject."""
    manager = flask_login.LoginManager(app)

    class User(flask_login.UserMixin):  # type: ignore[misc]  # it ships no types
        id = "7"

    manager.user_loader(lambda found: User() if found == "7" else None)

    @app.get("/login")
    def login() -> str:
        flask_login.login_user(User())
        return "in"

    @app.get("/logout")
    def logout() -> str:
        flask_login.logout_user()
        return "out"

    app.add_url_rule("/who", view_func=lambda: str(flask_login.current_user.is_authenticated))
    for path in (None, "/set/color/blue"):  # alone in the session, and beside something else
        client, copy = app.test_client(), app.test_client()
        if path is not None:
            client.get(path)
        client.get("/login")
        assert client.get("/who").text == "True"
        copied = client.get_cookie("session")
        assert copied is not None
        client.get("/logout")
        assert client.get("/who").text == "False"
        copy.set_cookie("session", copied.value)
        assert copy.get("/who").text == "False"


# Saves that fail, caches, and what comes too late.


@pytest.mark.parametrize("mode", ["DEBUG", "TESTING"])
def test_a_save_that_fails_raises_in_debug_and_testing_modes(app: flask.Flask, mode: str) -> None:
    app.config.update({"DEBUG": False, "TESTING": False, mode: True})
    with pytest.raises(SessionTooLarge):
        app.test_client().get("/set/a/" + "x" * 5000)


def test_a_save_that_fails_is_logged_and_counted_otherwise(
    app: flask.Flask, connector: SessionStorageConnector, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = False
    CookieSessionInterface(app, connector=connector)

    @app.get("/unknown")
    def unknown() -> Any:
        flask.session["odd"] = object()
        return flask.Response("whole", headers={"X-Own": "1"})

    client = app.test_client()
    client.get("/set/a/1")
    for path, body in (("/set/heavy/" + "x" * 5000, "set"), ("/unknown", "whole")):
        seen = client.get(path)
        assert (seen.status_code, seen.text) == (200, body)
        assert "Set-Cookie" not in seen.headers
    assert seen.headers["X-Own"] == "1"
    assert "heavy" in caplog.text
    assert "odd" in caplog.text
    assert client.get("/show").json == {"a": "1"}
    not_saved = connector.stats()["not_saved"]
    assert isinstance(not_saved, dict)
    assert (not_saved["too large"], not_saved["not serializable"]) == (1, 1)


def test_what_caches_are_told(app: flask.Flask) -> None:
    @app.get("/own/<what>")
    def own(what: str) -> Any:
        if what != "untouched":
            flask.session.get("a")
        if what == "written":
            flask.session["a"] = 2
        return flask.Response("own", headers={"Cache-Control": "public, max-age=60"})

    client = app.test_client()
    told = [
        client.get(path).headers.getlist("Cache-Control")
        for path in ("/set/a/1", "/show", "/untouched", "/own/read", "/own/written")
    ]
    own_header = ["public, max-age=60"]
    assert told == [["no-store"], ["private, no-cache"], [], own_header, ["no-store"]]


@pytest.mark.parametrize("testing", [True, False])
def test_what_comes_after_the_response_has_started(
    app: flask.Flask, testing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app.testing = testing
    raised: list[str] = []

    @app.get("/stream")
    def stream() -> Any:
        def body() -> Iterator[str]:
            for late in (lambda: flask.session.clear(), lambda: flask.session.update(b=1)):
                try:
                    late()
                except SessionError as error:
                    raised.append(str(error))
                yield "part"

        return flask.Response(flask.stream_with_context(body()))

    client = app.test_client()
    client.get("/set/a/1")
    assert client.get("/stream").text == "partpart"
    assert client.get("/show").json == {"a": "1"}
    assert "can't be ended" in raised[0]
    assert len(raised) == (2 if testing else 1)
    assert ("session['b'] was written after" in caplog.text) is not testing


def test_an_emptied_session_is_ended(app: flask.Flask) -> None:
    app.add_url_rule("/pop/<key>", view_func=lambda key: flask.session.pop(key), endpoint="pop")
    client = app.test_client()
    client.get("/set/a/1")
    client.get("/set/_user_id/7")
    copied = client.get_cookie("session")
    client.get("/pop/a")
    assert "Max-Age=0" in client.get("/pop/_user_id").headers["Set-Cookie"]
    client.set_cookie("session", copied.value if copied else "")
    assert client.get("/show").json == {}


def test_503_takes_the_place_of_any_response(
    app: flask.Flask, connector: SessionStorageConnector
) -> None:
    app.session_interface = CookieSessionInterface(connector=connector)
    app.testing = False

    @app.get("/download")
    def download() -> Any:
        flask.session["seen"] = True
        response = flask.Response(iter(["part"]), headers={"Content-Encoding": "br"})
        response.direct_passthrough = True
        return response

    client = app.test_client()
    client.get("/set/a/1")
    assert isinstance(connector.revocations, SwitchableList)
    connector.revocations.down = True
    for path in ("/download", "/show"):
        seen = client.get(path)
        assert seen.status_code == 503
        assert seen.headers["Retry-After"] == "1"
        assert "Set-Cookie" not in seen.headers
        assert "Content-Encoding" not in seen.headers
        assert "part" not in seen.text
    connector.revocations.down = False
    assert client.get("/show").json == {"a": "1"}


def test_the_old_cookie_is_read_one_last_time(app: flask.Flask) -> None:
    from of_flask import take_over

    ours, app.session_interface = app.session_interface, flask.Flask("x").session_interface
    client = app.test_client()
    client.get("/set/a/1")
    assert client.get_cookie("session") is not None
    app.session_interface = ours
    app.config["SESSION_COOKIE_NAME"] = "session_id"
    app._got_first_request = False  # the application starts anew, with the lines below
    take_over(app)
    assert client.get("/show").json == {"a": "1"}
    assert client.get_cookie("session") is None
    assert client.get("/show").json == {"a": "1"}
    client.set_cookie("session", "junk")
    assert client.get("/show").json == {"a": "1"}
