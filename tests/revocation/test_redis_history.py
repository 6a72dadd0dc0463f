"""Real servers that go back in time: it is noticed, and nothing else is mistaken for it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import Node, make_settings
from tests.helpers.redis_server import RedisServer

HOUR = 3_600
MakeServer = Callable[..., RedisServer]


class Site:
    """An application on one server: its nodes, and what is done to the server."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.nodes: list[Node] = []
        self.node = self.new_node()

    def new_node(self, *, ahead: float = 0, max_staleness: float = 0, **settings: Any) -> Node:
        the_list = RedisRevocationList(self.server.url, timeout=10, max_staleness=max_staleness)
        self.nodes.append(Node(the_list, lambda: time.time() + ahead, make_settings(**settings)))
        return self.nodes[-1]

    def close(self) -> None:
        for node in self.nodes:
            node.connector.close()

    def end_somebody(self) -> None:
        self.node.connector.delete_session(self.node.start())

    def everything(self) -> int:
        scope = self.node.connector.rules.scopes.everything
        return self.node.revocations.lookup((scope,)).epochs[0]

    def checkpoint(self) -> int:
        scope = self.node.connector.rules.scopes.everything
        return self.node.revocations.lookup((scope,)).checkpoint

    def time_passes(self, seconds: float) -> None:
        """As if the newest checkpoint had been made that much earlier."""
        self._shift(-seconds, 0)

    def clock_was_ahead(self, seconds: float) -> None:
        """As if the server's clock had been ahead until now, and set back then."""
        self._shift(seconds, seconds)

    def _shift(self, made_by: float, clock_by: float) -> None:
        with self.server.client() as bare:
            for key in bare.keys("dcs2:*:h"):
                clock, birth, checkpoint, everything, made, where = bare.get(key).split()
                made = int(made) + int(made_by * 1_000_000)
                clock = int(clock) + int(clock_by * 1_000_000)
                text = b"%d %b %b %b %d %b"
                bare.set(key, text % (clock, birth, checkpoint, everything, made, where))

    def pass_a_checkpoint(self) -> None:
        """Raise twice, more than ten seconds apart."""
        before = self.checkpoint()
        self.end_somebody()
        self.time_passes(20)
        self.end_somebody()
        assert self.checkpoint() != before


@pytest.fixture
def make_site(make_redis_server: MakeServer) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*arguments: str, server: RedisServer | None = None) -> Site:
        made.append(Site(server or make_redis_server(*arguments)))
        return made[-1]

    yield make
    for site in made:
        site.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


# What is noticed


class Loss:
    """One way in which a list forgets: what is saved before, and what brings that back."""

    def __init__(self, site: Site, make_site: Callable[..., Site]) -> None:
        self.site = site
        self.make_site = make_site

    def save(self) -> None:
        with self.site.server.client() as bare:
            bare.save()

    def bring_back(self) -> Site:
        """Kill the server and start it: it loads what it finds."""
        self.site.server.kill()
        self.site.server.start()
        return self.site


class SnapshotPutBack(Loss):
    """Snapshots are written, and an earlier one is put back."""

    def save(self) -> None:
        super().save()
        self.file = self.site.server.directory / "dump.rdb"
        self.backup = self.file.with_name("backup.rdb")
        shutil.copy(self.file, self.backup)

    def bring_back(self) -> Site:
        super().save()
        self.site.server.kill()
        self.backup.replace(self.file)
        self.site.server.start()
        return self.site


class OldDump(Loss):
    """No persistence, but for a dump of long ago."""


class Failover(Loss):
    """A replica that lost touch takes the place of the primary."""

    def save(self) -> None:
        self.promoted = self.make_site()
        with self.promoted.server.client() as replica, self.site.server.client() as primary:
            primary.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof("127.0.0.1", self.site.server.port)
            deadline = time.monotonic() + 20
            while replica.dbsize() < primary.dbsize() or (
                replica.info("replication")["master_link_status"] != "up"
            ):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert primary.wait(1, 10_000) == 1
            replica.replicaof("127.0.0.1", 1)  # where nobody is

    def bring_back(self) -> Site:
        self.site.server.kill()
        with self.promoted.server.client() as replica:
            replica.replicaof("NO", "ONE")
        return self.promoted


LOSSES = [SnapshotPutBack, OldDump, Failover]


@pytest.mark.parametrize("since", [0, 1, 7])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_token_sealed_after_what_was_lost_ends_all(
    make_site: Callable[..., Site],
    caplog: pytest.LogCaptureFixture,
    loss: type[Loss],
    since: int,
) -> None:
    """However many revocations were made since the list came back."""
    site = make_site()
    site.pass_a_checkpoint()
    bystander, ended = site.node.start(n=1), site.node.start(n=2)
    how = loss(site, make_site)
    how.save()
    site.node.connector.delete_session(ended)
    site.pass_a_checkpoint()
    proof, another = site.node.start(n=3), site.node.start(n=4)
    back = how.bring_back()
    node = back.node
    for _ in range(since):
        back.end_somebody()
        back.time_passes(4)
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
    refused = node.connector.stats()["refused"]
    assert refused["list forgot"] == 1
    assert node.read(node.start(n=6)) == {"n": 6}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_token_sealed_within_the_same_stretch_of_time_is_proof_as_well(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture, loss: type[Loss]
) -> None:
    """Where all happened within ten seconds, the reach of the last checkpoint tells."""
    site = make_site()
    site.end_somebody()
    how = loss(site, make_site)
    how.save()
    ended = site.node.start(n=1)
    site.node.connector.delete_session(ended)
    proof = site.node.start(n=2)
    back = how.bring_back()
    for _ in range(3):
        back.end_somebody()
    assert back.node.read(ended) == {"n": 1}
    assert back.node.read(proof) is None
    assert back.node.read(ended) is None
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_clear_all_and_then_a_copy_of_before(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture, loss: type[Loss]
) -> None:
    site = make_site()
    site.pass_a_checkpoint()
    cleared = site.node.start(n=1)
    how = loss(site, make_site)
    how.save()
    site.node.connector.clear_all_sessions()
    cleared_at = site.everything()
    assert site.node.read(cleared) is None
    proof = site.node.start(n=2)
    back = how.bring_back()
    back.end_somebody()
    assert back.node.read(cleared) == {"n": 1}
    assert back.node.read(proof) is None
    assert back.everything() > cleared_at
    assert back.node.read(cleared) is None
    assert back.node.read(proof) is None
    assert len(errors(caplog)) == 1


def test_a_save_with_a_token_that_proves_it_is_refused_and_ends_all(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site()
    site.end_somebody()
    how = OldDump(site, make_site)
    how.save()
    site.pass_a_checkpoint()
    session = site.node.request(site.node.start(n=1))
    session["n"] = 2
    how.bring_back()
    with pytest.raises(Exception, match="revoked"):
        session.save()
    assert site.everything() > 0
    assert len(errors(caplog)) == 1


# What is refused alone


def test_a_token_of_another_list_ends_nobody_elses_session(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    """As of another environment with the same secret."""
    here, there = make_site(), make_site()
    for site in (here, there):
        site.pass_a_checkpoint()
    there.node.connector.clear_all_sessions()
    own, foreign = here.node.start(n=1), there.node.start(n=2)
    assert here.node.read(foreign) is None
    assert here.node.connector.stats()["refused"]["other list"] == 1
    assert here.node.read(own) == {"n": 1}
    assert here.everything() == 0
    assert errors(caplog) == []


def test_a_copy_with_a_birth_of_its_own_lives_beside_the_original(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site()
    site.pass_a_checkpoint()
    with site.server.client() as bare:
        bare.save()
    copied = make_site()
    copied.server.kill()
    shutil.copy(site.server.directory / "dump.rdb", copied.server.directory / "dump.rdb")
    copied.server.start()
    copied.node.revocations.new_birth(copied.node.connector.rules.scopes.prefix)
    for one in (site, copied):
        one.pass_a_checkpoint()
    tokens = site.node.start(n=1), copied.node.start(n=2)
    assert [site.node.read(token) for token in tokens] == [{"n": 1}, None]
    assert [copied.node.read(token) for token in tokens] == [None, {"n": 2}]
    assert site.everything() == copied.everything() == 0
    assert errors(caplog) == []


# What triggers nothing


@pytest.fixture
def quiet(make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    """A site that must not be mistaken for one that forgot."""
    site = make_site("--appendonly", "yes", "--appendfsync", "always")
    site.pass_a_checkpoint()
    yield site
    assert site.everything() == 0
    assert errors(caplog) == []


def test_a_list_made_anew(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    with quiet.server.client() as bare:
        bare.flushall()
    assert quiet.node.read(token) is None
    quiet.pass_a_checkpoint()
    assert quiet.node.read(token) is None
    assert quiet.node.connector.stats()["refused"]["other list"] == 2


def test_a_restart_that_lost_nothing(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    for _ in range(2):
        quiet.server.kill()
        quiet.server.start()
        assert quiet.node.read(token) == {"n": 1}
        quiet.end_somebody()
        assert quiet.node.read(token) == {"n": 1}


def test_a_failover_that_lost_nothing(make_site: Callable[..., Site], quiet: Site) -> None:
    token = quiet.node.start(n=1)
    how = Failover(quiet, make_site)
    how.save()
    back = how.bring_back()
    assert back.node.read(token) == {"n": 1}
    back.end_somebody()
    assert back.node.read(token) == {"n": 1}
    assert back.everything() == 0
    quiet.server.start()


def test_a_purge(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    quiet.node.revocations.purge()
    quiet.pass_a_checkpoint()
    quiet.node.revocations.purge()
    assert quiet.node.read(token) == {"n": 1}


def test_a_checkpoint_that_has_expired(quiet: Site) -> None:
    """Its tokens are older than entries live: one that a node late by its clock still takes."""
    token = quiet.node.start(n=1)
    quiet.pass_a_checkpoint()
    settings = quiet.node.connector.settings
    retention = settings.absolute_age + settings.clock_skew
    with quiet.server.client() as bare:
        for key in bare.keys("dcs2:*:k*"):
            assert bare.pttl(key) > retention * 1000
            bare.delete(key)
    quiet.clock_was_ahead(retention)
    assert quiet.node.read(token) is None
    assert quiet.node.connector.stats()["refused"]["too old"] == 1


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_nodes_whose_clocks_are_an_hour_apart(quiet: Site, ahead: float) -> None:
    other = quiet.new_node(ahead=ahead)
    for writer, reader in ((quiet.node, other), (other, quiet.node)):
        token = writer.start(n=1)
        quiet.pass_a_checkpoint()
        session = reader.request(token)
        session["n"] = 2
        session.save()
        other.connector.delete_session(other.start())
        assert writer.read(session.session_key) == {"n": 2}


@pytest.mark.parametrize("seconds", [9, 30, HOUR])
@pytest.mark.parametrize("how", ["set forward", "set back"])
def test_a_server_whose_clock_was_set(quiet: Site, seconds: float, how: str) -> None:
    tokens = [quiet.node.start(n=0)]
    for number in range(1, 4):
        if how == "set back":
            quiet.clock_was_ahead(seconds)
        else:
            quiet.time_passes(seconds)
        quiet.end_somebody()
        tokens.append(quiet.node.start(n=number))
        quiet.pass_a_checkpoint()
        for count, token in enumerate(tokens):
            assert quiet.node.read(token) == {"n": count}


def test_a_year_without_a_revocation(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.end_somebody()
    site.clock_was_ahead(-365 * 86_400)  # before any token spoke of it
    tokens = [site.node.start(n=0)]
    for number in range(1, 4):
        site.pass_a_checkpoint()
        tokens.append(site.node.start(n=number))
        for count, token in enumerate(tokens):
            assert site.node.read(token) == {"n": count}
    assert site.everything() == 0


def test_a_token_sealed_during_an_outage(quiet: Site) -> None:
    node = quiet.new_node(on_unreachable="accept")
    before = node.start(n=1)
    quiet.pass_a_checkpoint()
    assert node.read(before) == {"n": 1}
    quiet.server.kill()
    session = node.request(before)
    session["n"] = 2
    session.save()
    fresh = node.start(n=3)
    quiet.server.start()
    for _ in range(2):
        assert node.read(session.session_key) == {"n": 2}
        assert node.read(fresh) == {"n": 3}
        quiet.pass_a_checkpoint()


def test_an_answer_that_is_reused(quiet: Site) -> None:
    """It knows less than the token; the list is asked before anything is made of that."""
    lazy = quiet.new_node(max_staleness=HOUR)
    token = quiet.node.start(n=1)
    assert lazy.read(token) == {"n": 1}
    quiet.pass_a_checkpoint()
    session = quiet.node.request(token)
    session["n"] = 2
    session.save()
    assert lazy.read(session.session_key) == {"n": 2}
    quiet.end_somebody()
    session["n"] = 3
    session.save()
    assert lazy.read(session.session_key) == {"n": 3}
    assert lazy.read(token) == {"n": 1}
