"""What only Duck's middleware does, on Duck's own server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contrib.served import COOKIE, KINDS, Kind, serving

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

        client.get("/set", key="size", value="9", written="of the application")
        seen = client.get("/set", key="size", value="9", written=quote("app"))
        assert (seen.set_cookie or "").startswith(f"{COOKIE}=app")


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
