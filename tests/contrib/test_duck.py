"""What only Duck's middleware does, on Duck's own server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.contrib.served import APPS, COOKIE, KINDS, Kind, serving
from tests.helpers.redis_server import RedisServer

pytestmark = pytest.mark.server


def duck(**environment: str) -> Kind:
    return replace(KINDS["duck"], environment=environment)


@pytest.mark.parametrize("debug", ["", "1"])
def test_headers_as_they_leave_the_server(tmp_path: Path, debug: str) -> None:
    with serving(duck(SITE_DEBUG=debug), tmp_path, nodes=1) as site:
        client = site.client()
        written = client.get("/set", key="color", value="blue")
        # With DEBUG Duck writes its own over what is there, at the very end.
        assert written.all("Cache-Control") == ["no-cache" if debug else "no-store"]
        assert "cookie" in written.tokens("Vary")
        assert "Domain" not in (written.set_cookie or "")
        read = client.get("/show")
        assert read.all("Cache-Control") == ["no-cache" if debug else "private, no-cache"]
        if not debug:  # what Duck says of everything else
            assert client.get("/plain").all("Cache-Control") == ["public, max-age=2592000"]

        client.get("/set", key="size", value="9", written="of the application")
        seen = client.get("/set", key="size", value="9", written=quote("app"))
        assert (seen.set_cookie or "").startswith(f"{COOKIE}=app")


def test_a_save_that_fails_is_a_500_that_says_what_in_debug_mode(tmp_path: Path) -> None:
    with serving(duck(SITE_DEBUG="1"), tmp_path, nodes=1) as site:
        client = site.client()
        client.get("/set", key="color", value="blue")
        failed = client.get("/large")
        assert failed.status == 500
        assert "SessionTooLarge" in failed.body
        assert "'large': 5009" in failed.body
        assert failed.set_cookie is None
        assert "cookie" in failed.tokens("Vary")
        assert client.show()["data"] == {"color": "blue"}


WRONG: dict[str, dict[str, Any]] = {
    "SESSION_ABSOLUTE_AGE": {"SESSION_ABSOLUTE_AGE": 0},
    "SESSION_DIR": {"SESSION_DIR": None},
    "has only 5 bytes": {"SECRET_KEY": "short"},
    "not a revocation list": {"SESSION_STORAGE": "duck.http.response.HttpResponse"},
    "a __Host- name": {"SESSION_DEVICE_BINDING": "offer", "SESSION_COOKIE_SECURE": True},
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_value_is_refused_before_duck_serves(tmp_path: Path, said: str) -> None:
    kind = duck(SITE_SETTINGS=json.dumps(WRONG[said]))
    with pytest.raises(RuntimeError, match=said), serving(kind, tmp_path, nodes=1):
        pass


LIVELY = ["navigation", "event", "unsaved", "expiry"]


@pytest.mark.parametrize("what", LIVELY)
def test_an_open_page_of_lively_forgets_a_session_that_has_ended(tmp_path: Path, what: str) -> None:
    _open_page(tmp_path, what)


@pytest.mark.parametrize("what", LIVELY)
def test_so_it_does_where_the_list_is_across_the_network(
    tmp_path: Path, what: str, redis_server: RedisServer
) -> None:
    _open_page(tmp_path, what, redis_server.url)


def _open_page(folder: Path, what: str, redis: str = "") -> None:
    site = {"SITE_SECRET": "k" * 40, "SITE_FOLDER": str(folder / "sessions"), "SITE_LIST": redis}
    done = subprocess.run(
        [sys.executable, str(APPS / "duck_lively.py"), what],
        cwd=folder,
        env={**os.environ, **site},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert all(seen.pop(f"{when}: cookie") is False for when in ("before", "after"))
    before = {value for name, value in seen.items() if name.startswith("before")}
    after = {value for name, value in seen.items() if name.startswith("after")}
    assert (before, after) == ({"alice"}, {None})


def test_the_old_session_is_read_one_last_time(tmp_path: Path) -> None:
    secret = "k" * 32  # Duck's own storage takes no more, this library no less
    duck_own = {"SITE_OLD": "1", "SITE_MIDDLEWARE": "duck.http.middlewares.contrib.session"}
    with serving(duck(**duck_own), tmp_path, nodes=1, secret=secret) as site:
        client = site.client()
        client.get("/own-cookie")
        old = f"{COOKIE}={client.cookie}"
    with serving(duck(SITE_TAKE_OVER="1"), tmp_path, nodes=1, secret=secret) as site:
        client = site.client()
        taken = client.get("/show", cookie=old)
        assert taken.state["data"] == {"seen": True}
        assert taken.deletes
        new = next(value for value in taken.all("Set-Cookie") if value.startswith("new_session="))
        again = client.get("/show", cookie=new.partition(";")[0])
        assert again.state["data"] == {"seen": True}
        assert client.get("/show", cookie=old).state["data"] == {}
        assert client.get("/show", cookie=f"{COOKIE}=../../etc").state["data"] == {}
