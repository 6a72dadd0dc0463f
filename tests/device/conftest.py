"""Sites whose sessions are bound to the browser, under every adapter."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.device.sites import Elsewhere, Here, Node, Site, process, under_asgi, under_flask
from tests.helpers.device_browser import DeviceBrowser

HERE = {"asgi": under_asgi, "flask": under_flask}
ELSEWHERE = [
    pytest.param(name, marks=pytest.mark.server) for name in ("django", "django-async", "duck")
]


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Elsewhere]]:
    """Gives a new site of a framework that keeps a process to itself."""
    running: dict[str, subprocess.Popen[str]] = {}
    with contextlib.ExitStack() as stack:

        def start(name: str) -> Elsewhere:
            if name not in running:
                folder = tmp_path_factory.mktemp(name)
                running[name] = stack.enter_context(process(name, folder))
            return Elsewhere(running[name])

        yield start


@pytest.fixture(params=[*HERE, *ELSEWHERE])
def site(request: pytest.FixtureRequest, elsewhere: Callable[[str], Elsewhere]) -> Iterator[Site]:
    if request.param not in HERE:
        yield elsewhere(request.param)
        return
    here = Here(HERE[request.param])
    yield here
    here.close()


@dataclass
class World:
    """A site, and browsers before it."""

    site: Site
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.node = self.site.node()

    def pass_by(self, seconds: float) -> None:
        self.site.clock.now += seconds

    def browser(self) -> DeviceBrowser:
        return DeviceBrowser(self.node.send, lambda: self.site.clock.now)

    def bound(self, user: str = "ada") -> DeviceBrowser:
        """One that logged in 31 seconds ago, registered and made its first request."""
        browser = self.browser()
        browser.open(f"/login/{user}")
        browser.open("/")
        self.pass_by(31)
        return browser


@pytest.fixture
def world(site: Site) -> World:
    return World(site)
