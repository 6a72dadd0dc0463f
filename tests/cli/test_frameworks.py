"""`manage.py sessions` and `flask sessions`: the commands with the application's own settings."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    SQLiteRevocationList,
)
from duck_cookie_session.testing import session_token

SECRET = "Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V"
Ran = subprocess.CompletedProcess[str]

# Flask.


def flask_app(tmp_path: Path, **config: Any) -> Any:
    flask = pytest.importorskip("flask", reason="Flask is not installed (extra `flask`)")
    from duck_cookie_session.contrib.flask import CookieSessionInterface

    app = flask.Flask("shop")
    app.config.update(SECRET_KEY=SECRET, SESSION_DIR=str(tmp_path), **config)
    app.session_interface = CookieSessionInterface()

    @app.route("/login")
    def login() -> str:
        flask.session["_user_id"] = "7"
        return "in"

    @app.route("/who")
    def who() -> str:
        return str(flask.session.get("_user_id"))

    return app


@pytest.fixture
def flask_sessions() -> Callable[..., Any]:
    pytest.importorskip("flask", reason="Flask is not installed (extra `flask`)")
    from duck_cookie_session.cli.flask_command import sessions

    def run(app: Any, *arguments: str, **options: Any) -> Any:
        return app.test_cli_runner().invoke(sessions, arguments, **options)

    return run


@pytest.fixture(autouse=True)
def own_settings_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("SESSION_", "DUCK_", "DJANGO_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_flask_revokes_what_its_application_issued(
    tmp_path: Path, flask_sessions: Callable[..., Any]
) -> None:
    app = flask_app(tmp_path, SESSION_COOKIE_NAME="shop")
    browser = app.test_client()
    browser.get("/login")
    assert browser.get("/who").text == "7"
    cookie = browser.get_cookie("shop").value
    inspected = flask_sessions(app, "inspect", input=f"shop={cookie}")
    assert inspected.stdout.startswith("Accepted")
    done = flask_sessions(app, "revoke", "--subject", "7")
    assert (done.exit_code, done.stdout.split()) == (0, ["revoked", "subject", "7"])
    assert browser.get("/who").text == "None"
    nameless = flask_sessions(app, "revoke", "--username", "alice")
    assert nameless.exit_code == 2
    assert "Give --subject" in nameless.stderr


def test_flask_checks_before_the_first_request(
    tmp_path: Path, flask_sessions: Callable[..., Any]
) -> None:
    app = flask_app(tmp_path, SESSION_COOKIE_SECURE=True)
    checked = flask_sessions(app, "check")
    assert checked.exit_code == 0
    assert "from the Flask application 'shop'" in checked.stdout
    assert [*tmp_path.iterdir()] == []
    app.config["SESSION_COOKIE_SECURE"] = False
    assert flask_sessions(app, "check").exit_code == 1


def test_flask_notes_a_misspelt_name(tmp_path: Path, flask_sessions: Callable[..., Any]) -> None:
    app = flask_app(tmp_path, SESSION_COOKIE_SECURE=True, SESSION_REFRESH_EACH_REQUEST=False)
    assert "unknown" not in flask_sessions(app, "check").stdout
    app.config["SESSION_REFRESH_EVERY_REQUEST"] = True
    checked = flask_sessions(app, "check")
    assert checked.exit_code == 0
    assert "SESSION_REFRESH_EVERY_REQUEST" in checked.stdout
    assert "the nearest is SESSION_REFRESH_EACH_REQUEST" in checked.stdout


def test_an_address_that_the_list_does_not_use_is_found(
    tmp_path: Path, flask_sessions: Callable[..., Any]
) -> None:
    app = flask_app(tmp_path, SESSION_COOKIE_SECURE=True)
    app.config["SESSION_REVOCATION_URL"] = "postgresql://shop:from-the-vault@db.internal/shop"
    for _ in range(2):  # before the first request, and after it
        checked = flask_sessions(app, "check")
        assert checked.exit_code == 1
        assert "SESSION_STORAGE = 'duck_cookie_session.revocation.sql." in checked.stdout
        assert "from-the-vault" not in checked.stdout
        app.test_client().get("/login")
    app.config["SESSION_REVOCATION_URL"] = "redis://list.internal"
    assert "duck_cookie_session.revocation.redis." in flask_sessions(app, "check").stdout


def test_flask_with_a_connector_of_its_own_goes_by_that(
    tmp_path: Path, flask_sessions: Callable[..., Any]
) -> None:
    from duck_cookie_session.contrib.flask import CookieSessionInterface

    app = flask_app(tmp_path)
    settings = SessionSettings(secret_keys=SECRET, session_dir=tmp_path, subject_key="user")
    connector = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    app.session_interface = CookieSessionInterface(connector=connector)
    token = session_token(connector, {"user": 7})
    assert flask_sessions(app, "revoke", "--subject", "7").exit_code == 0
    assert connector.get_session(token) is None
    connector.close()


def test_flask_without_our_interface_says_so(
    tmp_path: Path, flask_sessions: Callable[..., Any]
) -> None:
    app = flask_app(tmp_path)
    app.session_interface = type(app).session_interface
    ran = flask_sessions(app, "check")
    assert ran.exit_code == 2
    assert "not a CookieSessionInterface" in ran.stderr


def test_flask_finds_the_command_by_its_entry_point(flask_sessions: Callable[..., Any]) -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8"))
    module, name = project["project"]["entry-points"]["flask.commands"]["sessions"].split(":")
    assert getattr(importlib.import_module(module), name).name == "sessions"


# Django.

DJANGO = f"""\
SECRET_KEY = {SECRET!r}
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "duck_cookie_session.contrib.django"
]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
SESSION_ENGINE = "duck_cookie_session.contrib.django"
SESSION_DIR = "sessions"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_SECURED = True
SESSION_FILE_PATH = None
"""

ALICE = """\
from django.contrib.auth.models import User
User.objects.create_user("somebody", password="x")
User.objects.create_user("alice", password="x")
"""

LOGIN = """\
from duck_cookie_session.contrib.django import get_connector
from duck_cookie_session.testing import session_token
print(session_token(get_connector(), {"_auth_user_id": "2"}))
"""

CALL = """\
import io
from django.core.management import call_command
out = io.StringIO()
call_command("sessions", "revocations", "--json", stdout=out)
print(out.getvalue())
"""


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., Ran]:
    pytest.importorskip("django", reason="Django is not installed (extra `django`)")
    (tmp_path / "site_settings.py").write_text(DJANGO)
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "site_settings"}
    environment["PYTHONPATH"] = str(tmp_path)

    def run(*arguments: str, stdin: str = "") -> Ran:
        return subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=tmp_path,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.slow
def test_django(manage: Callable[..., Ran], tmp_path: Path) -> None:
    checked = manage("sessions", "check")
    assert checked.returncode == 0, checked.stderr
    assert "Django's settings (site_settings)" in checked.stdout
    (noted,) = (line for line in checked.stdout.splitlines() if "unknown" in line)
    assert "SESSION_COOKIE_SECURED" in noted
    assert "the nearest is SESSION_COOKIE_SECURE" in noted
    assert not (tmp_path / "sessions").exists()
    no_users = manage("sessions", "revoke", "--username", "alice")
    assert no_users.returncode == 2
    assert "no such table" in no_users.stderr

    assert manage("migrate", "-v0").returncode == 0
    manage("shell", "-v0", "-c", ALICE)
    token = manage("shell", "-v0", "-c", LOGIN).stdout.split()[-1]
    assert manage("sessions", "inspect", stdin=token).stdout.startswith("Accepted")
    for arguments, code, said in (
        (("--subject", "alice"), 2, "takes the user's primary key"),
        (("--username", "bob"), 1, "there is no user 'bob'"),
        (("--username", "alice"), 0, ""),
    ):
        ran = manage("sessions", "revoke", *arguments)
        assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
    assert "subject revoked" in manage("sessions", "inspect", stdin=token).stdout
    assert '"count": 1' in manage("shell", "-v0", "-c", CALL).stdout


# Duck, whose logins go by Django's models.

DUCK = f"""\
SECRET_KEY = {SECRET!r}
SESSION_DIR = "sessions"
SESSION_ENGINE = "duck_cookie_session.engine"
SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"
DJANGO_SETTINGS_MODULE = "site_settings"
"""


@pytest.mark.slow
def test_duck_looks_a_user_up(manage: Callable[..., Ran], tmp_path: Path) -> None:
    pytest.importorskip("duck", reason="Duck is not installed (extra `duck`)")
    assert manage("migrate", "-v0").returncode == 0
    manage("shell", "-v0", "-c", ALICE)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "__init__.py").touch()
    (tmp_path / "web" / "settings.py").write_text(DUCK)
    settings = SessionSettings(
        secret_keys=SECRET, session_dir=tmp_path / "sessions", subject_key="_auth_user_id"
    )
    connector = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    token = session_token(connector, {"_auth_user_id": 2})

    def run(*arguments: str) -> Ran:
        command = [sys.executable, "-m", "duck_cookie_session", "revoke", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    nobody = run("--username", "bob")
    assert (nobody.returncode, "there is no user 'bob'" in nobody.stderr) == (1, True)
    assert connector.get_session(token) == {"_auth_user_id": 2}
    found = run("--username", "alice")
    assert (found.returncode, found.stdout.split()) == (0, ["revoked", "subject", "2"])
    assert connector.get_session(token) is None
    connector.close()


# A list that ends with its process.


@pytest.mark.parametrize("given", [True, False])
def test_a_memory_list_can_not_be_looked_into_from_another_process(
    tmp_path: Path, flask_sessions: Callable[..., Any], given: bool
) -> None:
    from duck_cookie_session.contrib.flask import CookieSessionInterface

    app = flask_app(tmp_path, SESSION_STORAGE=MemoryRevocationList)
    settings = SessionSettings(secret_keys=SECRET, subject_key="user")
    connector = SessionStorageConnector(MemoryRevocationList, settings=settings)
    if given:
        app.session_interface = CookieSessionInterface(connector=connector)
    ran = flask_sessions(app, "revoke", "--subject", "7")
    connector.close()
    assert ran.exit_code == 2
    assert "ends with its process" in ran.stderr
