"""The server killed, paused, slow, cut off, emptied: nothing wrong is accepted meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

import pytest

from duck_cookie_session import RevocationListUnavailable, SessionSettings, SessionStorageConnector
from duck_cookie_session.revocation.base import LAST_EPOCH
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.revocation.fleet import Judge, Plan, run_fleet, summary

TIMEOUT = 0.5
STALE = 0.05
NOTICED = 1_000_000_000  # nanoseconds from a loss until a token that proves it was presented
A_LITTLE = 0.5  # a busy machine of two processors, and the once-a-second question beside a check


class Faults:
    """What is done to a server, and when, in nanoseconds: from, until it answers again."""

    def __init__(self, server):
        self.server = server
        self.times: list[tuple[int, int]] = []
        self.lost: list[tuple[int, int]] = []

    def under_load(self):
        """Wait until the fleet is at work."""
        deadline = time.monotonic() + 30
        with self.server.client() as bare:
            while bare.info("stats")["total_commands_processed"] < 2_000:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    @contextlib.contextmanager
    def fault(self):
        began = time.monotonic_ns()
        yield
        with self.server.client() as bare:
            bare.ping()
        self.times.append((began, time.monotonic_ns()))

    def run(self, *steps):
        self.under_load()
        for step in steps:
            with self.fault():
                step()
            time.sleep(1.4)  # the load goes on; for the last part of it all must be well

    # What can be done.

    def kill(self):
        began = time.monotonic_ns()
        self.server.kill()
        time.sleep(0.3)
        self.server.start()
        self.lost.append((began, time.monotonic_ns()))

    def restore(self):
        """Put back what was there a second and a half ago."""
        with self.server.client() as bare:
            bare.save()
        time.sleep(1.5)
        began = time.monotonic_ns()
        self.server.kill()
        self.server.start()  # loads what was saved
        self.lost.append((began, time.monotonic_ns() + NOTICED))

    def pause(self):
        self.server.pause()
        time.sleep(0.8)
        self.server.resume()

    def cut_off(self):
        with self.server.client() as bare:
            for _ in range(5):
                bare.client_kill_filter(_type="normal", skipme=True)
                time.sleep(0.05)

    def slow(self):
        for _ in range(6):
            self.server.pause()
            time.sleep(0.12)
            self.server.resume()
            time.sleep(0.03)


def plans(server, seconds):
    seed = random.SystemRandom().randrange(10**6)
    print("seed:", seed)
    return [Plan(server.url, number, seed, seconds=seconds, timeout=TIMEOUT) for number in range(4)]


def judged(events, faults, lost):
    print(summary(events))
    wrong = Judge(events, {0: 0.0, 1: 0.0, 2: 0.0, 3: STALE}, lost).violations()
    assert not wrong, f"{len(wrong)} violations, the first: {wrong[0]}"
    reads = [event for event in events if event.kind == "read"]
    assert max(event.ended - event.began for event in reads) < (TIMEOUT + A_LITTLE) * 1e9
    for event in events:
        if event.outcome == "unavailable":
            assert any(
                began <= event.ended and event.began <= ended + 1_000_000_000
                for began, ended in faults.times
            ), f"unavailable without a fault, or more than a second after it: {event}"
    last = max(ended for _, ended in faults.times)
    assert any(event.outcome == "done" and event.began > last for event in reads)


@pytest.mark.slow
def test_killed_paused_cut_off_and_slow_in_mid_load(make_redis_server):
    server = make_redis_server()
    faults = Faults(server)
    events = run_fleet(
        plans(server, 11),
        lambda: faults.run(faults.kill, faults.pause, faults.cut_off, faults.slow),
    )
    judged(events, faults, faults.lost)
    assert "unavailable" in {event.outcome for event in events}


@pytest.mark.slow
def test_killed_in_mid_load_with_appendonly_nothing_is_lost(make_redis_server):
    server = make_redis_server("--appendonly", "yes", "--appendfsync", "always")
    faults = Faults(server)
    events = run_fleet(plans(server, 5), lambda: faults.run(faults.kill))
    judged(events, faults, lost=())


@pytest.mark.slow
def test_put_back_from_a_copy_in_mid_load_everything_of_before_is_refused(make_redis_server):
    """Within a second: other nodes' tokens, sealed after what was lost, are read all the time."""
    server = make_redis_server()
    faults = Faults(server)
    events = run_fleet(plans(server, 8), lambda: faults.run(faults.restore))
    judged(events, faults, faults.lost)
    assert len(faults.lost) == 1


# What a restart loses


@pytest.fixture
def make_connector():
    made = []

    def make(server, timeout=10.0, **settings):
        settings = SessionSettings(secret_keys="s" * 32, subject_key="user", **settings)
        made.append(
            SessionStorageConnector(
                lambda: RedisRevocationList(server.url, timeout=timeout), settings=settings
            )
        )
        return made[-1]

    yield make
    for connector in made:
        connector.close()


def restart(server):
    server.kill()
    server.start()


@pytest.mark.parametrize("how", ["flushall", "restart", "failover"])
def test_a_list_lost_whole_refuses_every_older_token(make_connector, make_redis_server, how):
    server = make_redis_server()
    connector = make_connector(server)
    live, ended = (connector.set_session(None, {"n": n}) for n in range(2))
    connector.delete_session(ended)
    if how == "flushall":
        with server.client() as bare:
            bare.flushall()
    elif how == "restart":
        restart(server)
    else:
        # A replica that never had anything takes the place of the primary.
        replica = make_redis_server()
        server.kill()
        with replica.client() as bare:
            bare.replicaof("127.0.0.1", server.port)
            bare.replicaof("NO", "ONE")
        connector = make_connector(replica)
    assert connector.get_session(live) is None
    assert connector.get_session(ended) is None
    assert connector.stats()["refused"]["other list"] == 2
    assert connector.get_session(connector.set_session(None, {"n": 3})) == {"n": 3}


def test_under_on_lost_accept_a_lost_list_revives_what_was_revoked(
    make_connector, make_redis_server
):
    """What SECURITY.md says of `accept`: the sessions live on, and so do the ended ones."""
    server = make_redis_server()
    connector = make_connector(server, on_lost="accept")
    live, ended = (connector.set_session(None, {"n": n}) for n in range(2))
    connector.delete_session(ended)
    restart(server)
    assert connector.get_session(live) == {"n": 0}
    assert connector.get_session(ended) == {"n": 1}


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_appendonly_loses_nothing_when_the_server_is_killed(
    make_connector, make_redis_server, fsync
):
    """What everysec may lose goes with the machine, not with the process."""
    server = make_redis_server("--appendonly", "yes", "--appendfsync", fsync)
    connector = make_connector(server)
    tokens = [connector.set_session(None, {"n": n}) for n in range(200)]
    for token in tokens[::2]:
        connector.delete_session(token)
    restart(server)
    read = [connector.get_session(token) is not None for token in tokens]
    assert read == [False, True] * 100


def test_a_snapshot_alone_brings_back_what_was_revoked_since(make_connector, make_redis_server):
    """What SECURITY.md warns of: such a list is an old copy, until a token shows that it is."""
    server = make_redis_server("--dbfilename", "dump.rdb")
    connector = make_connector(server)
    before, after = (connector.set_session(None, {"n": n}) for n in range(2))
    connector.delete_session(before)
    with server.client() as bare:
        bare.save()
    connector.delete_session(after)
    restart(server)
    assert connector.get_session(before) is None
    assert connector.get_session(after) == {"n": 1}
    connector.clear_all_sessions()  # the remedy
    assert connector.get_session(after) is None


# One process


@pytest.mark.slow
def test_a_paused_server_costs_one_timeout_and_is_used_again_at_once(
    make_connector, make_redis_server
):
    server = make_redis_server()
    connector = make_connector(server, timeout=TIMEOUT)
    token = connector.set_session(None, {"n": 1})
    server.pause()
    for call in (
        lambda: connector.get_session(token),
        lambda: connector.delete_session(token),
        lambda: connector.update_session(token, {}),
        lambda: connector.clear_all_sessions(),
    ):
        began = time.monotonic()
        with pytest.raises(RevocationListUnavailable):
            call()
        assert time.monotonic() - began < TIMEOUT + A_LITTLE
    server.resume()
    # The pause swallowed a logout that was reported as failed; it may have been carried out late.
    assert connector.get_session(token) in (None, {"n": 1})
    assert connector.get_session(connector.set_session(None, {"n": 2})) == {"n": 2}


def test_under_accept_a_server_out_of_reach_serves_and_warns(
    make_connector, make_redis_server, caplog
):
    server = make_redis_server()
    connector = make_connector(server, on_unreachable="accept")
    token = connector.set_session(None, {"n": 1})
    server.kill()
    for _ in range(5):
        assert connector.get_session(token) == {"n": 1}
    assert connector.stats()["unreachable"] == 5
    warnings = [one for one in caplog.records if "unreachable" in one.getMessage()]
    assert len(warnings) == 1
    with pytest.raises(RevocationListUnavailable):
        connector.delete_session(token)


def test_nothing_blocks_the_event_loop_while_the_server_is_paused(make_redis_server):
    server = make_redis_server()
    settings = SessionSettings(secret_keys="s" * 32)
    the_list = RedisRevocationList(server.url, timeout=1.0)
    connector = SessionStorageConnector(lambda: the_list, settings=settings)

    async def work():
        token = connector.set_session(None, {"n": 1})
        await connector.aload(token)
        gaps = []

        async def tick():
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.005)
                gaps.append(time.monotonic() - began)

        ticking = asyncio.create_task(tick())
        server.pause()
        began = time.monotonic()
        results = await asyncio.gather(
            *(connector.aload(token) for _ in range(20)),
            *(connector.adelete_session(token) for _ in range(5)),
            return_exceptions=True,
        )
        took = time.monotonic() - began
        ticking.cancel()
        assert all(isinstance(result, RevocationListUnavailable) for result in results)
        assert 1.0 <= took < 1.0 + 2 * A_LITTLE
        assert max(gaps) < 0.5
        server.resume()
        await connector.adelete_session(token)
        scope = connector.rules.scopes.session(connector.session_id_of(token))
        assert (await the_list.alookup((scope,))).epochs == (LAST_EPOCH,)
        await the_list.aclose()

    asyncio.run(work())
    connector.close()
