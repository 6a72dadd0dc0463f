"""The history that the memory list and the SQLite list keep, to the last unit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import MemoryRevocationList, RevocationList, SQLiteRevocationList
from duck_cookie_session.revocation._history import History, Nonces
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes, Standing, Witness
from duck_cookie_session.revocation.sqlite import FILE_NAME
from tests.helpers import DAY, START, Clock, age_of, epochs_of, make_settings

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
RETENTION = SETTINGS.absolute_age + SETTINGS.clock_skew

MakeList = Callable[[], RevocationList]


def session(number: int) -> bytes:
    return SCOPES.session(number.to_bytes(16, "big"))


HISTORY = History(birth=1, checkpoint=2, made=50_000_000, clock=50_000_003)


@pytest.mark.parametrize(
    ("now", "last", "standing", "expected"),
    [(5, 0, 0, 5), (0, 7, 0, 8), (0, 0, 7, 8), (9, 9, 9, 10), (LAST_EPOCH + 5, 0, 0, LAST_EPOCH)],
)
def test_the_next_number(now: int, last: int, standing: int, expected: int) -> None:
    history = HISTORY._replace(clock=last)
    assert history.raised(now, standing, elsewhere=False)[0].clock == expected


@pytest.mark.parametrize(
    ("seconds", "elsewhere", "renewed"),
    [
        (0, False, False),
        (9.999999, False, False),
        (-9.999999, False, False),
        (10, False, True),
        (-10, False, True),  # clocks set back count as well
        (0, True, True),
    ],
)
def test_a_raise_makes_a_checkpoint_before_it_draws_its_number(
    seconds: float, elsewhere: bool, renewed: bool
) -> None:
    now = HISTORY.made + int(seconds * 1_000_000)
    after, replaced = HISTORY.raised(now, 0, elsewhere=elsewhere)
    assert (after.checkpoint != HISTORY.checkpoint, replaced) == (
        renewed,
        HISTORY if renewed else None,
    )
    assert after.made == (now if renewed else HISTORY.made)
    assert after.birth == HISTORY.birth
    assert after.clock > HISTORY.clock  # so the reach of the one before is closed for good


def test_a_checkpoint_under_which_no_number_was_given_out_is_not_kept() -> None:
    begun = History.begun(5, keeps_birth=True)
    assert begun.raised(5, 0, elsewhere=True)[1] is None


def test_without_a_birth_there_are_no_checkpoints() -> None:
    begun = History.begun(5, keeps_birth=False)
    assert begun == (0, 0, 5, 0, 0)
    assert begun.raised(50_000_000, 0, elsewhere=True) == (begun._replace(clock=50_000_000), None)


def test_nonces_are_kept_by_the_thousand() -> None:
    nonces = Nonces()
    for number in range(2_000):
        nonces.keep(number.to_bytes(16, "big"), number)
    kept = [number for number in range(2_000) if number.to_bytes(16, "big") in nonces]
    assert kept == list(range(2_000 - 1_024, 2_000))
    assert nonces.answer((1_999).to_bytes(16, "big")) == 1_999


@pytest.fixture(params=["memory", "sqlite"])
def make_list(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Any:
    """Makes lists of one kind; those of SQLite over one file."""
    made: list[RevocationList] = []

    def make() -> RevocationList:
        one: RevocationList = (
            MemoryRevocationList(clock)
            if request.param == "memory"
            else SQLiteRevocationList(tmp_path / "list", clock=clock)
        )
        one.bind(SETTINGS)
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


def test_a_clock_that_stands_at_0_still_counts(make_list: MakeList, clock: Clock) -> None:
    clock.now = 0
    the_list = make_list()
    assert [the_list.raise_epoch(session(1)) for _ in range(3)] == [1, 2, 3]
    the_list.end(session(2))
    assert the_list.compare_and_raise(session(3), 0, nonce=b"1", last=True) == LAST_EPOCH
    assert the_list.raise_epoch(session(4)) == 6


def test_what_is_not_there_stands_at_0_however_often_it_is_asked(make_list: MakeList) -> None:
    the_list = make_list()
    for _ in range(3):
        assert epochs_of(the_list, session(1), session(2)) == (0, 0)


def test_ages_to_the_microsecond(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    clock.tick(1_000_000.5)
    assert age_of(the_list, session(1)) == pytest.approx(1_000_000.5, abs=1e-6)


def test_the_list_s_time_is_never_behind_a_number_that_it_gave_out(
    make_list: MakeList, clock: Clock
) -> None:
    the_list = make_list()
    the_list.raise_epoch(SCOPES.everything)
    clock.tick(-10)
    assert age_of(the_list, SCOPES.everything) == 0
    clock.tick(10)
    the_list.end(session(1))
    clock.tick(50)
    the_list.end(session(2))
    clock.tick(-1_000)
    assert age_of(the_list, session(1)) == pytest.approx(50, abs=1e-5)
    assert age_of(the_list, session(2)) == 0


def test_a_raise_leaves_an_ended_session_as_it_was(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    clock.tick(10)
    the_list.end(session(1))
    assert the_list.raise_epoch(session(1)) == LAST_EPOCH
    assert age_of(the_list, session(1)) == pytest.approx(10, abs=1e-5)


def test_an_entry_lives_for_its_retention_and_not_longer(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    assert the_list.survey(SCOPES.prefix).oldest == START
    assert the_list.survey(SCOPES.prefix).next_expiry == START + RETENTION
    clock.tick(RETENTION)
    assert the_list.purge() == 0
    clock.tick(0.001)
    assert the_list.purge() == 1


def standing_of(the_list: RevocationList, checkpoint: int = 0) -> Standing:
    return the_list.lookup((SCOPES.everything,), checkpoint=checkpoint)


def witness_of(standing: Standing) -> Witness:
    """What a token says that is sealed now."""
    checkpoint = standing.checkpoint if standing.reach else 0
    return Witness(standing.birth, checkpoint, standing.reach, standing.epochs[0])


def test_a_checkpoint_every_ten_seconds_and_the_reach_of_each(
    make_list: MakeList, clock: Clock
) -> None:
    the_list = make_list()
    the_list.lookup((session(1),))
    seen: list[tuple[int, int]] = []
    for _ in range(6):
        the_list.end(session(len(seen)))
        standing = standing_of(the_list)
        seen.append((standing.checkpoint, standing.reach))
        clock.tick(4)
    names = [name for name, _ in seen]
    assert len(dict.fromkeys(names)) == 2  # one at 0 s, one from 12 s on
    for name, reach in dict(seen).items():
        assert standing_of(the_list, name).asked_reach == reach
    assert standing_of(the_list, 12_345).asked_reach is None
    assert standing_of(the_list).asked_reach == 0


def test_a_replaced_checkpoint_lives_as_long_as_entries_do_and_the_newest_for_ever(
    make_list: MakeList, clock: Clock
) -> None:
    the_list = make_list()
    the_list.end(session(1))
    first = standing_of(the_list)
    clock.tick(RETENTION / 2)
    the_list.end(session(2))  # replaces it
    clock.tick(RETENTION)
    assert the_list.purge() == 1  # session 1
    assert standing_of(the_list, first.checkpoint).asked_reach == first.reach
    clock.tick(1)
    assert the_list.purge() == 2
    assert standing_of(the_list, first.checkpoint).asked_reach is None
    clock.tick(365 * DAY)
    newest = standing_of(the_list)
    assert standing_of(the_list, newest.checkpoint).asked_reach == newest.reach > first.reach


def test_a_purge_while_the_clock_was_ahead_makes_no_proof(
    make_list: MakeList, clock: Clock
) -> None:
    """It took a checkpoint before its time, by the clock that was set back since."""
    the_list = make_list()
    the_list.end(session(1))
    sealed = witness_of(standing_of(the_list))
    clock.tick(20)
    the_list.end(session(2))
    clock.tick(RETENTION + 1_800)
    assert the_list.purge() == 3
    clock.tick(-3_600)
    standing = standing_of(the_list, sealed.checkpoint)
    assert standing.asked_reach is None
    assert sealed.reach < standing.now - RETENTION * 1_000_000
    assert the_list.raise_if_forgotten(SCOPES.everything, sealed) is None


def test_no_honest_token_is_proof(make_list: MakeList, clock: Clock) -> None:
    """Whatever was sealed under this list, and when: clocks set forth and back, purges."""
    the_list = make_list()
    standing = standing_of(the_list)
    sealed = [witness_of(standing)]
    for number, seconds in enumerate((0, 1, 9, 11, -3_600, 3_600, -40, 7_200, RETENTION, 1, 0)):
        clock.tick(seconds)
        the_list.end(session(number))
        if number == 5:
            the_list.raise_epoch(SCOPES.everything)
        sealed.append(witness_of(standing_of(the_list)))
        the_list.purge()
        assert [the_list.raise_if_forgotten(SCOPES.everything, one) for one in sealed] == [
            None for _ in sealed
        ]


@pytest.mark.parametrize("everything", [0, START * 1_000_000 + 3_600_000_000])
def test_proof_raises_everything_above_list_and_token_once(
    make_list: MakeList, clock: Clock, everything: float
) -> None:
    the_list = make_list()
    the_list.end(session(1))
    standing = standing_of(the_list)
    proof = Witness(standing.birth, standing.checkpoint, standing.reach + 1, int(everything))
    clock.tick(1)
    raised = the_list.raise_if_forgotten(SCOPES.everything, proof)
    assert raised is not None
    assert raised > max(standing.now, everything)
    assert epochs_of(the_list, SCOPES.everything) == (raised,)
    assert the_list.raise_if_forgotten(SCOPES.everything, proof) is None
    assert epochs_of(the_list, SCOPES.everything) == (raised,)


def test_applications_have_histories_of_their_own(make_list: MakeList) -> None:
    the_list = make_list()
    other_settings = make_settings(audience="other")
    the_list.bind(other_settings)
    other = Scopes(other_settings).everything
    the_list.end(session(1))
    here, there = standing_of(the_list), the_list.lookup((other,))
    assert here.birth != there.birth
    assert there.reach == 0
    assert the_list.lookup((other,), checkpoint=here.checkpoint).asked_reach is None
    proof = Witness(there.birth, here.checkpoint, here.reach, 0)
    assert the_list.raise_if_forgotten(other, proof)
    assert epochs_of(the_list, SCOPES.everything) == (0,)


def test_the_same_nonce_gets_the_same_answer_and_changes_nothing(make_list: MakeList) -> None:
    the_list = make_list()
    first = the_list.compare_and_raise(session(1), 0, nonce=b"1")
    assert first
    assert the_list.compare_and_raise(session(1), 0, nonce=b"2") is None
    second = the_list.compare_and_raise(session(1), first, nonce=b"3")
    assert second
    assert the_list.compare_and_raise(session(1), 0, nonce=b"1") == first
    assert the_list.compare_and_raise(session(1), second, nonce=b"2") is None
    assert epochs_of(the_list, session(1)) == (second,)


def test_an_entry_may_get_a_value_instead_of_a_number(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    device = SCOPES.prefix + b"b" + bytes(16)
    assert the_list.compare_and_raise(device, 0, nonce=b"1", value=77) == 77
    assert the_list.compare_and_raise(device, 0, nonce=b"2", value=78) is None
    clock.tick(2)
    standing = the_list.lookup((device,))
    assert (standing.epochs, standing.made) == ((77,), (int(START * 1_000_000),))
    assert the_list.raise_epoch(session(1)) == standing.now  # the clock went on by itself


def test_a_new_birth_begins_a_history_that_the_clock_outlives(
    make_list: MakeList, clock: Clock
) -> None:
    the_list = make_list()
    the_list.end(session(1))
    before = standing_of(the_list)
    sealed = witness_of(before)
    birth = the_list.new_birth(SCOPES.prefix)
    clock.tick(-3_600)
    after = standing_of(the_list, birth)
    assert birth not in (0, before.birth)
    assert (after.birth, after.checkpoint, after.asked_reach) == (birth, birth, before.reach)
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)
    beyond = sealed._replace(reach=sealed.reach + 1, everything=LAST_EPOCH - 1)
    assert the_list.raise_if_forgotten(SCOPES.everything, beyond) is None
    assert the_list.raise_epoch(session(2)) > before.reach


def test_bound_again_everything_stays(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    before = the_list.lookup((SCOPES.everything,))
    clock.tick(5)
    the_list.bind(SETTINGS)
    assert standing_of(the_list) == replace(before, now=before.now + 5_000_000)


def test_the_warning_of_a_new_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    refuse = "every session issued before is refused"
    accept = "sessions that were revoked before are accepted again (on_lost='accept')"
    for on_lost, what in (("refuse", refuse), ("accept", accept)):
        settings = make_settings(on_lost=on_lost)
        MemoryRevocationList().bind(settings)
        the_list = SQLiteRevocationList(tmp_path / on_lost)
        the_list.bind(settings)
        the_list.lookup((SCOPES.everything,))
        the_list.close()
        for where in ("memory", str(tmp_path / on_lost / FILE_NAME)):
            record = caplog.records.pop(0)
            assert record.getMessage() == (
                f"The revocation list in {where} is new or has lost its entries: {what}. "
                "At a first start this is as it should be."
            )
