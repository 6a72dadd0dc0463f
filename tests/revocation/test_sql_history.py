"""Databases that go back in time: it is noticed, and nothing else is mistaken for it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from tests.helpers import Node, make_settings
from tests.helpers.sql_servers import SQLServer

pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from duck_cookie_session.revocation.sql import SQLRevocationList  # as above

pytestmark = pytest.mark.slow

MakeServer = Callable[..., SQLServer]


class Site:
    """An application on one server, whose clock its nodes share."""

    def __init__(self, server: SQLServer) -> None:
        assert server.clock is not None
        self.server = server
        self.clock = server.clock
        self.nodes: list[Node] = []
        self.node = self.new_node()

    def new_node(self) -> Node:
        the_list = SQLRevocationList(self.server.url, timeout=20)
        self.nodes.append(Node(the_list, self.clock, make_settings()))
        return self.nodes[-1]

    def close(self) -> None:
        for node in self.nodes:
            node.connector.close()

    def end_somebody(self, node: Node | None = None) -> None:
        node = node or self.node
        node.connector.delete_session(node.start())

    def everything(self) -> int:
        return self._standing().epochs[0]

    def checkpoint(self) -> int:
        return self._standing().checkpoint

    def _standing(self):
        return self.node.revocations.lookup((self.node.connector.rules.scopes.everything,))

    def pass_a_checkpoint(self) -> None:
        """Raise twice, more than ten seconds apart."""
        before = self.checkpoint()
        self.end_somebody()
        self.clock.move(20)
        self.end_somebody()
        assert self.checkpoint() != before


@pytest.fixture
def make_site(make_sql_server: MakeServer) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(server: SQLServer | None = None) -> Site:
        made.append(Site(server or make_sql_server(clock=True)))
        return made[-1]

    yield make
    for site in made:
        site.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


# What is noticed


class Loss:
    """One way in which a list forgets: what is saved before, and what brings that back."""

    def __init__(self, site: Site, make_site: Callable[..., Site], make_server: MakeServer) -> None:
        self.site = site
        self.make_site = make_site
        self.make_server = make_server

    def save(self) -> None:
        raise NotImplementedError

    def bring_back(self) -> Site:
        raise NotImplementedError


class DumpReadIn(Loss):
    """The vendor's tool made a dump and reads it in again, while the server runs."""

    def save(self) -> None:
        self.dump = self.site.server.dump()

    def bring_back(self) -> Site:
        self.site.server.restore(self.dump)
        return self.site


class DataPutBack(Loss):
    """The folder of the server was copied, and is put back."""

    def save(self) -> None:
        server = self.site.server
        server.stop()
        self.backup = server.directory / "backup"
        server.copy(server.data, self.backup)
        server.start()

    def bring_back(self) -> Site:
        server = self.site.server
        server.kill()
        shutil.rmtree(server.data)
        self.backup.rename(server.data)
        server.start()
        return self.site


class Failover(Loss):
    """Another server, which lagged behind, takes the place of this one."""

    def save(self) -> None:
        server = self.site.server
        server.stop()
        self.other = self.make_server(start=False, clock=True, copy_of=server)
        server.start()

    def bring_back(self) -> Site:
        self.site.server.kill()
        assert self.other.clock is not None
        self.other.clock.move(self.site.clock.moved())
        self.other.start()
        return self.make_site(self.other)


LOSSES = [DumpReadIn, DataPutBack, Failover]


@pytest.mark.parametrize(("loss", "since"), [*zip(LOSSES, (0, 3, 5), strict=True)])
def test_the_first_token_sealed_after_what_was_lost_ends_all(
    make_site: Callable[..., Site],
    make_sql_server: MakeServer,
    caplog: pytest.LogCaptureFixture,
    loss: type[Loss],
    since: int,
) -> None:
    """However many revocations were made since the list came back."""
    site = make_site()
    site.pass_a_checkpoint()
    bystander, ended = site.node.start(n=1), site.node.start(n=2)
    how = loss(site, make_site, make_sql_server)
    how.save()
    site.node.connector.delete_session(ended)
    site.pass_a_checkpoint()
    proof, another = site.node.start(n=3), site.node.start(n=4)
    back = how.bring_back()
    node = back.node
    for _ in range(since):
        back.end_somebody()
        back.clock.move(4)
    fresh = node.start(n=5)
    for token in (bystander, ended, fresh):
        assert node.read(token)  # the second: nothing has shown yet what was lost
    assert errors(caplog) == []

    assert node.read(proof) is None
    (message,) = errors(caplog)
    assert "gone back in time" in message
    epoch = back.everything()
    assert epoch > 0
    for token in (bystander, ended, fresh, another, proof):
        assert node.read(token) is None
    assert back.everything() == epoch
    assert len(errors(caplog)) == 1
    assert node.connector.stats()["refused"]["list forgot"] == 1
    assert node.read(node.start(n=6)) == {"n": 6}


@pytest.mark.parametrize("loss", LOSSES)
def test_all_within_ten_seconds_and_a_clear_all_in_between(
    make_site: Callable[..., Site],
    make_sql_server: MakeServer,
    caplog: pytest.LogCaptureFixture,
    loss: type[Loss],
) -> None:
    """The reach of the last checkpoint tells then, or the epoch of everything."""
    site = make_site()
    site.end_somebody()
    cleared = site.node.start(n=0)
    how = loss(site, make_site, make_sql_server)
    how.save()
    ended = site.node.start(n=1)
    site.node.connector.delete_session(ended)
    proof = site.node.start(n=2)
    site.node.connector.clear_all_sessions()
    later = site.node.start(n=3)
    back = how.bring_back()
    for _ in range(3):
        back.end_somebody()
    assert back.node.read(ended) == {"n": 1}
    assert back.node.read(cleared) == {"n": 0}
    assert back.node.read(proof) is None
    assert back.node.read(ended) is None
    assert back.node.read(cleared) is None
    assert back.node.read(later) is None
    assert len(errors(caplog)) == 1


# What triggers nothing


@pytest.fixture
def quiet(make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    """A site that must not be mistaken for one that forgot."""
    site = make_site()
    site.pass_a_checkpoint()
    yield site
    assert site.everything() == 0
    assert errors(caplog) == []


def restart_in_a_later_second(server: SQLServer) -> None:
    """MariaDB says when it was started to the second only."""
    second = int(time.time())
    while int(time.time()) < second + 2:
        server.kill()
        server.start()


def test_a_restart_that_lost_nothing(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    for _ in range(2):
        restart_in_a_later_second(quiet.server)
        before = quiet.checkpoint()
        assert quiet.node.read(token) == {"n": 1}
        quiet.end_somebody()
        assert quiet.checkpoint() != before  # the server may be another than before
        assert quiet.node.read(token) == {"n": 1}


def test_many_nodes_and_a_quiet_server_make_no_more_checkpoints_than_they_should(
    quiet: Site,
) -> None:
    nodes = [quiet.new_node() for _ in range(3)]
    if quiet.server.name == "PostgreSQL":
        tidy = "VACUUM FREEZE duck_cookie_session_histories"
    else:
        tidy = "ANALYZE TABLE duck_cookie_session_histories"
    for _ in range(3):
        quiet.end_somebody()
        before = quiet.checkpoint()
        quiet.clock.move(3)
        for node in nodes:
            quiet.end_somebody(node)
        quiet.server.execute(tidy)
        quiet.end_somebody()
        assert quiet.checkpoint() == before
        quiet.clock.move(20)


def test_tables_made_anew_are_another_list(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    quiet.server.execute(
        "DROP TABLE duck_cookie_session_histories", "DROP TABLE duck_cookie_session_entries"
    )
    assert quiet.node.read(token) is None
    quiet.pass_a_checkpoint()
    assert quiet.node.read(token) is None
    assert quiet.node.connector.stats()["refused"]["other list"] == 2


def test_a_clock_that_is_set(quiet: Site) -> None:
    tokens = [quiet.node.start(n=0)]
    for number, seconds in enumerate([9, -9, 30, -30, 3_600, -3_600], 1):
        quiet.clock.move(seconds)
        quiet.end_somebody()
        tokens.append(quiet.node.start(n=number))
        for count, token in enumerate(tokens):
            assert quiet.node.read(token) == {"n": count}


def test_a_copy_with_a_birth_of_its_own_lives_beside_the_original(
    quiet: Site, make_site: Callable[..., Site], make_sql_server: MakeServer
) -> None:
    quiet.server.stop()
    other = make_sql_server(start=False, clock=True, copy_of=quiet.server)
    for server in (quiet.server, other):
        server.start()
    copied = make_site(other)
    copied.node.revocations.new_birth(copied.node.connector.rules.scopes.prefix)
    for one in (quiet, copied):
        one.pass_a_checkpoint()
    tokens = quiet.node.start(n=1), copied.node.start(n=2)
    assert [quiet.node.read(token) for token in tokens] == [{"n": 1}, None]
    assert [copied.node.read(token) for token in tokens] == [None, {"n": 2}]
    assert copied.everything() == 0


def test_a_year_without_a_revocation(quiet: Site) -> None:
    quiet.clock.move(365 * 86_400)
    token = quiet.node.start(n=1)
    quiet.node.revocations.purge()
    quiet.end_somebody()
    assert quiet.node.read(token) == {"n": 1}
