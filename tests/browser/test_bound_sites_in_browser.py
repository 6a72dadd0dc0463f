"""Real Chromium, the ASGI middleware and Django: what a bound session stops, and lets pass."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.device.stories import VISITOR, shown, who
from tests.helpers.clock import START
from tests.helpers.device_browser import DeviceBrowser, Send, over_http
from tests.helpers.redis_server import free_port

from .authority import FLAGS, Authority, make_authority
from .chromium import browser

REGISTRATION, REFRESH = "/.session-device/registration", "/.session-device/refresh"


class Site:
    """The application under uvicorn, asked beside the browser by `send`."""

    def __init__(self, port: int, send: Send) -> None:
        self.port, self.send = port, send

    def url(self, path: str, host: str = "app.test") -> str:
        return f"https://{host}:{self.port}{path}"

    def saw(self) -> list[list[Any]]:
        found: list[list[Any]] = json.loads(self.send("GET", "/saw", {}).body)
        return found

    def wait_for(self, path: str, status: int) -> None:
        until = time.monotonic() + 10
        while [path, status] not in self.saw():
            assert time.monotonic() < until, self.saw()
            time.sleep(0.02)

    def forward(self, seconds: int) -> None:
        self.send("GET", f"/forward?{seconds}", {})

    def shown_to(self, cookies: list[dict[str, Any]]) -> Any:
        """What another client is shown that has these cookies."""
        line = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies)
        return shown(self.send("GET", "/", {"Cookie": line, "Host": f"app.test:{self.port}"}))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), ["app.test", "other.test"])


@pytest.fixture(scope="module", params=["asgi", "django"])
def site(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Site]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--port", str(port)]
    command += ["--ssl-certfile", str(authority.server), "tests.browser.bound_app:application"]
    server = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "SITE_FRAMEWORK": request.param},
    )
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    site = Site(port, over_http(port, context))
    try:
        until = time.monotonic() + 30
        while True:
            try:
                site.saw()
                break
            except OSError:
                assert time.monotonic() < until
                assert server.poll() is None
                time.sleep(0.05)
        yield site
    finally:
        server.terminate()
        server.wait()


def test_a_bound_session_from_login_to_logout(
    driver: Any, site: Site, authority: Authority
) -> None:
    with browser(driver, flags=FLAGS, env=authority.environment) as context:
        page = context.new_page()

        def look(path: str) -> Any:
            page.goto(site.url(path))
            return tuple(json.loads(page.inner_text("p"))[:2])

        def let_proof_end() -> None:
            for cookie in context.cookies():
                if "-proof-" in cookie["name"]:
                    context.clear_cookies(name=cookie["name"])

        assert look("/signin/ada")[0] == "ada"  # bound already, if the registration was faster
        # What is copied before the registration is this cookie alone.
        early = [c for c in context.cookies() if c["name"] == "__Host-session"]
        site.wait_for(REGISTRATION, 200)
        until = time.monotonic() + 10
        while not any("-proof-" in cookie["name"] for cookie in context.cookies()):
            assert time.monotonic() < until, "the answer to the registration did not arrive"
            page.wait_for_timeout(20)
        assert look("/") == ("ada", True)
        site.forward(31)
        copied = context.cookies()
        assert len(copied) == 3
        assert site.shown_to(early) == VISITOR
        assert site.shown_to(copied) == ("ada", True)  # within the proof's minutes

        let_proof_end()
        assert look("/") == ("ada", True)
        assert [REFRESH, 200] in site.saw()

        let_proof_end()
        page.goto(site.url("/link?" + site.url("/"), "other.test"))
        page.click("a")
        proven = """document.querySelector('p')?.innerText.startsWith('["ada", true')"""
        page.wait_for_function(proven)

        site.forward(601)
        assert site.shown_to(copied) == VISITOR
        let_proof_end()
        assert look("/") == ("ada", True)
        assert look("/logout") == VISITOR
        assert not any(c["name"].startswith("__Host-session") for c in context.cookies())
        assert site.shown_to(copied) == VISITOR


def test_the_browser_in_python_does_the_same(site: Site) -> None:
    now = START
    browser = DeviceBrowser(site.send, lambda: now, site.url("").removesuffix("/"))

    assert who(browser, "/signin/ada") == ("ada", False)
    assert who(browser) == ("ada", True)
    site.forward(31)
    copy = browser.copied()
    assert who(copy) == ("ada", True)
    for _ in range(3):
        now += 601
        site.forward(601)
        assert who(browser) == ("ada", True)
        assert who(copy) == VISITOR
    now += 601
    site.forward(601)
    assert shown(browser.follow_link("/")) == ("ada", True)
    assert who(browser, "/logout") == VISITOR
    assert who(browser) == VISITOR
    assert not [name for name in browser.cookies if name.startswith("__Host-session")]
