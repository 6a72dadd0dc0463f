"""A bound session ends, expires, is superseded and re-issued as any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from duck_cookie_session import SessionStorageConnector
from tests.device.asgi import NAME, Node, Site, who
from tests.helpers import DAY, Clock, SwitchableList
from tests.helpers.device_browser import DeviceBrowser


@pytest.fixture
def site(revocations: SwitchableList, clock: Clock) -> Iterator[Site]:
    site = Site(lambda: revocations, clock)
    yield site
    site.close()


@pytest.fixture
def node(site: Site) -> Node:
    return site.node()


def bound_at(site: Site, node: Node) -> DeviceBrowser:
    browser = site.browser(node)
    site.clock.tick(31)
    assert who(browser.open("/")) == ["ada", True]
    return browser


REVOKED: dict[str, Callable[[SessionStorageConnector, str], None]] = {
    "the session": SessionStorageConnector.delete_session,
    "the user": lambda connector, _: connector.delete_subject("ada"),
    "everybody": lambda connector, _: connector.clear_all_sessions(),
}


@pytest.mark.parametrize("what", REVOKED)
def test_a_good_proof_saves_no_revoked_session(site: Site, node: Node, what: str) -> None:
    browser = bound_at(site, node)
    (bound,) = browser.bound.values()
    REVOKED[what](node.connector, browser.cookies[NAME][0])
    assert who(browser.open("/")) == [None, False]
    site.clock.tick(31)  # until then a session that took its place may be on its way
    site.clock.tick(31)  # until then it might have moved, with new cookies on their way: 503
    assert browser.renew(bound) is None
    assert not browser.bound  # answered 401: the browser forgets it
    # A login afterwards is bound again, to a key of its own.
    browser.open("/login/ada")
    assert who(browser.open("/")) == ["ada", True]


def test_superseding_refuses_the_earlier_token_beside_a_good_proof(site: Site, node: Node) -> None:
    browser = bound_at(site, node)
    copy = browser.copied()
    assert who(browser.open("/supersede")) == ["ada", True]
    assert who(copy.open("/")) == [None, False]
    site.clock.tick(50)
    assert who(browser.open("/write")) == ["ada", True]


@pytest.mark.parametrize("what", REVOKED)
def test_a_superseded_session_is_renewed_until_it_is_revoked(
    site: Site, node: Node, what: str
) -> None:
    browser = bound_at(site, node)
    copy = browser.copied()  # as of a browser whose newer cookie is on its way
    assert who(browser.open("/supersede")) == ["ada", True]
    (bound,) = browser.bound.values()
    assert copy.send_refresh(bound, None).status == 403
    REVOKED[what](node.connector, browser.cookies[NAME][0])
    site.clock.tick(31)  # until then its new cookies might be on their way
    assert copy.send_refresh(bound, None).status == 401


def test_the_other_sessions_of_a_user_end_and_this_one_stays_bound(site: Site, node: Node) -> None:
    browser, other = bound_at(site, node), bound_at(site, node)
    copy, (bound,) = browser.copied(), browser.bound.values()
    assert who(browser.open("/others")) == ["ada", True]
    assert who(other.open("/")) == [None, False]
    assert copy.send_refresh(bound, None).status == 403  # as if that answer were on its way
    site.clock.tick(50)
    assert who(browser.open("/write")) == ["ada", True]


def test_a_session_that_is_read_is_reissued_and_one_that_is_not_expires(
    site: Site, node: Node
) -> None:
    browser = bound_at(site, node)
    before = browser.cookies[NAME][0]
    site.clock.tick(4 * DAY)
    assert who(browser.open("/")) == ["ada", True]
    assert browser.cookies[NAME][0] != before
    site.clock.tick(8 * DAY)
    assert who(browser.open("/")) == [None, False]


def test_nothing_extends_a_bound_session_beyond_its_absolute_age(site: Site, node: Node) -> None:
    browser = bound_at(site, node)
    for _ in range(5):
        site.clock.tick(5.9 * DAY)
        assert who(browser.open("/write")) == ["ada", True]
    site.clock.tick(DAY)
    assert who(browser.open("/")) == [None, False]
    assert not browser.bound  # its renewal was answered 401
