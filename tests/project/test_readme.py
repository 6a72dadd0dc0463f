"""README.md and SECURITY.md hold: every snippet runs, every table says what the code says."""

from __future__ import annotations

import ast
import asyncio
import http.client
import inspect
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import MISSING, fields
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest

from duck_cookie_session import (
    SessionRevoked,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SessionTooLarge,
    get_session_storage_connector,
)
from duck_cookie_session.cli.main import parser
from duck_cookie_session.demo.client import ask
from duck_cookie_session.demo.nodes import _free_ports
from duck_cookie_session.session_storage_connector import import_storage
from duck_cookie_session.settings import setting_name
from tests.helpers import sent_cookie
from tests.helpers.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text("utf-8")
SECRET = "a secret of at least 32 bytes, from keygen"

_BLOCK = re.compile(r"(?:<!-- test: (\S+) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


def _snippets() -> dict[str, str]:
    return {name: code for name, language, code in _BLOCK.findall(README) if language == "python"}


def _rows(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose first heading is that."""
    table = text[text.index(f"| {first} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def _run(name: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": f"readme_{name}"}
    exec(compile(_snippets()[name], f"README.md, {name}", "exec"), namespace)  # noqa: S102  # ours
    return namespace


@pytest.fixture
def usage(clean_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    return _run("usage")


# Snippets.


def test_every_snippet_is_tested() -> None:
    tested = Path(__file__).read_text("utf-8")
    for name, code in _snippets().items():
        assert name, "a python block of README.md has no <!-- test: name --> before it"
        if "/" in name:  # as it stands in a file that other tests use
            assert code in (ROOT / name).read_text("utf-8"), f"{name} says something else"
            continue
        assert f'"{name}"' in tested, f"the snippet {name} of README.md is not tested"


@pytest.mark.slow
def test_snippets_pass_mypy(tmp_path: Path) -> None:
    paths = []
    for name, code in _snippets().items():
        if "/" in name:
            continue  # written without types, to be short
        paths.append(tmp_path / f"readme_{name}.py")
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


def test_stats(usage: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    usage["first_visit"]()
    SessionStore("junk").get("cart")
    _run("stats")
    assert re.match(r"1 \{.*'no key': 1", capsys.readouterr().out)


def test_redis_settings_make_one_list_of_many_nodes(
    make_redis_server: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_redis_server("--appendonly", "yes", "--appendfsync", "always")
    monkeypatch.setenv("DUCK_SECRET_KEY", SECRET)
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


@pytest.mark.server
def test_duck_settings_serve_under_duck(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    code = _snippets()["duck"]
    assert "/var/lib/shop/sessions" in code
    web = tmp_path / "web"
    web.mkdir()
    (port,) = _free_ports()[:1]
    files = {
        "__init__": "",
        "settings": code.replace("/var/lib/shop/sessions", str(sessions))
        + "DEBUG = AUTO_RELOAD = LOG_TO_FILE = ENABLE_DASHBOARD = False\nSILENT = True\n"
        + "DJANGO_SETTINGS_MODULE = 'duck.etc.structures.projects.testing.web.backend.django."
        + "duckapp.duckapp.settings'\n",
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
            env={**os.environ, "DUCK_SECRET_KEY": SECRET},
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


def test_asgi(
    clean_process: None, closed_lists: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = _run("asgi")["app"]

    async def visit() -> list[str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://shop.test") as client:
            return [(await client.get("/")).text for _ in range(3)]

    assert asyncio.run(visit()) == ["1", "2", "3"]


def test_flask(closed_lists: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    with _run("flask")["app"].test_client() as client:
        seen = [client.get("/", base_url="https://shop.test").text for _ in range(3)]
        assert client.get_cookie("__Host-session", "shop.test") is not None
    assert seen == ["1", "2", "3"]


DJANGO = """
import sys
import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def view(request):
    request.session["seen"] = request.session.get("seen", 0) + 1
    return HttpResponse(request.session["seen"])

urlpatterns = [path("", view)]

if __name__ == "__main__":
    import shop
    own = {name: getattr(shop, name) for name in dir(shop) if name.isupper()}
    settings.configure(ROOT_URLCONF="views", ALLOWED_HOSTS=["*"], **own)
    django.setup()
    client = Client()
    print(*(client.get("/", secure=True).content.decode() for _ in range(3)))
    print(*client.cookies)
"""


def test_django(tmp_path: Path) -> None:
    code = _snippets()["django"]
    assert "/var/lib/shop/sessions" in code
    sessions = tmp_path / "sessions"
    shop = code.replace("/var/lib/shop/sessions", str(sessions))
    (tmp_path / "shop.py").write_text(shop, "utf-8")
    (tmp_path / "views.py").write_text(DJANGO, "utf-8")
    done = subprocess.run(
        [sys.executable, "views.py"],
        cwd=tmp_path,
        env={**os.environ, "SECRET_KEY": SECRET},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["1", "2", "3", "__Host-session"], done.stderr
    assert (sessions / "revocations.sqlite3").exists()


# Commands.


def _commands() -> list[str]:
    blocks = [code for _, language, code in _BLOCK.findall(README) if language == "sh"]
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_commands_of_this_library_are_ones_that_it_knows() -> None:
    quoted = re.findall(r"`((?:duck-cookie-session|demo) [^`]*)`", README + SECURITY)
    found = [shlex.split(line, comments=True) for line in [*_commands(), *quoted]]
    ours = [words for words in found if words[0] in ("duck-cookie-session", "demo")]
    assert len(ours) > 8
    for words in ours:
        parser().parse_args(words if words[0] == "demo" else words[1:])


def test_commands_that_set_up_make_their_own_environment_with_extras_that_exist() -> None:
    setups = [line for line in _commands() if line.startswith("python3 -m venv ")]
    assert len(setups) == 2
    extras = metadata("duck-cookie-session").get_all("Provides-Extra")
    for line in setups:
        found = re.fullmatch(
            r"python3 -m venv (\S+) && \1/bin/pip install -e '\.\[(\w+)\]' && "
            r"\1/bin/python -m (pytest|duck_cookie_session demo)",
            line,
        )
        assert found, line
        assert found[2] in extras
    for extra in re.findall(r"duck-cookie-session\[(\w+)\]", README):
        assert extra in extras


def test_files_that_are_named_are_there() -> None:
    for text in (README, SECURITY):
        named = re.findall(r'\]\(([^)#:]+)\)|src(?:set)?="([^"]+)"', text)
        named += [(path, "") for path in re.findall(r"`(tests/[\w/.]+)`", text)]
        assert named
        for paths in named:
            path = next(filter(None, paths))
            assert (ROOT / path).exists(), f"{path} is named and not there"


# Tables and figures.


def test_settings_table_is_that_of_the_settings() -> None:
    rows = {row[0].split("`")[1]: row for row in _rows(README, "field")}
    assert list(rows) == [field.name for field in fields(SessionSettings)]
    for field in fields(SessionSettings):
        _, setting, default, _ = rows[field.name]
        assert setting == f"`{setting_name(field.name)}`"
        if field.default is MISSING:
            assert default == ""
        else:
            assert ast.literal_eval(default.strip("`")) == field.default


def test_settings_marked_as_weakening_are_those_that_say_so() -> None:
    marked = {row[0].split("`")[1] for row in _rows(README, "field") if row[0].endswith("*")}
    said = {
        name
        for name, text in re.findall(
            r"^    (\w+): (.*?)(?=^    \w|\Z)",
            inspect.cleandoc(SessionSettings.__doc__ or ""),
            re.DOTALL | re.MULTILINE,
        )
        if "weaken" in text.lower()
    }
    assert marked == said


def test_limit_about_2900_bytes_fit(usage: dict[str, Any]) -> None:
    assert "about 2,900 bytes\n  of packed data" in README
    session = SessionStore(None)
    session["user"] = "a user id of thirty-six characters.."
    session["text"] = "x" * 2_840
    assert len(session._pack()) > 2_890
    session.save()
    session["text"] = "x" * 2_950
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


def test_duck_settings_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCK_SECRET_KEY", SECRET)
    found = _run("duck")
    settings = SessionSettings.from_mapping(found)
    assert settings.cookie_name == "__Host-session"
    assert settings.secret_keys == (SECRET,)
    assert import_storage(found["SESSION_STORAGE"])


# SECURITY.md.

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
