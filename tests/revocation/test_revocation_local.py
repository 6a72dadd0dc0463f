"""What the memory list and the SQLite list promise alike."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from duck_cookie_session.revocation.base import LAST_EPOCH, PREFIX_BYTES, Witness
from tests.helpers import age_of, compare, epochs_of

RETENTION = 2_592_000 + 60


def birth_of(the_list, app):
    return the_list.lookup((app.everything,)).birth


def test_all_starts_at_zero_under_a_birth_that_stays(local_list, app, clock):
    standing = local_list.lookup((app.session(), app.subject(), app.everything))
    assert standing.epochs == standing.made == (0, 0, 0)
    assert standing.now == clock.now * 1_000_000
    assert 0 < standing.birth <= LAST_EPOCH
    assert (standing.checkpoint, standing.reach, standing.asked_reach) == (standing.birth, 0, 0)
    assert birth_of(local_list, app) == standing.birth


def test_making_the_list_is_logged_once_as_a_warning(local_list, make_app, caplog):
    app = make_app(audience="new here")
    with caplog.at_level(logging.WARNING, "duck_cookie_session"):
        local_list.bind(app.settings)
        birth_of(local_list, app)
        birth_of(local_list, app)
    (record,) = caplog.records
    assert record.name == "duck_cookie_session"
    assert "every session issued before is refused" in record.getMessage()


def test_on_lost_accept_keeps_no_birth_and_says_so(local_list, make_app, caplog):
    app = make_app(audience="accepting", on_lost="accept")
    local_list.bind(app.settings)
    assert birth_of(local_list, app) == 0
    assert "sessions that were revoked before are accepted again" in caplog.text


def test_the_careful_binding_wins(local_list, make_app):
    for on_lost in ("accept", "refuse", "accept"):
        app = make_app(audience="shared", on_lost=on_lost)
        local_list.bind(app.settings)
    assert birth_of(local_list, app) > 0


def test_the_longer_retention_wins(local_list, make_app, clock):
    for absolute_age in (100, 1000, 100):
        app = make_app(audience="shared", absolute_age=absolute_age)
        local_list.bind(app.settings)
    scope = app.session()
    local_list.end(scope)
    clock.now += 1059
    assert local_list.purge() == 0
    clock.now += 2
    assert local_list.purge() == 1


def test_a_raise_gives_the_time_and_stands(local_list, app, clock):
    scope = app.session()
    epoch = local_list.raise_epoch(scope)
    assert epoch == int(clock.now * 1_000_000)
    assert epochs_of(local_list, app.session(), scope) == (0, epoch)


def test_raises_within_one_tick_count_up_by_one(local_list, app):
    scope, other = app.session(), app.subject()
    first, *more = [local_list.raise_epoch(one) for one in (scope, other, scope, scope)]
    assert more == [first + 1, first + 2, first + 3]


def test_what_is_not_there_stands_at_zero_however_often_it_is_asked(local_list, app):
    asked = (app.everything, app.session(), app.subject())
    first = local_list.lookup(asked)
    assert first.epochs == (0, 0, 0)
    assert local_list.lookup(asked) == first
    assert compare(local_list, asked[1], 0) is not None


def test_a_clock_set_back_an_hour_never_lowers_an_epoch(local_list, app, clock):
    before = local_list.raise_epoch(app.subject())
    clock.now -= 3600
    assert local_list.raise_epoch(app.session()) > before


def test_a_raise_outranks_what_was_purged_before_the_clock_was_set_back(local_list, app, clock):
    scope = app.session()
    before = local_list.raise_epoch(scope)
    clock.now += RETENTION + 1
    assert local_list.purge() == 1
    assert epochs_of(local_list, scope) == (0,)
    clock.now -= RETENTION + 3600
    assert local_list.raise_epoch(scope) > before


def test_clear_all_raises_everything_and_leaves_the_birth(local_list, app):
    birth = birth_of(local_list, app)
    first = local_list.raise_epoch(app.everything)
    assert local_list.raise_epoch(app.everything) > first > 0
    assert birth_of(local_list, app) == birth


def test_compare_and_raise(local_list, app):
    scope = app.session()
    first = compare(local_list, scope, 0)
    assert first is not None
    assert epochs_of(local_list, scope) == (first,)
    assert compare(local_list, scope, 0) is None
    assert epochs_of(local_list, scope) == (first,)
    second = compare(local_list, scope, first)
    assert second is not None
    assert second > first


def test_compare_and_raise_to_the_last(local_list, app):
    scope = app.session()
    assert compare(local_list, scope, 0, last=True) == LAST_EPOCH
    assert compare(local_list, scope, LAST_EPOCH, last=True) is None
    assert compare(local_list, scope, LAST_EPOCH) is None
    assert epochs_of(local_list, scope) == (LAST_EPOCH,)


def test_nothing_passes_an_end(local_list, app):
    scope = app.session()
    local_list.end(scope)
    assert local_list.raise_epoch(scope) == LAST_EPOCH
    assert epochs_of(local_list, scope) == (LAST_EPOCH,)


def test_age_is_that_of_the_last_raise_and_of_the_first_end(local_list, app, clock):
    scope = app.session()
    assert age_of(local_list, scope) is None
    local_list.raise_epoch(scope)
    clock.now += 10
    assert age_of(local_list, scope) == pytest.approx(10)
    local_list.raise_epoch(scope)
    assert age_of(local_list, scope) == pytest.approx(0)
    clock.now += 5
    local_list.end(scope)
    clock.now += 7
    local_list.end(scope)
    assert age_of(local_list, scope) == pytest.approx(7)
    clock.now += 1_000_000
    assert age_of(local_list, scope) == pytest.approx(1_000_007, abs=0.001)


def test_age_goes_by_the_lists_own_clock_which_never_goes_back(local_list, app, clock):
    scope = app.session()
    local_list.end(scope)
    clock.now += 10
    local_list.end(app.session())
    clock.now -= 3600
    assert age_of(local_list, scope) == pytest.approx(10)
    assert age_of(local_list, app.session()) is None


def test_everything_has_an_age_too(local_list, app, clock):
    assert age_of(local_list, app.everything) is None
    local_list.raise_epoch(app.everything)
    clock.now += 3
    assert age_of(local_list, app.everything) == pytest.approx(3)
    local_list.raise_epoch(app.everything)
    assert age_of(local_list, app.everything) == pytest.approx(0)


def test_purge_takes_what_is_past_its_retention_and_nothing_else(local_list, app, clock):
    everything = local_list.raise_epoch(app.everything)
    old, raised_again, young = app.session(), app.session(), app.subject()
    local_list.end(old)
    local_list.raise_epoch(raised_again)
    clock.now += RETENTION - 1
    local_list.raise_epoch(young)
    kept = local_list.raise_epoch(raised_again)
    assert local_list.purge() == 0
    clock.now += 2
    assert local_list.purge() == 1
    assert local_list.purge() == 0
    assert epochs_of(local_list, old, raised_again, app.everything) == (0, kept, everything)
    clock.now += 10 * RETENTION
    assert local_list.purge() == 3  # and the checkpoint that was replaced
    assert epochs_of(local_list, app.everything) == (everything,)


def test_purge_reports_its_progress(local_list, app, clock):
    for _ in range(30):
        local_list.end(app.session())
    seen = []
    clock.now += RETENTION + 1
    assert local_list.purge(seen.append) == 30
    assert seen == sorted(seen)
    assert seen[-1] == 30


def test_expired_entries_go_by_themselves(local_list, app, clock):
    for _ in range(200):
        local_list.end(app.session())
    clock.now += RETENTION + 1
    for _ in range(30):
        local_list.end(app.session())
    assert local_list.survey(app.scopes.prefix).entries == 30


def test_expired_entries_go_from_between_live_ones_too(local_list, app, clock):
    live = [app.scopes.session(bytes([0, number]) + bytes(14)) for number in range(60)]
    old = [app.scopes.session(bytes([9, number]) + bytes(14)) for number in range(30)]
    for scope in old:
        local_list.end(scope)
    clock.now += RETENTION + 1
    for scope in live:
        local_list.end(scope)
    assert local_list.survey(app.scopes.prefix).entries == 60
    assert epochs_of(local_list, *old[:4]) == (0, 0, 0, 0)
    assert epochs_of(local_list, *live[:4]) == (LAST_EPOCH,) * 4


def test_applications_stay_apart(local_list, app, make_app, clock):
    other = make_app(cookie_name="other", absolute_age=100)
    local_list.bind(other.settings)
    session_id = bytes(16)
    here, there = app.scopes.session(session_id), other.scopes.session(session_id)
    local_list.end(here)
    local_list.raise_epoch(other.everything)
    assert epochs_of(local_list, there) == (0,)
    local_list.end(there)
    clock.now += 161
    assert local_list.purge() == 1
    assert epochs_of(local_list, here, there) == (LAST_EPOCH, 0)
    assert local_list.survey(other.scopes.prefix).entries == 0
    assert local_list.survey(app.scopes.prefix).entries == 1


def test_survey_tells_count_oldest_and_next_expiry(local_list, app, clock):
    birth_of(local_list, app)
    empty = local_list.survey(app.scopes.prefix)
    assert (empty.entries, empty.oldest, empty.next_expiry) == (0, None, None)
    local_list.end(app.session())
    first = clock.now
    clock.now += 100
    local_list.end(app.session())
    local_list.raise_epoch(app.subject())
    survey = local_list.survey(app.scopes.prefix)
    assert survey.entries == 3
    assert survey.oldest == pytest.approx(first)
    assert survey.next_expiry == pytest.approx(first + RETENTION)


def test_closing_twice_and_going_on(local_list, app):
    epoch = local_list.raise_epoch(app.everything)
    local_list.save()
    local_list.close()
    local_list.close()
    assert epochs_of(local_list, app.everything) == (epoch,)


def test_the_awaitable_twins_do_the_same(local_list, app, clock):
    scope = app.session()

    async def all_of_them():
        first = await local_list.araise_epoch(scope)
        second = await local_list.acompare_and_raise(scope, first, nonce=b"1")
        assert second is not None
        assert (await local_list.alookup((scope,))).epochs == (second,)
        assert await local_list.acompare_and_raise(scope, first, nonce=b"2", last=True) is None
        await local_list.aend(scope)
        standing = await local_list.alookup((scope,), fresh=False)
        assert (standing.epochs, standing.made) == ((LAST_EPOCH,), (standing.now,))
        witness = Witness(standing.birth, standing.birth, standing.now, 7)
        everything = await local_list.araise_if_forgotten(app.everything, witness)
        assert (await local_list.alookup((app.everything,))).epochs == (everything,)
        clock.now += RETENTION + 1
        assert await local_list.apurge() == 1
        await local_list.asave()
        await local_list.aclose()

    asyncio.run(all_of_them())


def test_threads_that_raise_at_once_all_get_numbers_of_their_own(local_list, app):
    scopes = [app.session() for _ in range(4)]
    start = threading.Barrier(8)

    def raise_some(number):
        start.wait()
        return [local_list.raise_epoch(scopes[(number + i) % 4]) for i in range(25)]

    with ThreadPoolExecutor(8) as pool:
        epochs = [epoch for some in pool.map(raise_some, range(8)) for epoch in some]
    assert len(set(epochs)) == 200
    assert max(epochs_of(local_list, *scopes)) == max(epochs)


def test_of_threads_that_compare_at_once_one_wins(local_list, app):
    scope = app.session()
    start = threading.Barrier(8)

    def race(_):
        start.wait()
        return compare(local_list, scope, 0)

    with ThreadPoolExecutor(8) as pool:
        won = [epoch for epoch in pool.map(race, range(8)) if epoch is not None]
    assert len(won) == 1
    assert epochs_of(local_list, scope) == tuple(won)


def test_threads_that_meet_a_new_list_agree_on_its_birth(local_list, app, caplog):
    start = threading.Barrier(8)

    def first_look(_):
        start.wait()
        return birth_of(local_list, app)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(first_look, range(8)))) == 1
    # A memory list is made when it is bound, before this test's own part.
    assert len([*caplog.get_records("setup"), *caplog.records]) == 1


def test_scopes_hold_a_digest_of_the_subject_and_no_more(app):
    scope = app.scopes.subject("alice@example.org")
    assert b"alice" not in scope
    assert len(scope) == PREFIX_BYTES + 1 + 32


def test_purge_goes_through_all_of_a_long_list(memory, app, clock):
    for number in range(2_500):
        memory.end(app.scopes.session(number.to_bytes(16, "big")))
    before = memory.purge()
    clock.now += RETENTION + 1
    assert (before, memory.purge()) == (0, 2_500)
    assert memory.survey(app.scopes.prefix).entries == 0
