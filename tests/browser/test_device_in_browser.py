"""What browsers do with a bound session: Chromium, and the browser in Python held to the same.

What counts is what the server saw, which verifies every signature with `device/jws.py`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.helpers.clock import START
from tests.helpers.device_browser import DeviceBrowser, over_http

from .authority import FLAGS, Authority, make_authority
from .bound_site import AGE, BoundSite, binding
from .chromium import browser

HOSTS = [f"app{number}.test" for number in range(30)]
"""One for each test: Chromium signs for a site only so often, and keeps its sessions by it."""
ALONE, PROVEN = "page alone", "page with proof"
SKIPPED = 'page alone skipped server_error;session_identifier="sid"'


class Walker(Protocol):
    """What both browsers can be told to do."""

    def open(self, path: str) -> None: ...

    def follow_link(self, path: str) -> None: ...

    def let_proof_end(self) -> None: ...


class InPython:
    def __init__(self, site: BoundSite, authority: Authority, host: str) -> None:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.check_hostname = False  # it asks 127.0.0.1, under the name of the origin
        self.now = START
        send = over_http(site.port, context)
        self.browser = DeviceBrowser(send, lambda: self.now, f"https://{host}:{site.port}")

    def open(self, path: str) -> None:
        self.browser.open(path)

    def follow_link(self, path: str) -> None:
        self.browser.follow_link(path)

    def let_proof_end(self) -> None:
        self.now += AGE


class InChromium:
    def __init__(self, site: BoundSite, context: Any, host: str) -> None:
        self.site, self.context, self.host = site, context, host
        self.page = context.new_page()

    def open(self, path: str) -> None:
        self.page.goto(self.site.url(self.host, path))

    def follow_link(self, path: str) -> None:
        proofs = self.site.saw.count(PROVEN)
        self.page.goto(self.site.url("other.test", "/link?" + self.site.url(self.host, path)))
        self.page.click("a")
        # In the page: to close one while it loads itself again may hang the driver.
        self.page.wait_for_function("!document.querySelector('a, meta')", timeout=20_000)
        self.site.wait_for(PROVEN, proofs + 1)

    def let_proof_end(self) -> None:
        """What the browser knows of a cookie that has ended: that it is not there."""
        self.context.clear_cookies(name="__Host-proof")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), [*HOSTS, "other.test"])


@pytest.fixture(scope="module")
def hosts() -> Iterator[str]:
    return iter(HOSTS)


@pytest.fixture(scope="module")
def binding_browser(driver: Any, authority: Authority) -> Iterator[Any]:
    with browser(driver, flags=FLAGS, env=authority.environment) as context:
        yield context


@pytest.fixture
def site(authority: Authority) -> Iterator[BoundSite]:
    with binding(authority) as running:
        yield running


@pytest.fixture(params=["python", "chromium"])
def walker(
    request: pytest.FixtureRequest, site: BoundSite, authority: Authority, hosts: Iterator[str]
) -> Iterator[Walker]:
    host = next(hosts)
    if request.param == "python":
        yield InPython(site, authority, host)
        return
    context = request.getfixturevalue("binding_browser")
    walker = InChromium(site, context, host)
    yield walker
    walker.page.close()
    context.clear_cookies()


@pytest.fixture
def bound(site: BoundSite, walker: Walker) -> Walker:
    """One that has logged in and registered, and shown a proof."""
    walker.open("/login")
    site.wait_for("register 200")
    until_proven(site, walker)
    site.saw.clear()
    return walker


def until_proven(site: BoundSite, walker: Walker) -> None:
    """The answer to a registration may take a moment to arrive; the site can't see that."""
    for _ in range(20):
        walker.open("/page")
        if PROVEN in site.saw:
            return
    raise AssertionError(site.saw)


def test_a_login_by_redirect_registers_beside_the_page(site: BoundSite, walker: Walker) -> None:
    walker.open("/login")
    site.wait_for("register 200")
    # Chromium follows the redirect at once; now and then the registration overtakes it.
    assert sorted(site.saw) in (
        ["login", ALONE, "register 200"],
        ["login", PROVEN, "register 200"],
    )
    until_proven(site, walker)
    assert "refresh unsigned" not in site.saw


def test_a_proof_that_has_ended_is_renewed_before_the_page(site: BoundSite, bound: Walker) -> None:
    bound.let_proof_end()
    bound.open("/page")
    assert site.saw == ["refresh unsigned", "refresh 200", PROVEN]
    site.saw.clear()
    bound.open("/page")
    assert site.saw == [PROVEN]
    bound.let_proof_end()
    bound.open("/page")  # with the challenge that the renewal before brought
    assert site.saw == [PROVEN, "refresh 200", PROVEN]


def test_a_renewal_that_fails_is_told_and_tried_again(site: BoundSite, bound: Walker) -> None:
    bound.let_proof_end()
    site.refreshing = [503, 503]
    bound.open("/page")
    assert site.saw == ["refresh unsigned", "refresh 503", SKIPPED]
    site.refreshing, site.saw = [], []
    bound.open("/page")
    assert site.saw == ["refresh 200", PROVEN]


def test_401_ends_it_and_pages_come_without_proof(site: BoundSite, bound: Walker) -> None:
    bound.let_proof_end()
    site.ended = True
    bound.open("/page")
    bound.open("/page")
    assert site.saw == ["refresh 401", ALONE, ALONE]


def test_five_refusals_end_the_attempt(site: BoundSite, bound: Walker) -> None:
    bound.let_proof_end()
    site.refreshing = [403] * 10
    bound.open("/page")
    assert site.saw[:5] == ["refresh unsigned", *["refresh 403"] * 4]
    assert site.saw[5].startswith(ALONE)


def test_a_link_from_another_site_comes_without_proof_and_again_with_it(
    site: BoundSite, bound: Walker
) -> None:
    bound.let_proof_end()
    bound.follow_link("/page")
    assert site.saw == [ALONE + " from elsewhere", "refresh unsigned", "refresh 200", PROVEN]


def test_a_registration_that_fails_is_not_repeated_until_it_is_offered_again(
    site: BoundSite, walker: Walker
) -> None:
    site.registering = [503]
    walker.open("/login")
    site.wait_for("register 503")
    walker.open("/page")
    walker.open("/page")
    assert site.saw.count("register 503") == 1
    assert "register 200" not in site.saw
    walker.open("/login")
    site.wait_for("register 200")
    until_proven(site, walker)
