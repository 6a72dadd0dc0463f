"""RedisRevocationList against a real server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio

from duck_cookie_session.errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from duck_cookie_session.revocation.base import LAST_EPOCH, Witness
from duck_cookie_session.revocation.redis import RedisRevocationList

RETENTION = 2_592_000 + 60


class Steady:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def make_list(app):
    made = []

    def make(server=None, **arguments):
        arguments.setdefault("timeout", 10)  # the machine may be busy; test_redis_faults judges it
        if server is not None:
            arguments["url"] = server.url
        made.append(RedisRevocationList(**arguments))
        made[-1].bind(app.settings)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def the_list(make_list, redis_server):
    return make_list(redis_server)


@pytest.fixture
def bare(redis_server):
    with redis_server.client() as client:
        yield client


def birth_of(the_list, app):
    return the_list.lookup((app.everything,)).birth


def compare(the_list, scope, expected, **how):
    return the_list.compare_and_raise(scope, expected, nonce=os.urandom(16), **how)


def history_of(bare):
    """Clock, birth, checkpoint, everything, when the checkpoint was made, on which server."""
    (key,) = bare.keys("dcs2:*:h")
    *numbers, where = bare.get(key).split()
    return *map(int, numbers), where.decode()


def rewrite_history(bare, **changed):
    """As if it had been so: `clock`, `made` or `where` of the last raise."""
    (key,) = bare.keys("dcs2:*:h")
    names = ("clock", "birth", "checkpoint", "everything", "made", "where")
    found = dict(zip(names, history_of(bare), strict=True)) | changed
    bare.set(key, " ".join(map(str, found.values())))


def commands(bare, call):
    """How many commands a call makes the server carry out, and how often it waits for one."""
    before = bare.info("stats")["total_commands_processed"]
    call()
    return bare.info("stats")["total_commands_processed"] - before - 1


# The protocol


def test_a_list_made_anew_has_a_birth_and_the_servers_time(the_list, app, caplog):
    now = time.time()
    found = the_list.lookup((app.session(), app.subject(), app.everything))
    assert found.epochs == found.made == (0, 0, 0)
    assert found.now / 1_000_000 == pytest.approx(now, abs=5)
    assert 0 < found.birth <= LAST_EPOCH
    assert (found.checkpoint, found.reach, found.asked_reach) == (found.birth, 0, 0)
    assert birth_of(the_list, app) == found.birth
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "every session issued before is refused" in record.getMessage()


def test_after_flushall_it_is_another_list(the_list, app, bare):
    before = birth_of(the_list, app)
    the_list.end(app.session())
    bare.flushall()
    assert birth_of(the_list, app) != before


def test_on_lost_accept_keeps_no_birth_and_makes_no_checkpoint(
    make_list, redis_server, make_app, bare, caplog
):
    app = make_app(on_lost="accept", audience="accepting")
    the_list = make_list(redis_server)
    the_list.bind(app.settings)
    for _ in range(2):
        found = the_list.lookup((app.everything,), checkpoint=7)
        assert found.epochs == found.made == (0,)
        assert (found.birth, found.checkpoint, found.reach, found.asked_reach) == (0, 0, 0, 0)
    (record,) = caplog.records
    assert "are accepted again" in record.getMessage()
    assert the_list.raise_epoch(app.everything) > 0
    rewrite_history(bare, where="another")
    the_list.raise_epoch(app.everything)
    found = the_list.lookup((app.everything,))
    assert (found.birth, found.checkpoint, found.reach, found.asked_reach) == (0, 0, 0, 0)
    assert not bare.keys("dcs2:*:k*")


def test_a_node_that_refuses_gives_the_list_of_one_that_accepts_its_birth(
    make_list, redis_server, make_app, caplog
):
    accepting = make_list(redis_server)
    accepting.bind(make_app(on_lost="accept", audience="both").settings)
    app = make_app(audience="both")
    epoch = accepting.raise_epoch(app.everything)
    refusing = make_list(redis_server)
    refusing.bind(app.settings)
    found = refusing.lookup((app.everything,))
    assert found.birth > 0
    assert found.epochs == (epoch,)
    assert accepting.lookup((app.everything,)).birth == 0
    assert len(caplog.records) == 2


def test_raises_give_the_servers_time_and_all_differ(the_list, app):
    scope, other = app.session(), app.subject()
    epochs = [the_list.raise_epoch(one) for one in (scope, other, scope, scope)]
    assert epochs == sorted(set(epochs))
    assert epochs[0] / 1_000_000 == pytest.approx(time.time(), abs=5)
    assert the_list.lookup(
        (
            scope,
            other,
        )
    ).epochs == (epochs[3], epochs[1])


def test_a_server_whose_clock_was_set_back_never_lowers_an_epoch(the_list, app, bare):
    before = the_list.raise_epoch(app.session())
    ahead = before + 3_600_000_000  # as if the server's clock had been an hour ahead until now
    rewrite_history(bare, clock=ahead)
    assert the_list.raise_epoch(app.session()) == ahead + 1
    assert the_list.raise_epoch(app.everything) == ahead + 2


def test_a_raise_outranks_the_standing_epoch_whatever_the_clock_says(the_list, app, bare):
    scope = app.session()
    ahead = the_list.raise_epoch(scope) + 3_600_000_000
    (key,) = bare.keys("dcs2:*:s*")
    bare.set(key, ahead)
    rewrite_history(bare, clock=0)
    assert the_list.raise_epoch(scope) == ahead + 1


def test_the_lists_time_goes_by_its_own_clock_which_never_goes_back(the_list, app, bare):
    scope = app.session()
    made = the_list.raise_epoch(scope)
    found = the_list.lookup((scope,))
    assert found.made == (made,)
    assert 0 <= found.now - made < 60_000_000
    ahead = made + 3_600_000_000
    rewrite_history(bare, clock=ahead)
    assert the_list.lookup((scope,)).now == ahead


def test_compare_and_raise(the_list, app):
    scope = app.session()
    first = compare(the_list, scope, 0)
    assert compare(the_list, scope, 0) is None
    assert the_list.lookup((scope,)).epochs == (first,)
    assert compare(the_list, scope, first) > first
    (standing,) = the_list.lookup((scope,)).epochs
    assert compare(the_list, scope, standing, last=True) == LAST_EPOCH
    assert compare(the_list, scope, LAST_EPOCH, last=True) is None
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


def test_a_compare_carried_out_twice_gets_the_same_answer_from_every_node(
    make_list, redis_server, app, bare
):
    one, other = make_list(redis_server), make_list(redis_server)
    scope, won, lost = app.session(), os.urandom(16), os.urandom(16)
    epoch = one.compare_and_raise(scope, 0, nonce=won)
    assert one.compare_and_raise(scope, 0, nonce=won) == epoch
    assert other.compare_and_raise(scope, 0, nonce=won) == epoch
    assert one.compare_and_raise(scope, 0, nonce=lost) is None
    assert other.compare_and_raise(scope, epoch, nonce=lost) is None
    assert one.lookup((scope,)).epochs == (epoch,)
    for key in bare.keys("dcs2:*:n*"):
        assert 0 < bare.pttl(key) <= 60_000


def test_a_device_gets_the_epoch_given_and_the_entry_the_clocks_time(the_list, app):
    scope = app.scopes.prefix + b"b" + os.urandom(16)
    before = the_list.lookup((scope,)).now
    assert compare(the_list, scope, 0, value=77) == 77
    assert compare(the_list, scope, 0, value=78) is None
    found = the_list.lookup((scope,))
    assert found.epochs == (77,)
    assert before <= found.made[0] == found.reach
    assert the_list.survey(app.scopes.prefix).entries == 1
    assert the_list.raise_epoch(scope) > found.reach
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


def test_a_group_is_raised_and_ended_like_a_session(the_list, app, bare):
    scope = app.scopes.prefix + b"g" + os.urandom(16)
    epoch = the_list.raise_epoch(scope)
    assert the_list.lookup((scope,)).epochs == (epoch,)
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)
    assert the_list.survey(app.scopes.prefix).entries == 1
    (key,) = bare.keys("dcs2:*:g*")
    assert bare.pttl(key) == pytest.approx(RETENTION * 1000, abs=5000)


def test_nothing_passes_an_end_and_its_first_time_is_kept(the_list, app, bare):
    scope = app.session()
    the_list.end(scope)
    (key,) = bare.keys("dcs2:*:s*")
    value = bare.get(key)
    assert the_list.raise_epoch(scope) == LAST_EPOCH
    the_list.end(scope)
    assert bare.get(key) == value
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)
    bare.set(key, int(value) + 10_000_000)  # made ten seconds earlier
    found = the_list.lookup((scope,))
    assert found.now - found.made[0] == pytest.approx(10_000_000, abs=1_000_000)


def test_entries_expire_in_the_server_and_everything_never_does(the_list, app, bare):
    birth_of(the_list, app)
    the_list.end(app.session())
    the_list.raise_epoch(app.subject())
    the_list.raise_epoch(app.everything)
    for key in bare.keys("dcs2:*"):
        if key.split(b":")[-1][:1] in b"su":
            assert bare.pttl(key) == pytest.approx(RETENTION * 1000, abs=5000)
        else:
            assert bare.pttl(key) == -1
    assert the_list.purge() == 0


def test_an_expired_entry_stands_at_zero(make_list, redis_server, make_app, bare):
    app = make_app(absolute_age=1, clock_skew=0)
    the_list = RedisRevocationList(redis_server.url)
    the_list.bind(app.settings)
    scope = app.session()
    the_list.end(scope)
    (key,) = bare.keys("dcs2:*:s*")
    assert bare.pttl(key) <= 1000
    bare.pexpire(key, 0)
    assert the_list.lookup((scope,)).epochs == (0,)
    the_list.close()


def test_a_program_with_a_shorter_absolute_age_makes_no_entry_live_shorter(
    the_list, app, make_app, redis_server, bare
):
    """As the command line may be, which reads its settings elsewhere."""
    the_list.lookup((app.everything,))  # a node that has only ever read
    command = make_app(absolute_age=100)
    other = RedisRevocationList(redis_server.url, timeout=10)
    other.bind(command.settings)
    other.end(command.session())
    other.close()
    (key,) = bare.keys("dcs2:*:s*")
    assert bare.pttl(key) == pytest.approx(RETENTION * 1_000, abs=5_000)
    survey = the_list.survey(app.scopes.prefix)
    assert survey.next_expiry - survey.oldest == pytest.approx(RETENTION)


def test_keys_and_values_are_as_documented(the_list, app, bare):
    ended, raised = app.scopes.session(bytes(range(16))), app.scopes.subject("alice")
    the_list.end(ended)
    the_list.raise_epoch(raised)
    device = app.scopes.prefix + b"b" + bytes(16)
    the_list.compare_and_raise(device, 0, nonce=b"x" * 16, value=5)
    found = the_list.lookup((ended, raised, device))
    tag = "dcs2:{" + app.scopes.prefix.hex() + "}:"
    values = {key.decode(): bare.get(key).decode() for key in bare.keys("*")}
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"alice").digest()).decode().rstrip("=")
    clock, birth, checkpoint, everything, made, _ = values.pop(tag + "h").split()
    assert int(everything) == 0
    assert (int(clock), int(birth), int(checkpoint)) == (found.reach, found.birth, found.birth)
    assert int(made) <= found.made[0]
    assert values == {
        tag + "sAAECAwQFBgcICQoLDA0ODw": f"-{found.made[0]}",
        tag + "u" + digest: f"{found.epochs[1]}",
        tag + "b" + "A" * 22: f"5 {found.made[2]}",
        tag + "n" + "eHh4eHh4eHh4eHh4eHh4eA": "5",
        tag + "r": f"{RETENTION * 1_000}",
    }
    assert bare.memory_usage(tag + "u" + digest) <= 200


# Birth and checkpoints


def test_a_raise_makes_a_checkpoint_ten_seconds_after_the_newest(the_list, app, bare):
    first = the_list.raise_epoch(app.session())
    begun = the_list.lookup((app.everything,))
    assert begun.checkpoint == begun.birth
    assert begun.reach == first
    rewrite_history(bare, made=history_of(bare)[4] - 9_000_000)
    second = the_list.raise_epoch(app.session())
    assert the_list.lookup((app.everything,)).checkpoint == begun.birth
    rewrite_history(bare, made=history_of(bare)[4] - 1_000_000)
    third = the_list.raise_epoch(app.session())
    found = the_list.lookup((app.everything,), checkpoint=begun.birth)
    assert found.birth == begun.birth
    assert found.checkpoint not in (0, begun.birth)
    assert (found.reach, found.asked_reach) == (third, second)
    assert the_list.lookup((app.everything,), checkpoint=found.checkpoint).asked_reach == third
    assert the_list.lookup((app.everything,), checkpoint=12345).asked_reach is None


def test_a_server_whose_clock_was_set_back_makes_a_checkpoint(the_list, app, bare):
    the_list.raise_epoch(app.session())
    made = history_of(bare)[4]
    rewrite_history(bare, made=made + 20_000_000, clock=made + 20_000_000)
    assert the_list.raise_epoch(app.session()) == made + 20_000_001
    found = the_list.lookup((app.everything,), checkpoint=history_of(bare)[1])
    assert found.checkpoint != found.birth
    assert found.asked_reach == made + 20_000_000


def test_another_server_than_at_the_last_raise_makes_a_checkpoint(the_list, app, bare):
    the_list.raise_epoch(app.session())
    assert history_of(bare)[5] == bare.info("replication")["master_replid"]
    rewrite_history(bare, where="another")
    the_list.raise_epoch(app.session())
    found = the_list.lookup((app.everything,))
    assert found.checkpoint != found.birth
    assert history_of(bare)[5] == bare.info("replication")["master_replid"]


def test_a_checkpoint_without_a_raise_leaves_nothing_behind(the_list, app, bare):
    birth = birth_of(the_list, app)
    rewrite_history(bare, where="another")
    the_list.raise_epoch(app.session())
    found = the_list.lookup((app.everything,), checkpoint=birth)
    assert found.checkpoint != birth
    assert found.asked_reach is None  # which no token says it was sealed under
    assert not bare.keys("dcs2:*:k*")


def test_a_replaced_checkpoint_lives_a_day_longer_than_the_longest_retention(
    the_list, app, make_app, redis_server, bare
):
    the_list.raise_epoch(app.session())
    command = make_app(absolute_age=100)
    other = RedisRevocationList(redis_server.url, timeout=10)
    other.bind(command.settings)
    rewrite_history(bare, where="another")
    other.raise_epoch(app.session())
    other.close()
    (key,) = bare.keys("dcs2:*:k*")
    assert bare.pttl(key) == pytest.approx((RETENTION + 86_400) * 1000, abs=5000)


def test_a_replaced_checkpoint_that_reaches_ahead_of_the_clock_lives_that_much_longer(
    the_list, app, bare
):
    """Else a token from then would prove a loss that never happened."""
    ahead = the_list.raise_epoch(app.session()) + 3_600_000_000
    rewrite_history(bare, clock=ahead, where="another")
    the_list.raise_epoch(app.session())
    (key,) = bare.keys("dcs2:*:k*")
    assert bare.pttl(key) == pytest.approx((RETENTION + 86_400 + 3_600) * 1000, abs=5000)


def test_the_last_epochs_of_nodes_that_race_for_a_checkpoint_are_all_counted(
    make_list, redis_server, app, bare
):
    lists = [make_list(redis_server) for _ in range(4)]
    lists[0].raise_epoch(app.session())
    rewrite_history(bare, where="another")
    start = threading.Barrier(8)

    def race(number):
        start.wait()
        return lists[number % 4].raise_epoch(app.session())

    with ThreadPoolExecutor(8) as pool:
        epochs = list(pool.map(race, range(8)))
    assert len(set(epochs)) == 8
    assert lists[0].lookup((app.everything,)).reach == max(epochs)
    assert len(bare.keys("dcs2:*:k*")) == 1


def witness(found, **changed):
    """What a token sealed under this standing says."""
    checkpoint = found.checkpoint if found.reach else 0
    return Witness(found.birth, checkpoint, found.reach, found.epochs[0])._replace(**changed)


def test_nothing_is_raised_where_nothing_is_proven(the_list, app, bare):
    the_list.raise_epoch(app.session())
    before = the_list.lookup((app.everything,))
    rewrite_history(bare, where="another")
    the_list.raise_epoch(app.session())
    found = the_list.lookup((app.everything,))
    retention = RETENTION * 1_000_000
    for one in (
        witness(before),
        witness(found),
        witness(found, checkpoint=0, reach=0),
        witness(found, birth=found.birth - 1, everything=LAST_EPOCH),
        witness(found, checkpoint=7, reach=found.now - retention - 1),
    ):
        assert the_list.raise_if_forgotten(app.everything, one) is None
    the_list.raise_epoch(app.everything)
    assert the_list.raise_if_forgotten(app.everything, witness(found, checkpoint=7)) is None


@pytest.mark.parametrize("what", ["reach", "replaced", "checkpoint", "everything"])
def test_a_token_that_knows_more_than_the_list_raises_everything_once(the_list, app, bare, what):
    the_list.raise_epoch(app.everything)
    before = the_list.lookup((app.everything,))
    rewrite_history(bare, where="another")
    the_list.raise_epoch(app.session())
    found = the_list.lookup((app.everything,))
    ahead = found.now + 3_600_000_000
    one = {
        "reach": witness(found, reach=found.reach + 1),
        "replaced": witness(before, reach=before.reach + 1),
        "checkpoint": witness(found, checkpoint=7),
        "everything": witness(found, everything=ahead),
    }[what]
    epoch = the_list.raise_if_forgotten(app.everything, one)
    assert epoch > max(one.everything, found.epochs[0])
    assert the_list.lookup((app.everything,)).epochs == (epoch,)
    assert the_list.raise_if_forgotten(app.everything, one) is None
    assert the_list.lookup((app.everything,)).epochs == (epoch,)


def test_of_nodes_that_find_out_at_once_one_raises(make_list, redis_server, app):
    lists = [make_list(redis_server) for _ in range(4)]
    lists[0].raise_epoch(app.session())
    one = witness(lists[0].lookup((app.everything,)), checkpoint=7)
    start = threading.Barrier(8)

    def race(number):
        start.wait()
        return lists[number % 4].raise_if_forgotten(app.everything, one)

    with ThreadPoolExecutor(8) as pool:
        raised = [epoch for epoch in pool.map(race, range(8)) if epoch is not None]
    assert raised == list(lists[0].lookup((app.everything,)).epochs)


def test_a_new_birth_begins_a_new_history_and_keeps_clock_and_entries(the_list, app):
    scope = app.session()
    the_list.end(scope)
    before = the_list.lookup((scope, app.everything))
    birth = the_list.new_birth(app.scopes.prefix)
    found = the_list.lookup((scope, app.everything), checkpoint=before.checkpoint)
    assert before.birth != birth == found.birth == found.checkpoint
    assert found.epochs == (LAST_EPOCH, 0)
    assert found.reach == before.reach
    assert found.asked_reach is None
    assert the_list.raise_if_forgotten(app.everything, witness(before)) is None


def test_after_a_new_birth_no_older_answer_is_reused(lazy, app):
    before = lazy.lookup((app.everything,), fresh=False)
    birth = lazy.new_birth(app.scopes.prefix)
    assert lazy.lookup((app.everything,), fresh=False).birth == birth != before.birth


def test_knowing_and_surveying_make_nothing(the_list, app, bare):
    assert not the_list.knows(app.scopes.prefix)
    assert the_list.survey(app.scopes.prefix).entries == 0
    assert not bare.keys("*")
    birth_of(the_list, app)
    assert the_list.knows(app.scopes.prefix)


# The rest of the protocol


def test_applications_stay_apart(the_list, app, make_app):
    other = make_app(cookie_name="other")
    the_list.bind(other.settings)
    here, there = app.scopes.session(bytes(16)), other.scopes.session(bytes(16))
    the_list.end(here)
    assert the_list.lookup((there, other.everything)).epochs == (0, 0)
    assert the_list.survey(other.scopes.prefix).entries == 0
    assert the_list.survey(app.scopes.prefix).entries == 1


def test_survey(the_list, app):
    birth_of(the_list, app)
    assert the_list.survey(app.scopes.prefix).entries == 0
    first = the_list.raise_epoch(app.session()) / 1_000_000
    for _ in range(1500):
        the_list.end(app.session())
    survey = the_list.survey(app.scopes.prefix)
    assert survey.entries == 1501
    assert survey.oldest == pytest.approx(first, abs=0.001)
    assert survey.next_expiry == pytest.approx(first + RETENTION, abs=0.001)
    assert survey.bytes > 1501 * 50


def test_a_check_is_one_round_trip_of_one_command(the_list, app, bare):
    scopes = (app.session(), app.subject(), app.subject(), app.everything)
    the_list.lookup(scopes)
    assert commands(bare, lambda: the_list.lookup(scopes)) == 1


def test_a_server_that_forgot_the_scripts_is_told_them_again(the_list, app, bare):
    the_list.end(app.session())
    bare.script_flush()
    scope = app.session()
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


def test_of_threads_and_lists_that_compare_at_once_one_wins(make_list, redis_server, app):
    lists = [make_list(redis_server) for _ in range(4)]
    scope = app.session()
    start = threading.Barrier(8)

    def race(number):
        start.wait()
        return compare(lists[number % 4], scope, 0)

    with ThreadPoolExecutor(8) as pool:
        won = [epoch for epoch in pool.map(race, range(8)) if epoch is not None]
    assert len(won) == 1


def test_lists_that_meet_an_empty_server_agree_on_its_birth(make_list, redis_server, app, caplog):
    lists = [make_list(redis_server) for _ in range(8)]
    start = threading.Barrier(8)

    def first_look(the_list):
        start.wait()
        return birth_of(the_list, app)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(first_look, lists))) == 1
    assert len(caplog.records) == 1


def test_the_awaitable_twins_do_the_same(the_list, app):
    scope = app.session()

    async def all_of_them():
        first = await the_list.araise_epoch(scope)
        second = await the_list.acompare_and_raise(scope, first, nonce=b"a" * 16)
        assert second > first
        assert (await the_list.alookup((scope,))).epochs == (second,)
        lost = await the_list.acompare_and_raise(scope, first, nonce=b"b" * 16, last=True)
        assert lost is None
        await the_list.aend(scope)
        assert (await the_list.alookup((scope,), fresh=False)).epochs == (LAST_EPOCH,)
        found = await the_list.alookup((app.everything,), checkpoint=7)
        assert found.asked_reach is None
        assert await the_list.araise_if_forgotten(app.everything, witness(found)) is None
        assert await the_list.apurge() == 0
        await the_list.asave()
        await the_list.aclose()
        await the_list.aclose()
        return found.birth

    assert asyncio.run(all_of_them()) == birth_of(the_list, app)


def test_each_event_loop_has_connections_of_its_own(the_list, app):
    scope = app.session()
    the_list.end(scope)

    async def look():
        found = await asyncio.gather(*(the_list.alookup((scope,)) for _ in range(10)))
        await the_list.aclose()
        return found

    for _ in range(3):
        assert [one.epochs for one in asyncio.run(look())] == [(LAST_EPOCH,)] * 10
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: asyncio.run(look()), range(4)):
            assert [one.epochs for one in found] == [(LAST_EPOCH,)] * 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_connections_of_its_own(the_list, app, bare):
    scope = app.session()
    the_list.lookup((scope,))
    before = {client["id"] for client in bare.client_list()}
    child = os.fork()
    if child == 0:
        status = 1
        try:
            the_list.end(scope)
            after = {client["id"] for client in bare.client_list()}
            status = 0 if len(after - before) >= 1 else 2
        finally:
            os._exit(status)
    for _ in range(200):
        the_list.lookup((scope, app.everything))
    assert os.waitpid(child, 0)[1] == 0
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


def test_closing_twice_and_going_on(the_list, app):
    before = birth_of(the_list, app)
    the_list.save()
    the_list.close()
    the_list.close()
    assert birth_of(the_list, app) == before


def test_threads_that_look_and_close_at_once(the_list, app):
    scope = app.session()
    the_list.end(scope)

    def work(number):
        for _ in range(30):
            if number == 0:
                the_list.close()
            else:
                assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)

    with ThreadPoolExecutor(16) as pool:
        for job in [pool.submit(work, number) for number in range(16)]:
            job.result()


# Arguments


def test_the_address_comes_from_the_settings_unless_given(redis_server, make_app):
    the_list = RedisRevocationList()
    app = make_app(revocation_url=redis_server.url)
    the_list.bind(app.settings)
    assert birth_of(the_list, app) > 0
    the_list.close()


def test_without_an_address_the_setting_is_named(app):
    with pytest.raises(InvalidSettings, match="SESSION_REVOCATION_URL"):
        RedisRevocationList().bind(app.settings)


@pytest.mark.parametrize(
    "address",
    ["redis://:pass/word@h:6379/0", "redis://:pass#word@h", "redis://h:port", "redis://h?sauce=1"],
)
def test_an_address_that_can_not_be_read_is_refused_at_once_and_not_shown(address, make_app):
    settings = make_app(revocation_url=address).settings
    for make in (
        lambda: RedisRevocationList(address),
        lambda: RedisRevocationList().bind(settings),
    ):
        with pytest.raises(InvalidSettings, match="%2F") as caught:
            make()
        assert "pass" not in str(caught.value).replace("in a password", "")
        assert caught.value.__suppress_context__


def test_a_wrong_address_is_refused_without_showing_it():
    for wrong in ("http://user:secret@host", 7, b"redis://host"):
        with pytest.raises(InvalidSettings, match="redis://, rediss://, unix://") as caught:
            RedisRevocationList(wrong)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", [-1, 3601])
def test_a_staleness_out_of_bounds_is_refused(wrong):
    with pytest.raises(InvalidSettings, match=r"0 to 3,600"):
        RedisRevocationList("redis://localhost", max_staleness=wrong)


def test_a_client_that_reads_from_replicas_is_refused():
    class Client:
        read_from_replicas = True

    with pytest.raises(InvalidSettings, match="replicas"):
        RedisRevocationList(client=Client())


def test_a_ready_client_is_used_and_left_open(make_list, redis_server, app):
    with redis_server.client() as client:
        the_list = make_list(client=client)
        scope = app.session()
        the_list.end(scope)

        async def look():
            return await the_list.alookup((scope,))

        assert asyncio.run(look()).epochs == (LAST_EPOCH,)
        the_list.close()
        assert client.ping()


def test_a_ready_client_that_decodes_its_answers(make_list, redis_server, app):
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        the_list = make_list(client=client)
        epoch = the_list.raise_epoch(app.session())
        birth_of(the_list, app)
        survey = the_list.survey(app.scopes.prefix)
        assert survey.oldest == pytest.approx(epoch / 1_000_000)


def test_a_ready_async_client(make_list, redis_server, app):
    async def look():
        async with redis.asyncio.Redis(port=redis_server.port) as client:
            the_list = make_list(async_client=client)
            scope = app.session()
            await the_list.aend(scope)
            assert (await the_list.alookup((scope,))).epochs == (LAST_EPOCH,)
            with pytest.raises(InvalidArgument, match="client="):
                the_list.lookup((scope,))

    asyncio.run(look())


def _text(info):
    """CLUSTER INFO as text: releases of redis-py differ in what they make of it."""
    if isinstance(info, dict):
        return " ".join(f"{key}:{value}" for key, value in info.items())
    return info.decode() if isinstance(info, bytes) else info


@pytest.mark.slow
def test_a_cluster(make_list, make_redis_server, app, make_app):
    server = make_redis_server("--cluster-enabled", "yes")
    with server.client() as bare:
        bare.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        deadline = time.monotonic() + 10
        while "cluster_state:ok" not in _text(bare.execute_command("CLUSTER", "INFO")):
            assert time.monotonic() < deadline
    with redis.RedisCluster(host="127.0.0.1", port=server.port) as client:
        the_list = make_list(client=client)
        other = make_app(audience="other")
        the_list.bind(other.settings)
        for one in (app, other):
            session, subject = one.session(), one.subject()
            the_list.end(session)
            epoch = the_list.raise_epoch(subject)
            epoch_of_device = compare(the_list, one.scopes.prefix + b"b" + bytes(16), 0, value=9)
            assert epoch_of_device == 9
            with server.client() as bare:
                (key,) = bare.keys(f"dcs2:{{{one.scopes.prefix.hex()}}}:h")
                bare.set(key, bare.get(key).rpartition(b" ")[0] + b" another")
            the_list.end(one.session())
            found = the_list.lookup((session, subject, one.everything), checkpoint=7)
            assert found.epochs == (LAST_EPOCH, epoch, 0)
            assert found.checkpoint != found.birth
            proof = witness(found, checkpoint=7, everything=0)
            assert the_list.raise_if_forgotten(one.everything, proof) > found.reach
            assert the_list.knows(one.scopes.prefix)
            assert the_list.survey(one.scopes.prefix).entries == 4


# Servers that must not be believed


def test_a_server_that_may_evict_is_refused_with_the_setting_to_change(
    make_list, make_redis_server, app
):
    server = make_redis_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    the_list = make_list(server)
    with pytest.raises(RevocationListUnavailable, match="maxmemory-policy to noeviction"):
        birth_of(the_list, app)
    with server.client() as bare:
        bare.config_set("maxmemory-policy", "noeviction")
        assert birth_of(the_list, app) > 0


def test_a_server_without_a_limit_never_evicts_whatever_its_policy(
    make_list, make_redis_server, app
):
    server = make_redis_server("--maxmemory-policy", "allkeys-lru")
    assert birth_of(make_list(server), app) > 0


def test_after_an_error_the_server_is_looked_at_anew(make_list, make_redis_server, app):
    server = make_redis_server()
    the_list = make_list(server, clock=Steady())  # a clock on which no second passes
    birth_of(the_list, app)
    server.kill()
    with pytest.raises(RevocationListUnavailable):
        birth_of(the_list, app)
    server.arguments = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    server.start()
    with pytest.raises(RevocationListUnavailable, match="noeviction"):
        birth_of(the_list, app)


@pytest.mark.parametrize("policy", ["volatile-ttl", "allkeys-random"])
def test_eviction_turned_on_later_is_noticed_within_a_second(make_list, redis_server, app, policy):
    steady = Steady()
    the_list = make_list(redis_server, clock=steady)
    birth_of(the_list, app)
    with redis_server.client() as bare:
        bare.config_set("maxmemory", "100mb")
        bare.config_set("maxmemory-policy", policy)
        try:
            steady.now += 1
            with pytest.raises(RevocationListUnavailable, match=policy):
                birth_of(the_list, app)
        finally:
            bare.config_set("maxmemory", 0)
            bare.config_set("maxmemory-policy", "noeviction")


def test_while_one_asks_again_whether_to_believe_the_server_others_go_on(
    app, bare, steady, make_list, redis_server
):
    one = make_list(redis_server, clock=steady)
    scopes = (app.session(), app.everything)
    one.lookup(scopes)
    steady.now += 0.75
    asking = one._talk.lookup(scopes, 0)
    while next(asking) != ("INFO",):  # before it, where the primary is
        pass
    assert commands(bare, lambda: one.lookup(scopes)) == 1
    steady.now += 0.25  # it was not answered: from now on nothing is believed unasked
    assert commands(bare, lambda: one.lookup(scopes)) == 3
    asking.close()


def test_allow_eviction_warns_once(make_list, make_redis_server, app, caplog):
    server = make_redis_server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    steady = Steady()
    the_list = make_list(server, allow_eviction=True, clock=steady)
    for _ in range(3):
        birth_of(the_list, app)
        steady.now += 2
    assert len([one for one in caplog.records if "may evict" in one.getMessage()]) == 1


def test_a_replica_is_refused(make_list, make_redis_server, app):
    primary, replica = make_redis_server(), make_redis_server()
    with replica.client() as bare:
        bare.replicaof("127.0.0.1", primary.port)
    the_list = make_list(replica)
    for call in (lambda: birth_of(the_list, app), lambda: the_list.end(app.session())):
        with pytest.raises(RevocationListUnavailable, match="replica"):
            call()


def test_a_primary_that_becomes_a_replica_is_noticed_within_a_second(
    make_list, make_redis_server, app
):
    steady = Steady()
    primary, server = make_redis_server(), make_redis_server()
    the_list = make_list(server, clock=steady)
    birth_of(the_list, app)
    with server.client() as bare:
        bare.replicaof("127.0.0.1", primary.port)
    with pytest.raises(RevocationListUnavailable):
        the_list.end(app.session())
    steady.now += 1
    with pytest.raises(RevocationListUnavailable, match="replica"):
        birth_of(the_list, app)


def test_what_somebody_else_wrote_under_a_key_is_no_answer(the_list, app, bare):
    birth_of(the_list, app)
    the_list.raise_epoch(app.everything)
    scope = app.session()
    the_list.raise_epoch(scope)
    for pattern in ("dcs2:*:s*", "dcs2:*:h"):
        (key,) = bare.keys(pattern)
        for junk in ("junk", "1 2 3 4 5 6 7", "-1 5"):
            bare.set(key, junk)
            with pytest.raises(RevocationListUnavailable):
                the_list.lookup((scope,))
            with pytest.raises(RevocationListUnavailable):
                the_list.raise_epoch(scope)
        bare.delete(key)


def test_a_server_that_is_not_there(make_list, app):
    the_list = make_list(url="redis://user:hidden@127.0.0.1:1/0", timeout=0.25)
    calls = (
        lambda: birth_of(the_list, app),
        lambda: the_list.raise_epoch(app.session()),
        lambda: compare(the_list, app.session(), 0),
        lambda: the_list.end(app.session()),
        lambda: the_list.raise_if_forgotten(app.everything, Witness(1, 2, 3, 4)),
        lambda: the_list.knows(app.scopes.prefix),
        lambda: the_list.new_birth(app.scopes.prefix),
        lambda: the_list.survey(app.scopes.prefix),
        lambda: asyncio.run(the_list.alookup((app.everything,))),
        lambda: asyncio.run(the_list.aend(app.session())),
    )
    for call in calls:
        started = time.monotonic()
        with pytest.raises(RevocationListUnavailable, match=r"127\.0\.0\.1:1/0") as caught:
            call()
        assert time.monotonic() - started < 1
        assert "hidden" not in str(caught.value)


def test_a_full_server_takes_no_revocation_and_goes_on_answering(make_list, redis_server, app):
    the_list = make_list(redis_server)
    before = birth_of(the_list, app)
    scope = app.session()
    with redis_server.client() as bare:
        bare.config_set("maxmemory", 1)
        try:
            with pytest.raises(RevocationListUnavailable, match="memory"):
                the_list.end(scope)
            found = the_list.lookup((scope, app.everything))
            assert (found.epochs, found.birth) == ((0, 0), before)
        finally:
            bare.config_set("maxmemory", 0)
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


NEEDED = ["info", "mget", "get", "set", "time", "scan", "eval", "evalsha"]


@pytest.mark.parametrize("missing", [None, *NEEDED])
def test_a_user_of_the_server_needs_the_commands_that_the_error_names(
    make_list, redis_server, app, missing
):
    allowed = [f"+{command}" for command in NEEDED if command != missing]
    with redis_server.client() as bare:
        bare.execute_command(
            "ACL", "SETUSER", "limited", "reset", "on", ">hidden", "~dcs2*", *allowed
        )
        bare.script_flush()
    the_list = make_list(url=redis_server.url.replace("//", "//limited:hidden@"))

    def use():
        the_list.lookup((app.session(), app.everything))
        the_list.end(app.session())
        compare(the_list, app.session(), 0)
        the_list.raise_if_forgotten(app.everything, Witness(1, 2, 3, 4))
        the_list.knows(app.scopes.prefix)
        the_list.survey(app.scopes.prefix)

    if missing is None:
        use()
        return
    with pytest.raises(RevocationListUnavailable, match=missing.upper()) as caught:
        use()
    assert "hidden" not in str(caught.value)


def test_a_server_on_a_unix_socket(make_list, make_redis_server, app, tmp_path):
    socket = tmp_path / "s"
    make_redis_server("--unixsocket", str(socket))
    the_list = make_list(url=f"unix://{socket}")
    assert birth_of(the_list, app) > 0

    async def look():
        found = await the_list.alookup((app.everything,))
        await the_list.aclose()
        return found

    assert asyncio.run(look()).birth == birth_of(the_list, app)


class Dropping:
    """Stands before a server and drops the first connections once they have sent something."""

    def __init__(self, server, drops):
        self.server = server
        self.drops = drops
        self.connections = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listening.getsockname()[1]}/0"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return  # closed: the test is over
            self.connections += 1
            threading.Thread(
                target=self.serve, args=(client, self.connections <= self.drops), daemon=True
            ).start()

    def serve(self, client, drop):
        with client, socket.create_connection(("127.0.0.1", self.server.port)) as server:
            request = client.recv(65_536)
            while request and not drop:
                server.sendall(request)
                client.sendall(server.recv(65_536))
                request = client.recv(65_536)


@pytest.mark.parametrize("awaited", [False, True])
def test_a_connection_dropped_under_a_request_is_tried_once_more_and_no_more(
    make_list, redis_server, app, awaited
):
    def look(the_list):
        if not awaited:
            return birth_of(the_list, app)

        async def work():
            try:
                return (await the_list.alookup((app.everything,))).birth
            finally:
                await the_list.aclose()

        return asyncio.run(work())

    once, always = Dropping(redis_server, 1), Dropping(redis_server, 10**9)
    with once.listening, always.listening:
        assert look(make_list(url=once.url)) > 0
        assert once.connections == 2
        with pytest.raises(RevocationListUnavailable):
            look(make_list(url=always.url))
        assert always.connections == 2


LOOPS = """
import asyncio, sys
from duck_cookie_session import SessionSettings
from duck_cookie_session.revocation.base import Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList

settings = SessionSettings(secret_keys="s" * 32)
the_list = RedisRevocationList(sys.argv[1], timeout=10)
the_list.bind(settings)
for _ in range(5):
    asyncio.run(the_list.alookup((Scopes(settings).everything,)))
print(len(the_list._server._async_clients))
"""


def test_event_loops_that_ended_without_aclose_leave_nothing_behind(redis_server):
    """In a process of its own: what such a program leaves open, Python may warn of."""
    done = subprocess.run(
        [sys.executable, "-c", LOOPS, redis_server.url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "1\n"


# Bounded staleness


@pytest.fixture
def steady():
    return Steady()


@pytest.fixture
def lazy(make_list, redis_server, steady):
    return make_list(redis_server, max_staleness=0.5, clock=steady)


def test_an_answer_is_reused_for_max_staleness_and_not_longer(lazy, the_list, app, bare, steady):
    scope = app.session()
    scopes = (scope, app.everything)
    before = lazy.lookup(scopes)
    the_list.end(scope)
    steady.now += 0.499
    assert lazy.lookup(scopes, fresh=False) == before
    assert commands(bare, lambda: lazy.lookup(scopes, fresh=False)) == 0
    steady.now += 0.001
    assert lazy.lookup(scopes, fresh=False).epochs[0] == LAST_EPOCH


def test_a_fresh_lookup_always_asks(lazy, the_list, app):
    scope = app.session()
    assert lazy.lookup((scope,)).epochs == (0,)
    the_list.end(scope)
    assert lazy.lookup((scope,)).epochs == (LAST_EPOCH,)
    assert lazy.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)


def test_reuse_does_not_prolong_itself(lazy, the_list, app, steady):
    scope = app.session()
    lazy.lookup((scope,))
    the_list.end(scope)
    for _ in range(4):
        assert lazy.lookup((scope,), fresh=False).epochs == (0,)
        steady.now += 0.124
    steady.now += 0.01
    assert lazy.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)


@pytest.mark.parametrize("kind", ["session", "subject", "everything"])
def test_an_own_revocation_counts_at_once(lazy, app, kind):
    scopes = {"session": app.session(), "subject": app.subject(), "everything": app.everything}
    asked = tuple(scopes.values())
    another = (app.session(), *asked[1:])
    for one in (asked, another):
        lazy.lookup(one, fresh=False)
    epoch = lazy.raise_epoch(scopes[kind])
    place = list(scopes).index(kind)
    assert lazy.lookup(asked, fresh=False).epochs[place] == epoch
    if kind != "session":
        assert lazy.lookup(another, fresh=False).epochs[place] == epoch


def test_an_own_awaited_revocation_counts_at_once(lazy, app):
    scope = app.session()

    async def work():
        assert (await lazy.alookup((scope,), fresh=False)).epochs == (0,)
        await lazy.aend(scope)
        assert (await lazy.alookup((scope,), fresh=False)).epochs == (LAST_EPOCH,)
        await lazy.aclose()

    asyncio.run(work())


def test_an_answer_asked_before_an_own_revocation_is_never_kept(lazy, app, redis_server):
    """One thread's lookup is answered, and held up; meanwhile another thread revokes."""
    scope = app.session()
    birth_of(lazy, app)
    answered, go_on = threading.Event(), threading.Event()
    lookup = lazy._talk.lookup

    def held_up(scopes, checkpoint):
        steps = lookup(scopes, checkpoint)
        reply = yield next(steps)
        answered.set()
        go_on.wait(10)
        try:
            steps.send(reply)
        except StopIteration as done:
            return done.value

    lazy._talk.lookup = held_up
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(lazy.lookup, (scope,), fresh=False)
        assert answered.wait(10)
        lazy.end(scope)
        go_on.set()
        assert looking.result().epochs == (0,)
    del lazy._talk.lookup
    assert lazy.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)


def test_out_of_reach_nothing_is_believed_past_the_bound(make_list, make_redis_server, app, steady):
    server = make_redis_server()
    lazy = make_list(server, max_staleness=0.5, clock=steady)
    before = birth_of(lazy, app)
    server.kill()
    steady.now += 0.4
    assert lazy.lookup((app.everything,), fresh=False).birth == before
    with pytest.raises(RevocationListUnavailable):
        lazy.lookup((app.everything,))
    steady.now += 0.1
    with pytest.raises(RevocationListUnavailable):
        lazy.lookup((app.everything,), fresh=False)


def test_a_revocation_that_failed_is_not_covered_by_an_old_answer(
    make_list, make_redis_server, app, steady
):
    server = make_redis_server()
    lazy = make_list(server, max_staleness=60, clock=steady)
    scope = app.session()
    assert lazy.lookup((scope,), fresh=False).epochs == (0,)
    server.kill()
    with pytest.raises(RevocationListUnavailable):
        lazy.end(scope)
    with pytest.raises(RevocationListUnavailable):  # it may have been carried out
        lazy.lookup((scope,), fresh=False)


def test_the_setting_counts_unless_given_and_the_smallest_wins(redis_server, make_app, steady):
    the_list = RedisRevocationList(redis_server.url, clock=steady)
    one = make_app(max_staleness=10, audience="one")
    two = make_app(max_staleness=2, audience="two")
    the_list.bind(one.settings)
    the_list.bind(two.settings)
    other = RedisRevocationList(redis_server.url)
    other.bind(one.settings)
    scope = one.session()
    the_list.lookup((scope,))
    other.end(scope)
    steady.now += 1.9
    assert the_list.lookup((scope,), fresh=False).epochs == (0,)
    steady.now += 0.2
    assert the_list.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)
    the_list.close()
    other.close()


def test_after_close_nothing_is_reused(lazy, the_list, app):
    scope = app.session()
    lazy.lookup((scope,))
    the_list.end(scope)
    lazy.close()
    assert lazy.lookup((scope,), fresh=False).epochs == (LAST_EPOCH,)


def test_without_staleness_every_lookup_asks(the_list, app, bare):
    scope = app.session()
    the_list.lookup((scope,), fresh=False)
    assert commands(bare, lambda: the_list.lookup((scope,), fresh=False)) == 1
