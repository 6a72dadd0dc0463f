"""The story that is told with every package, and how the site that uses it is run.

A site is `sites/NAME.py`: an application that uses the package, run by its server as a process of
its own. It has the package's way in and out, and three views:

- /show says as JSON who is logged in and what is stored,
- /store/VALUE stores something,
- /fail/type and /fail/size store what can't be stored, and answer as if nothing had happened.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from tests.contrib.served import free_ports

ROOT = Path(__file__).parents[2]
COOKIE = "site_session"
PASSWORD = "the password of every user"
BODY = "the whole of the body"
START = 90
"""Seconds that a site may take to start."""


@dataclass
class Site:
    """A site that runs."""

    url: str
    output: Path
    process: subprocess.Popen[bytes]

    def ready(self) -> Site:
        """Itself, once it answers."""
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(self.url + "/show")
                return self
            time.sleep(0.05)  # between two attempts to connect
        raise RuntimeError(f"{self.url} did not start. It said:\n{self.said[-3000:]}")

    @contextlib.contextmanager
    def browser(self, copied: httpx.Client | None = None) -> Iterator[httpx.Client]:
        """A visitor, who may have copies of the cookies that another one holds now."""
        once = httpx.Limits(max_keepalive_connections=0)  # servers may close it after an error
        options = {"follow_redirects": True, "timeout": 30, "limits": once}
        with httpx.Client(base_url=self.url, **options) as client:
            if copied is not None:
                for cookie in copied.cookies.jar:
                    client.cookies.jar.set_cookie(cookie)
            yield client

    @property
    def said(self) -> str:
        """What the process wrote so far."""
        return self.output.read_text(errors="replace")

    def says(self, words: str, behind: int) -> bool:
        """Whether it writes them behind so many characters; some servers do after they answered."""
        deadline = time.monotonic() + 5
        while words not in self.said[behind:]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)  # between two looks
        return True


@contextlib.contextmanager
def serving(
    name: str,
    folder: Path,
    *,
    debug: bool = False,
    redis: str = "",
    provider: str = "",
    command: Sequence[str] = (),
    **more: str,
) -> Iterator[Site]:
    """Start a site, and end it when the block is left.

    Args:
        command: what is started in place of a site in Python.
        more: of its environment.
    """
    folder.mkdir(exist_ok=True)
    output = folder / "output.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "PYTHONUNBUFFERED": "1",
        "SITE_PORT": str(free_ports(1)[0]),
        "SITE_COOKIE": COOKIE,
        "SITE_SECRET": secrets.token_urlsafe(48),
        "SITE_FOLDER": str(folder / "sessions"),
        "SITE_DEBUG": "1" if debug else "",
        "SITE_LIST": redis,
        "SITE_PROVIDER": provider,
        **more,
    }
    with output.open("wb") as written:
        process = subprocess.Popen(
            command or [sys.executable, "-m", f"tests.packages.sites.{name}"],
            cwd=folder,
            env=environment,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Site(f"http://127.0.0.1:{environment['SITE_PORT']}", output, process)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def show(browser: httpx.Client) -> tuple[str | None, str | None]:
    """Who is logged in, and what is stored."""
    response = browser.get("/show")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found["user"], found["value"]


def submit(
    browser: httpx.Client, path: str, /, *, to: str | None = None, **fields: str
) -> httpx.Response:
    """Fill in the form of a page, with what stands hidden in it, and send it: to that page, if
    nothing else is said."""
    page = browser.get(path)
    assert page.status_code == 200, page.text
    hidden = {}
    for tag in re.findall(r"<input[^>]*>", page.text):
        attributes = dict(re.findall(r"""([\w-]+)=["']([^"']*)["']""", tag))
        if attributes.get("type") == "hidden" and "name" in attributes:
            hidden[attributes["name"]] = attributes.get("value", "")
    response = browser.post(to or str(page.url), data=hidden | fields)
    assert response.status_code == 200, response.text
    return response


@pytest.mark.server
@pytest.mark.slow
class Story:
    """The tests of every package: a subclass says which site, and what its users do."""

    SITE: ClassVar[str]
    USER: ClassVar[str] = "alice"
    REDIS: ClassVar[bool] = False
    """Whether its revocation list is a Redis."""
    PROVIDER: ClassVar[bool] = False
    """Whether it needs the OpenID provider."""

    def log_in(self, browser: httpx.Client) -> None:
        """By the package's own way in."""
        submit(browser, "/login", username="alice", password=PASSWORD)

    def log_out(self, browser: httpx.Client) -> None:
        """By the package's own way out."""
        assert browser.get("/logout").status_code == 200

    def test_a_copy_made_before_the_logout_is_refused(self, site: Site) -> None:
        with site.browser() as browser:
            assert show(browser) == (None, None)
            browser.get("/store/kept")
            with site.browser(browser) as visitor:
                self.log_in(browser)
                assert show(browser) == (self.USER, "kept")
                assert show(visitor)[0] is None
            browser.get("/store/more")
            with site.browser(browser) as copy:
                assert show(copy) == (self.USER, "more")
                self.log_out(browser)
                assert show(browser)[0] is None
                assert show(copy) == (None, None)

    @pytest.mark.parametrize("why", ["type", "size"])
    def test_a_save_that_fails_in_production_is_logged(self, site: Site, why: str) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            browser.get("/store/before")
            said = len(site.said)
            response = browser.get(f"/fail/{why}")
            assert (response.status_code, response.text) == (200, BODY)
            assert f"{COOKIE}=" not in response.headers.get("Set-Cookie", "")
            assert site.says("Session not saved", behind=said)
            assert show(browser) == (self.USER, "before")

    @pytest.mark.parametrize("why", ["type", "size"])
    def test_a_save_that_fails_in_debug_mode_raises(self, debug_site: Site, why: str) -> None:
        error = {"type": "SessionSerializationError", "size": "SessionTooLarge"}[why]
        with debug_site.browser() as browser:
            self.log_in(browser)
            browser.get("/store/before")
            said = len(debug_site.said)
            response = browser.get(f"/fail/{why}")
            assert response.status_code == 500
            assert error in response.text or debug_site.says(error, behind=said)
            assert show(browser) == (self.USER, "before")
