"""Bindings over the lists that nodes share: what one node binds counts on all, and when."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from duck_cookie_session import SQLiteRevocationList
from duck_cookie_session.revocation.base import Survey
from tests.device.asgi import NAME, Node, Site, who
from tests.helpers import Clock
from tests.helpers.device_browser import DeviceBrowser, Offer

if TYPE_CHECKING:  # what needs redis-py, and SQLAlchemy
    from tests.helpers.redis_server import RedisServer
    from tests.helpers.sql_servers import SQLServer

HOUR = 3600.0
KEPT = {"absolute_age": HOUR, "cookie_age": HOUR}  # and an entry a minute longer


class Shared:
    """A list of one kind that the nodes of a site share."""

    def __init__(self, open_list: Callable[[], Any], clock: Clock) -> None:
        # Each test is an application of its own: where a list's clock was once, it never goes back.
        self.site, self.clock = Site(open_list, clock, audience=uuid.uuid4().hex), clock

    def pass_time(self, seconds: float) -> None:
        """For the list, the nodes and the browsers."""
        self.clock.tick(seconds)

    def survey(self, node: Node) -> Survey:
        rules = node.connector.rules
        return node.connector.revocations.survey(rules.scopes.prefix)

    def close(self) -> None:
        self.site.close()


class SharedSQLite(Shared):
    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(lambda: SQLiteRevocationList(folder, clock=clock), clock)


class SharedRedis(Shared):
    def __init__(self, server: RedisServer, clock: Clock) -> None:
        from duck_cookie_session.revocation.redis import RedisRevocationList

        super().__init__(lambda: RedisRevocationList(server.url, timeout=10, clock=clock), clock)
        self.server = server

    def pass_time(self, seconds: float) -> None:
        """A server's clock can't be moved, so what it keeps is made older, and nearer its end."""
        super().pass_time(seconds)
        with self.server.client() as client:
            for key in client.keys("*:b*"):
                digest, made = client.get(key).split()
                left = client.pttl(key) - int(seconds * 1000)
                older = f"{int(digest)} {int(made) - int(seconds * 1_000_000)}"
                client.set(key, older, px=max(left, 1))


class SharedSQL(Shared):
    def __init__(self, server: SQLServer, clock: Clock) -> None:
        from duck_cookie_session.revocation.sql import SQLRevocationList

        super().__init__(lambda: SQLRevocationList(server.url, timeout=10, clock=clock), clock)
        assert server.clock is not None
        self.of_server = server.clock

    def pass_time(self, seconds: float) -> None:
        super().pass_time(seconds)
        self.of_server.move(seconds)

    def close(self) -> None:
        super().close()
        self.of_server.move(-self.of_server.moved())


NETWORK = [
    pytest.param("redis", marks=pytest.mark.server),
    pytest.param("postgresql", marks=[pytest.mark.server, pytest.mark.slow]),
    pytest.param("mariadb", marks=[pytest.mark.server, pytest.mark.slow]),
]


@pytest.fixture(params=["sqlite", *NETWORK])
def shared(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Shared]:
    made: Shared
    if request.param == "sqlite":
        made = SharedSQLite(tmp_path / "sessions", clock)
    elif request.param == "redis":
        made = SharedRedis(request.getfixturevalue("redis_server"), clock)
    else:
        made = SharedSQL(request.getfixturevalue(f"one_{request.param}"), clock)
    yield made
    made.close()


def at(browser: DeviceBrowser, node: Node) -> DeviceBrowser:
    """The browser, whose next requests reach another node."""
    browser.send = node.ask
    return browser


def with_a_key_beside(shared: Shared, node: Node) -> tuple[DeviceBrowser, DeviceBrowser]:
    """Somebody who has just logged in, and a thief, each with a good proof of his own key."""
    browser = shared.site.browser(node, register=False)
    thief = browser.copied()
    ((path, challenge, _),) = browser.offers
    thief.offers = [Offer(path, challenge, ec.generate_private_key(ec.SECP256R1()))]
    thief.register()
    browser.register()
    return browser, thief


def test_what_one_node_binds_is_refused_on_all_30_seconds_later(shared: Shared) -> None:
    one, other = shared.site.node(), shared.site.node()
    browser = shared.site.browser(one)
    copy = browser.copied()
    copy.cookies = {NAME: browser.cookies[NAME]}
    shared.pass_time(28)
    assert who(at(copy, other).open("/")) == ["ada", False]
    shared.pass_time(3)
    for node in (other, one):
        assert who(at(copy, node).open("/write")) == [None, False]
        assert who(at(browser, node).open("/write")) == ["ada", True]
    shared.pass_time(40)  # the proof has ended: it is renewed on the other node
    assert who(at(browser, other).open("/write")) == ["ada", True]
    assert (one.told("bound"), other.told("bound")) == (1, 0)
    assert who(browser.open("/logout")) == [None, False]


@pytest.mark.parametrize("shared", NETWORK, indirect=True)
def test_a_node_that_reuses_answers_refuses_that_much_later(shared: Shared) -> None:
    one, other = shared.site.node(), shared.site.node(max_staleness=4)
    browser = shared.site.browser(one, register=False)
    copy = at(browser.copied(), other)
    browser.register()
    browser.open("/")
    shared.pass_time(29)
    assert who(copy.open("/")) == ["ada", False]  # an answer that it may reuse for 4 seconds
    shared.pass_time(3)
    assert who(at(copy, one).open("/")) == [None, False]
    assert who(at(copy, other).open("/")) == ["ada", False]
    shared.pass_time(2)
    assert who(copy.open("/")) == [None, False]
    assert who(at(browser, other).open("/")) == ["ada", True]


def test_an_answer_from_before_the_binding_binds_to_no_second_key(shared: Shared) -> None:
    one, other = shared.site.node(), shared.site.node(max_staleness=4)
    browser, thief = with_a_key_beside(shared, one)
    alone = at(browser.copied(), other)
    alone.cookies = {NAME: browser.cookies[NAME]}
    assert who(alone.open("/")) == ["ada", False]  # the other node knows: not bound
    assert who(browser.open("/")) == ["ada", True]
    assert who(at(thief, other).open("/")) == ["ada", False]
    shared.pass_time(36)
    assert who(thief.open("/")) == [None, False]
    for node in (one, other):
        assert who(at(browser, node).open("/")) == ["ada", True]
    assert (one.told("bound"), other.told("bound")) == (1, 0)


def test_of_first_proofs_at_once_on_two_nodes_one_binds_and_tells(shared: Shared) -> None:
    one, other = shared.site.node(), shared.site.node()
    browser = shared.site.browser(one, register=False)
    browser.register()
    headers = {"Host": "app.test", "Cookie": browser.cookie_header()}
    answers = [
        *one.ask_at_once([("GET", "/", headers)] * 4),
        *other.ask_at_once([("GET", "/", headers)] * 4),
    ]
    assert [who(answer) for answer in answers] == [["ada", True]] * 8
    assert one.told("bound") + other.told("bound") == 1


def test_the_entry_lives_as_long_as_the_session_may(shared: Shared) -> None:
    node = shared.site.node(**KEPT)
    browser = shared.site.browser(node)
    shared.pass_time(31)
    copy = browser.copied()
    copy.cookies = {NAME: browser.cookies[NAME]}
    for _ in range(3):
        shared.pass_time(HOUR / 4)
        assert who(browser.open("/write")) == ["ada", True]
        node.connector.save()  # purges
        assert who(copy.open("/")) == [None, False]
    assert shared.survey(node).entries == 1
    shared.pass_time(HOUR / 2)
    assert who(browser.open("/")) == [None, False]
    node.connector.save()
    assert shared.survey(node).entries == 0


def test_a_logout_is_refused_on_the_other_node_with_a_good_proof_too(shared: Shared) -> None:
    one, other = shared.site.node(), shared.site.node()
    browser = shared.site.browser(one)
    copy = at(browser.copied(), other)
    assert who(copy.open("/")) == ["ada", True]
    browser.open("/logout")
    assert who(copy.open("/")) == [None, False]


def test_while_redis_does_not_answer_a_device_key_still_needs_its_proof(
    make_redis_server: Callable[..., RedisServer], clock: Clock
) -> None:
    server = make_redis_server()
    shared = SharedRedis(server, clock)
    node, strict = shared.site.node(on_unreachable="accept"), shared.site.node()
    browser = shared.site.browser(node)
    copy = browser.copied()
    alone = browser.copied()
    alone.cookies = {NAME: browser.cookies[NAME]}
    server.kill()
    assert who(browser.open("/")) == ["ada", True]
    assert at(browser.copied(), strict).open("/").status == 503
    clock.tick(61)  # past the proof's end
    assert who(copy.open("/")) == [None, False]
    assert browser.renew(next(iter(browser.bound.values()))) == "server_error"
    assert who(alone.open("/")) == ["ada", False]  # can't be told from one that was never bound
    counted: Any = node.connector.stats()["refused"]
    assert counted["no proof of its device"] == 1
    shared.close()
