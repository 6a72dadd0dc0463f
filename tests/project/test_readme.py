"""README.md, SECURITY.md and docs/ hold: every snippet and command runs, every table is true."""

from __future__ import annotations

import ast
import asyncio
import http.client
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import fields
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import duck_cookie_session
from duck_cookie_session import (
    EventKind,
    SessionRevoked,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SessionTooLarge,
    SQLiteRevocationList,
    get_session_storage_connector,
)
from duck_cookie_session.cli.main import main, parser
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.demo.client import ask
from duck_cookie_session.demo.nodes import _free_ports
from duck_cookie_session.errors import Reason
from duck_cookie_session.session_storage_connector import import_storage
from duck_cookie_session.token.payload import pack
from tests.device.asgi import answer
from tests.helpers import Clock, sent_cookie
from tests.helpers.device_browser import DeviceBrowser
from tests.helpers.redis_server import RedisServer
from tests.helpers.sql_servers import SQLServer

pytest_plugins = ["duck_cookie_session.testing.fixtures"]

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = PAGES["README.md"]
SECRET = "a secret of at least 32 bytes, from keygen"

NOT_RUN = {
    "nginx": "settings of a program that the tests don't have",
}
"""Snippets that no test runs, and why not."""

NOT_RUN_COMMANDS = {
    r"python -m tests\.benchmarks\b": "takes minutes; .ci/run runs it with --quick",
    r"python -m duck_cookie_session demo\b": "starts two nodes; test_demo.py runs it",
    r"python3 -m venv ": "installs from a package index; .ci/run runs it",
    r"pip install ": "installs from a package index; that its extra exists is tested here",
}
"""Commands that no test here runs, by how they begin, and why not."""

UNNAMED = {"sh", "text", "{include}", "{toctree}", "{eval-rst}"}
"""Blocks that need no name: commands, drawings, and what Sphinx reads."""

_BLOCK = re.compile(
    r"(?:<!-- test: (\S+) -->\n)?^```([^\n]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


class Snippet(NamedTuple):
    page: str
    language: str
    code: str


def _snippets() -> dict[str, Snippet]:
    found: dict[str, Snippet] = {}
    for page, text in PAGES.items():
        for name, language, code in _BLOCK.findall(text):
            if language.split()[0] not in UNNAMED:
                assert name, f"a {language} block of {page} has no <!-- test: name --> before it"
                assert name not in found, f"two snippets are named {name}"
                found[name] = Snippet(page, language, code)
    return found


def _code(name: str) -> str:
    return _snippets()[name].code


def _rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose first heading is that."""
    table = text[text.index(f"| {first} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def _run(name: str) -> dict[str, Any]:
    snippet = _snippets()[name]
    namespace: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet.code, f"{snippet.page}, {name}", "exec"), namespace)  # noqa: S102  # ours
    return namespace


@pytest.fixture
def usage(clean_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    return _run("usage")


# Snippets.


def test_every_snippet_is_tested() -> None:
    tested = Path(__file__).read_text("utf-8")
    for name, snippet in _snippets().items():
        if "/" in name:  # as it stands in a file that other tests use
            file = ROOT / name.partition("#")[0]
            assert snippet.code in file.read_text("utf-8"), f"{name} says something else"
        else:
            assert f'"{name}"' in tested, f"the snippet {name} of {snippet.page} is not tested"
    assert _snippets().keys() >= NOT_RUN.keys()


@pytest.mark.slow
def test_snippets_pass_mypy(tmp_path: Path) -> None:
    paths = []
    for name, snippet in _snippets().items():
        if "/" in name or snippet.language != "python":
            continue  # the former are written without types, to be short
        paths.append(tmp_path / f"snippet_{name.replace('-', '_')}.py")
        code = snippet.code.replace("from shop.lists ", "from snippet_own_list ")
        code = code.replace("from web.settings ", "from snippet_duck ")
        paths[-1].write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_usage_first_and_next_visit(usage: dict[str, Any]) -> None:
    cookie = sent_cookie(usage["first_visit"]())
    assert cookie
    assert usage["next_visit"](cookie) == ["rubber duck", "bread"]


def test_usage_login_password_and_logout(usage: dict[str, Any]) -> None:
    visitor = sent_cookie(usage["first_visit"]()) or ""
    session = usage["log_in"](visitor, "alice")
    assert session["cart"] == ["rubber duck"]
    assert 3590 < session.get_expiry_age() <= 3600
    assert SessionStore(visitor).get("cart") is None
    elsewhere = usage["log_in"]("", "alice").session_key
    usage["change_password"](session)
    assert SessionStore(elsewhere).get("user") is None
    token = session.session_key
    assert SessionStore(token)["user"] == "alice"
    usage["log_out"](session)
    assert SessionStore(token).get("user") is None


def test_usage_spend_lets_one_of_two_through(usage: dict[str, Any]) -> None:
    token = usage["log_in"]("", "alice").session_key
    two = SessionStore(token), SessionStore(token)
    assert [session["user"] for session in two] == ["alice", "alice"]
    assert [usage["spend"](session) for session in two] == ["spent", "the other request was first"]


def test_revoke(usage: dict[str, Any]) -> None:
    alice, bob = (usage["log_in"]("", name).session_key for name in ("alice", "bob"))
    _run("revoke")["lost_laptop"]("alice")
    assert SessionStore(alice).get("user") is None
    assert SessionStore(bob)["user"] == "bob"


def test_an_audit_log(clean_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    snippet = _run("audit-log")
    settings = SessionSettings(secret_keys=SECRET, subject_key="user", session_dir="sessions")
    connector = SessionStorageConnector(
        SQLiteRevocationList, settings=settings, on_event=snippet["write_down"]
    )
    snippet["address"].set("192.0.2.7")
    try:
        visitor = connector.set_session(None, {"cart": [1]})
        token = connector.set_session(visitor, {"user": "alice"})
        token = connector.update_session(token, {"seen": True})
        connector.delete_session(token)
        assert connector.get_session(token) is None
        connector.delete_subject("alice")
    finally:
        connector.close()
        for handler in snippet["audit"].handlers[:]:
            snippet["audit"].removeHandler(handler)
            handler.close()
    lines = [json.loads(line) for line in Path("audit.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in lines] == [
        *("begun", "ended", "login", "ended", "refused", "revoked")
    ]
    login, refused, revoked = lines[2], lines[4], lines[5]
    assert (login["subject"], login["before"]) == ("alice", lines[0]["session"])
    assert (refused["reason"], refused["session"]) == ("ended", login["session"])
    assert (revoked["scope"], revoked["subject"]) == ("subject", "alice")
    assert {line["address"] for line in lines} == {"192.0.2.7"}


def test_tests_that_pages_name_are_there() -> None:
    pages = "\n".join(PAGES.values())
    named = re.findall(r"`(?:tests/)?([\w/]+\.py)::(test_\w+)`", pages)
    assert len(named) > 20
    for path, test in named:
        text = (ROOT / "tests" / path).read_text("utf-8")
        assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), (path, test)
    for path in re.findall(r"`tests/([\w/]+\.py)`", pages):
        assert (ROOT / "tests" / path).exists(), path


def test_what_to_alert_on_are_words_of_the_log() -> None:
    words = {word.value for enum in (EventKind, Reason) for word in enum}
    words |= {"session", "subject", "group", "everything", "before", "clear-all"}
    rows = _rows(PAGES["docs/audit-log.md"], "lines")
    assert len(rows) > 5
    assert {word for row in rows for word in re.findall("`([^`]+)`", row[0])} <= words


def test_a_page_that_insists_on_the_device(
    clean_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.chdir(tmp_path)
    made = _run("device")

    async def log_in(request: Request) -> PlainTextResponse:
        request.session["user"] = "ada"
        return PlainTextResponse("in")

    made["site"].router.routes.append(Route("/login", log_in))
    connector = SessionStorageConnector(
        SQLiteRevocationList, settings=made["settings"], clock=clock
    )
    app = CookieSessionMiddleware(made["site"], connector=connector)
    browser = DeviceBrowser(lambda *request: asyncio.run(answer(app, *request)), clock)
    assert browser.open("/pay").one("Location") == "/password"
    browser.open("/login")
    copy = browser.copied()
    copy.cookies.pop(next(name for name in copy.cookies if "-proof-" in name))
    assert copy.open("/pay").body == browser.open("/pay").body == b"paid"  # logged in just now
    clock.tick(301)
    assert browser.open("/pay").body == b"paid"
    assert copy.open("/pay").one("Location") == "/password"
    connector.close()


def test_stats(usage: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    usage["first_visit"]()
    SessionStore("junk").get("cart")
    _run("stats")
    assert re.match(r"1 \{.*'no key': 1", capsys.readouterr().out)


def test_prometheus(usage: dict[str, Any]) -> None:
    from prometheus_client import REGISTRY

    from duck_cookie_session.contrib.prometheus import HELP

    collector = []
    try:
        collector.append(_run("prometheus")["SessionCollector"])
        usage["first_visit"]()
        assert REGISTRY.get_sample_value("duck_cookie_session_issued_total") == 1
        page = PAGES["docs/metrics.md"]
        families = {f"duck_cookie_session_{name}" for name in HELP}
        found = {one.name: one for one in REGISTRY.collect() if one.name in families}
        samples = {sample.name for one in found.values() for sample in one.samples}
        assert set(re.findall(r"\bduck_cookie_session_\w+\w", page)) <= samples
        rows = re.findall(r"^\| (`.*?) \|(.*?)\|", page.partition("## What to alert on")[2], re.M)
        told = {name: label for names, label in rows for name in re.findall(r"`(\w+)`", names)}
        assert {f"duck_cookie_session_{name}" for name in told} == set(found) == families
        for name, label in told.items():
            for sample in found[f"duck_cookie_session_{name}"].samples:
                assert {f"`{one}`" for one in sample.labels if one != "le"} == {*label.split()}
    finally:
        for found in list(REGISTRY._collector_to_names):
            if type(found) in collector:
                REGISTRY.unregister(found)


def test_redis_settings_make_one_list_of_many_nodes(
    make_redis_server: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [line.split() for line in _code("redis.conf").splitlines() if line[0] != "#"]
    server = make_redis_server(*(word for name, *rest in lines for word in (f"--{name}", *rest)))
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("REVOCATION_URL", server.url)
    found = _run("redis")
    settings = SessionSettings.from_mapping(found)
    storage = import_storage(found["SESSION_STORAGE"])
    nodes = [SessionStorageConnector(storage, settings=settings) for _ in range(3)]
    token = nodes[0].set_session(None, {"user": "alice"})
    assert [node.get_session(token) for node in nodes] == [{"user": "alice"}] * 3
    nodes[1].delete_session(token)
    assert [node.get_session(token) for node in nodes] == [None] * 3
    for node in nodes:
        node.close()


def test_sql_settings_make_one_list_of_many_nodes(
    one_sql: SQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("REVOCATION_URL", one_sql.url)
    found = _run("sql")
    settings = SessionSettings.from_mapping(found)
    storage = import_storage(found["SESSION_STORAGE"])
    nodes = [SessionStorageConnector(storage, settings=settings) for _ in range(2)]
    token = nodes[0].set_session(None, {"user": "alice"})
    assert [node.get_session(token) for node in nodes] == [{"user": "alice"}] * 2
    nodes[1].delete_session(token)
    assert [node.get_session(token) for node in nodes] == [None] * 2
    for node in nodes:
        node.close()


def test_asgi_over_a_database(
    clean_process: None, one_sql: SQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    testclient = pytest.importorskip("starlette.testclient", reason="Starlette is not installed")
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("REVOCATION_URL", one_sql.url)
    found = _run("asgi-network")
    found["app"].app.router.routes.append(Route("/", _count))
    with testclient.TestClient(found["app"], base_url="https://shop.test") as client:
        assert [client.get("/").text for _ in range(3)] == ["1", "2", "3"]
        copied = client.cookies["session_id"]
        found["connector"].delete_session(copied)
        assert client.get("/").text == "1"
    found["connector"].close()


DUCK_SETTINGS = (
    "DEBUG = AUTO_RELOAD = LOG_TO_FILE = ENABLE_DASHBOARD = False\nSILENT = True\n"
    "DJANGO_SETTINGS_MODULE = 'duck.etc.structures.projects.testing.web.backend.django."
    "duckapp.duckapp.settings'\n"
)
"""What a new project has, or what keeps it quiet."""

DUCK_USERS = """
from duck.contrib import auth
from duck.http.response import HttpResponse
from duck.urls import path

def who(request):
    return HttpResponse(str(auth.get_user_id(request)))

def logout(request):
    auth.logout(request)
    return HttpResponse("")

urlpatterns = [path("/who", who), path("/logout", logout)]
"""


@pytest.mark.parametrize("name", ["duck", "readme-duck"])
@pytest.mark.server
def test_duck_settings_serve_under_duck(name: str, tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    code = _code(name)
    assert "/var/lib/shop/sessions" in code
    web = tmp_path / "web"
    web.mkdir()
    (port,) = _free_ports()[:1]
    files = {
        "__init__": "",
        "settings": code.replace("/var/lib/shop/sessions", str(sessions)) + DUCK_SETTINGS,
        "urls": "from duck.urls import path\nfrom duck.http.response import HttpResponse\n"
        "def view(request):\n"
        "    request.SESSION['seen'] = request.SESSION.get('seen', 0) + 1\n"
        "    return HttpResponse(str(request.SESSION['seen']))\n"
        "urlpatterns = [path('/', view)]\n",
        "main": f"from duck.app import App\nApp(addr='127.0.0.1', port={port}).run()\n",
    }
    for name, text in files.items():
        (web / f"{name}.py").write_text(text, "utf-8")
    with (tmp_path / "output.txt").open("wb") as output:
        duck = subprocess.Popen(
            [sys.executable, "-m", "web.main"],
            cwd=tmp_path,
            env={**os.environ, "SECRET_KEY": SECRET},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        cookie, seen = "", []
        deadline = time.monotonic() + 60
        while len(seen) < 3:
            assert time.monotonic() < deadline, (tmp_path / "output.txt").read_text()
            assert duck.poll() is None, (tmp_path / "output.txt").read_text()
            try:
                answer = ask(port, "GET", "/", {"Cookie": cookie})
            except (OSError, http.client.HTTPException):
                continue  # it is still starting
            seen.append(answer.text)
            (header,) = answer.all("Set-Cookie")
            assert "Secure" in header
            cookie = header.partition(";")[0]
        assert cookie.startswith("__Host-session=")
        assert seen == ["1", "2", "3"]
        assert (sessions / "revocations.sqlite3").exists()
    finally:
        duck.kill()
        duck.wait()


async def _count(request: Request) -> PlainTextResponse:
    request.session["seen"] = request.session.get("seen", 0) + 1
    return PlainTextResponse(str(request.session["seen"]))


@pytest.mark.parametrize("name", ["asgi", "readme-asgi"])
def test_asgi(
    name: str, clean_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    app = _run(name)["app"]
    if name == "readme-asgi":
        app.app.router.routes.append(Route("/", _count))

    async def visit() -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://shop.test") as client:
            return [(await client.get("/")).text for _ in range(3)]

    assert asyncio.run(visit()) == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["flask", "readme-flask"])
def test_flask(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    found = _run(name)
    if name == "readme-flask":
        found["app"].add_url_rule("/", view_func=_run("flask")["count"])
    with found["app"].test_client() as client:
        seen = [client.get("/", base_url="https://shop.test").text for _ in range(3)]
        cookie = "session" if name == "readme-flask" else "__Host-session"
        assert client.get_cookie(cookie, "shop.test") is not None
    assert seen == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["testing-asgi", "testing-flask"])
def test_testing(name: str, clean_process: None) -> None:
    found = _run(name)
    try:
        found["test_who"]()
    finally:
        found["connector"].close()


def _passes(folder: Path, count: str, *options: str, **environment: str) -> None:
    """Whether the tests in a folder pass, run as by somebody who wrote them."""
    environment["PYTEST_ADDOPTS"] = ""  # a `--cov` of ours would measure this folder
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:randomly", *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert re.search(rf"^{count} passed in", done.stdout, re.MULTILINE), done.stdout + done.stderr


def test_testing_fixtures(make_session_connector: object, session_clock: object) -> None:
    _run("testing-fixtures")["test_a_week_later"](make_session_connector, session_clock)


@pytest.mark.slow
def test_testing_duck(tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    files = {
        "__init__": "",
        "settings": _code("duck") + DUCK_SETTINGS,
        "testing": _code("testing-duck-settings"),
        "urls": DUCK_USERS,
    }
    for name, text in files.items():
        (web / f"{name}.py").write_text(text, "utf-8")
    (tmp_path / "test_views.py").write_text(_code("testing-duck"), "utf-8")
    _passes(tmp_path, "1", DUCK_SETTINGS_MODULE="web.testing", SECRET_KEY=SECRET)


@pytest.mark.slow
def test_a_list_of_your_own_passes_the_contract(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "lists.py").write_text(_code("own-list"), "utf-8")
    (tmp_path / "test_lists.py").write_text(_code("own-list-tests"), "utf-8")
    _passes(tmp_path, r"4\d")


def test_a_list_of_your_own_serves_by_the_settings_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flask = pytest.importorskip("flask", reason="Flask is not installed (extra `flask`)")
    from duck_cookie_session.cli.flask_command import sessions
    from duck_cookie_session.contrib.flask import CookieSessionInterface

    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "lists.py").write_text(_code("own-list"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    app = flask.Flask("shop")
    app.config.update(SECRET_KEY=SECRET, **_run("own-list-used"))
    app.config["SESSION_DIR"] = str(tmp_path / "revocations")  # the one shown is root's to make
    CookieSessionInterface(app)
    app.add_url_rule("/in", view_func=lambda: flask.session.update(_user_id="alice") or "in")
    app.add_url_rule("/who", "who", lambda: str(flask.session.get("_user_id")))
    app.add_url_rule("/out", "out", lambda: flask.session.clear() or "out")
    browser, thief = app.test_client(), app.test_client()
    browser.get("/in")
    thief.set_cookie("session", browser.get_cookie("session").value)
    assert thief.get("/who").text == "alice"
    browser.get("/out")
    assert thief.get("/who").text == "None"
    checked = app.test_cli_runner().invoke(sessions, ["check"])
    assert "FolderRevocationList, answered in" in checked.output


def test_the_list_of_your_own_is_short() -> None:
    lines = [line for line in _code("own-list").splitlines() if line.strip()]
    assert len(lines) <= 60


DJANGO = """
import sys
import django
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def view(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return HttpResponse(request.session["seen"])

def who(request):
    return HttpResponse(request.user.get_username() or "nobody")

urlpatterns = [path("", view), path("who", who)]

def ask(client, address=""):
    return client.get("/" + address, secure=True).content.decode()

if __name__ == "__main__":
    import shop
    own = {name: getattr(shop, name) for name in dir(shop) if name.isupper()}
    own["INSTALLED_APPS"] += ["django.contrib.auth", "django.contrib.contenttypes"]
    own["MIDDLEWARE"] += ["django.contrib.auth.middleware.AuthenticationMiddleware"]
    memory = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        ROOT_URLCONF="views", ALLOWED_HOSTS=["*"], DATABASES={"default": memory}, **own
    )
    django.setup()
    client = Client()
    print(*(ask(client) for _ in range(3)))
    print(*client.cookies)
    import prepare, revoke
    prepare.with_session(client, _auth_user_id="7", seen=40)
    print(ask(client))
    print(client.session["seen"])
    revoke.log_out_everywhere(7)
    print(ask(client))
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    alice = User.objects.create_user("alice", password="secret")
    for client in (Client(), Client()):
        client.force_login(alice)
        print(ask(client, "who"))
    revoke.log_out_everywhere(alice.pk)
    print(ask(client, "who"))
    print(client.login(username="alice", password="secret"), ask(client, "who"))
    client.logout()
    print(ask(client, "who"))
"""
DJANGO_SAID = (
    *("1", "2", "3", "__Host-session", "41", "41", "1"),
    *("alice", "alice", "nobody", "True", "alice", "nobody"),
)


@pytest.mark.parametrize("name", ["django", "readme-django"])
def test_django(name: str, tmp_path: Path) -> None:
    code = _code(name)
    assert "/var/lib/shop/sessions" in code
    sessions = tmp_path / "sessions"
    shop = code.replace("/var/lib/shop/sessions", str(sessions))
    (tmp_path / "shop.py").write_text(shop, "utf-8")
    (tmp_path / "views.py").write_text(DJANGO, "utf-8")
    (tmp_path / "prepare.py").write_text(_code("testing-django"), "utf-8")
    (tmp_path / "revoke.py").write_text(_code("django-revoke"), "utf-8")
    done = subprocess.run(
        [sys.executable, "views.py"],
        cwd=tmp_path,
        env={**os.environ, "SECRET_KEY": SECRET},
        capture_output=True,
        text=True,
    )
    assert tuple(done.stdout.split()) == DJANGO_SAID, done.stderr
    assert (sessions / "revocations.sqlite3").exists()


# Commands.


def _commands(*pages: str) -> list[str]:
    texts = [PAGES[page] for page in pages or PAGES]
    blocks = [code for text in texts for _, lang, code in _BLOCK.findall(text) if lang == "sh"]
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def _words(line: str) -> list[str]:
    return shlex.split(line.partition(" < ")[0], comments=True)


def test_every_command_is_one_that_is_tested() -> None:
    """Below, or elsewhere and listed with the reason."""
    lines = _commands()
    for line in lines:
        listed = any(re.match(start, line) for start in NOT_RUN_COMMANDS)
        assert listed or line.startswith("duck-cookie-session "), f"nothing runs `{line}`"


def test_commands_of_this_library_are_ones_that_it_knows() -> None:
    quoted = re.findall(r"`((?:duck-cookie-session|demo) [^`]*)`", "".join(PAGES.values()))
    found = [_words(line) for line in [*_commands(), *quoted]]
    ours = [words for words in found if words[0] in ("duck-cookie-session", "demo")]
    assert len(ours) > 8
    for words in ours:
        parser().parse_args(words if words[0] == "demo" else words[1:])


@pytest.mark.parametrize(
    "line", sorted({line for line in _commands() if line.startswith("duck-cookie-session ")})
)
def test_commands_of_this_library_run(
    line: str, usage: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = usage["log_in"](sent_cookie(usage["first_visit"]()), "alice").session_key
    monkeypatch.setenv("SESSION_SECRET_KEYS", f'["{SECRET}"]')
    monkeypatch.setenv("SESSION_DIR", "sessions")
    monkeypatch.setenv("SESSION_COOKIE_NAME", "session_id")
    monkeypatch.setenv("SESSION_SUBJECT_KEY", "user")
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    words = _words(line)[1:]
    if words == ["clear-all"]:
        words.append("--yes")  # here is nobody to be asked
    bad = words == ["check"]  # the secret of the snippet is no good one
    assert main(words) == (1 if bad else 0)
    ends = words[0] == "clear-all" or "alice" in words
    assert SessionStore(token).get("user") == (None if ends else "alice")


def test_commands_that_set_up_make_their_own_environment_with_extras_that_exist() -> None:
    setups = [line for line in _commands("README.md") if line.startswith("python3 -m venv ")]
    assert len(setups) == 2
    extras = metadata("duck-cookie-session").get_all("Provides-Extra")
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    user = re.compile(
        r"python3 -m venv (\S+) && \1/bin/pip install -e '\.\[(\w+)\]' && "
        r"\1/bin/python -m duck_cookie_session demo"
    )
    # Groups need a newer pip than the one that Python 3.11 and 3.12 bring.
    developer = re.compile(
        r"python3 -m venv --upgrade-deps (\S+) && \1/bin/pip install -e \. --group (\S+) && "
        r"\1/bin/python -m pytest"
    )
    demo, tests = (user.fullmatch(setups[0]), developer.fullmatch(setups[1]))
    assert demo
    assert tests
    assert demo[2] in extras
    assert tests[2] in groups
    for line in _commands():
        if line.startswith("pip install "):
            released = r"'duck-cookie-session\[\w+\]'|duck-cookie-session"
            found = re.fullmatch(rf"pip install (?:-e \. --group (\S+)|{released})", line)
            assert found, line
            assert found[1] is None or found[1] in groups
    for extra in re.findall(r"(?:\.|duck-cookie-session)\[(\w+)\]", "".join(PAGES.values())):
        assert extra in extras
    listed = re.findall(r"The extras are (.*?);", PAGES["docs/start.md"], re.DOTALL)[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(extras)


def _headings(text: str) -> set[str]:
    """The anchors that the headings of a page give."""
    found = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page: str) -> None:
    """Links within docs/ are Sphinx's to check as well; the others it does not see."""
    text = PAGES[page]
    named = re.findall(r'\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)|src(?:set)?="([^"]+)"', text)
    named += [("", "", f"{ROOT}/{path}") for path in re.findall(r"`(tests/[\w/.]+)`", text)]
    for link, anchor, source in named:
        path = ((ROOT / page).parent / (link or source or Path(page).name)).resolve()
        assert path.exists(), f"{path} is named and not there"
        if anchor and path.name != "settings.md":  # its headings are generated
            assert anchor in _headings(path.read_text("utf-8")), f"{path} has no #{anchor}"


# Tables and figures.


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
    for name, snippet in _snippets().items():
        if snippet.page == "README.md":
            lines = [line for line in snippet.code.splitlines() if line]
            assert len(lines) <= 10, f"the example {name} is long"


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = "\n".join(re.findall(r"```{toctree}\n(.*?)```", PAGES["docs/index.md"], re.DOTALL))
    pages = {Path(page).stem for page in PAGES if page.startswith("docs/")} - {"index"}
    names = [line for line in listed.splitlines() if line and not line.startswith(":")]
    assert sorted(names) == sorted(pages)


def test_settings_are_all_described() -> None:
    described = runpy.run_path(str(ROOT / "docs" / "conf.py"))["described"]()
    assert list(described) == [field.name for field in fields(SessionSettings)]
    assert all(described.values())


def test_reference_has_every_public_name() -> None:
    named = set(re.findall(r"^\.\. (?:auto|py:)\w+:: (?:\w+\.)*(\w+)", PAGES["docs/api.md"], re.M))
    public = {
        name
        for name, value in vars(duck_cookie_session).items()
        if callable(value) and not name.startswith("_")
    }
    assert named >= public


def test_reference_has_what_the_pages_call() -> None:
    named = set(
        re.findall(r"^ *\.\. (?:auto|py:)\w+:: (?:\w+\.)*(\w+)", PAGES["docs/api.md"], re.M)
    )
    others = {*dir(dict), "permanent", "new"}  # a session is a dict, and Flask's
    for page, text in PAGES.items():
        if page != "docs/architecture.md":  # which names what is inside
            called = set(re.findall(r"(?<![\w/])(?:session|connector)\.(\w+)\(", text))
            assert called <= named | others, page


def test_limit_about_2850_bytes_fit(usage: dict[str, Any]) -> None:
    for page in ("README.md", "docs/proxies.md"):
        assert re.search(r"about 2,850\s+bytes\s+of\s+(packed\s+)?data", PAGES[page])
    session = SessionStore(None)
    session["user"] = "a user id of thirty-six characters.."
    connector = get_session_storage_connector()
    connector.clear_all_sessions()  # after a revocation the claims take most
    connector.delete_subject(session["user"])
    session["text"] = "x" * 2_800
    assert len(pack(session.copy())) > 2_850
    session.save()
    session["text"] = "x" * 2_850
    with pytest.raises(SessionTooLarge):
        session.save()


def test_limit_older_cookies_of_a_live_session(usage: dict[str, Any]) -> None:
    older = usage["log_in"]("", "alice").session_key
    session = SessionStore(older)
    session["credit"] = 5
    session.save()
    assert SessionStore(older)["user"] == "alice"
    session.supersede()
    session.save()
    assert SessionStore(older).get("user") is None
    with pytest.raises(SessionRevoked):
        get_session_storage_connector().set_session(older, {})


@pytest.mark.slow  # needs Duck
def test_duck_settings_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    found = _run("duck")
    settings = SessionSettings.from_mapping(found)
    assert settings.cookie_name == "__Host-session"
    assert settings.secret_keys == (SECRET,)
    assert import_storage(found["SESSION_STORAGE"])


# The security model.

SECURITY = PAGES["docs/security.md"]

WANTED = {
    "V3.3": 5,
    "V7.2": 4,
    "V7.3": 2,
    "V7.4": 5,
    "V7.5": 3,
    "V9.1": 3,
    "V9.2": 4,
}
"""How many requirements each section of ASVS 5.0 has."""


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_asvs_table_is_complete() -> None:
    numbers = [row[0] for row in _rows(SECURITY, "ASVS")]
    wanted = [f"{section}.{n}" for section, count in WANTED.items() for n in range(1, count + 1)]
    assert numbers == wanted


def test_asvs_table_names_tests_that_are_there() -> None:
    there = _tests_of(Path(__file__).with_name("test_asvs.py"))
    named = set()
    for number, _, how, test in _rows(SECURITY, "ASVS"):
        if test:
            named.add(test.strip("`"))
            assert test.strip("`") in there, f"{number} names {test}, which is not there"
        else:
            assert how.startswith("application"), f"{number} has no test"
    assert {name for name in there if name.startswith("test_v")} == named
