"""How the memory list and the SQLite list count, to the last unit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from duck_cookie_session.revocation._counting import next_epoch

from duck_cookie_session import MemoryRevocationList, RevocationList, SQLiteRevocationList
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.sqlite import FILE_NAME
from tests.helpers import START, Clock, make_settings

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
RETENTION = SETTINGS.absolute_age + SETTINGS.clock_skew

MakeList = Callable[[], RevocationList]


def session(number: int) -> bytes:
    return SCOPES.session(number.to_bytes(16, "big"))


@pytest.mark.parametrize(
    ("now", "last", "standing", "expected"),
    [(5, 0, 0, 5), (0, 7, 0, 8), (0, 0, 7, 8), (9, 9, 9, 10), (LAST_EPOCH + 5, 0, 0, LAST_EPOCH)],
)
def test_the_next_epoch(now: int, last: int, standing: int, expected: int) -> None:
    assert next_epoch(now, last, standing) == expected


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
    assert the_list.compare_and_raise(session(3), 0, last=True) == LAST_EPOCH
    assert the_list.raise_epoch(session(4)) == 6


def test_what_is_not_there_stands_at_0_however_often_it_is_asked(make_list: MakeList) -> None:
    the_list = make_list()
    for _ in range(3):
        assert the_list.lookup((session(1), session(2))) == (0, 0)


def test_ages_to_the_microsecond(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    clock.tick(1_000_000.5)
    assert the_list.age(session(1)) == pytest.approx(1_000_000.5, abs=1e-6)


def test_ages_are_by_the_clock_of_the_list_which_never_goes_back(
    make_list: MakeList, clock: Clock
) -> None:
    the_list = make_list()
    the_list.lookup((SCOPES.everything,))
    clock.tick(-10)
    assert the_list.age(SCOPES.everything) == 0
    clock.tick(10)
    the_list.end(session(1))
    clock.tick(50)
    the_list.end(session(2))
    clock.tick(-1_000)
    assert the_list.age(session(1)) == pytest.approx(50, abs=1e-5)
    assert the_list.age(session(2)) == 0


def test_a_raise_leaves_an_ended_session_as_it_was(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    clock.tick(10)
    the_list.end(session(1))
    assert the_list.raise_epoch(session(1)) == LAST_EPOCH
    assert the_list.age(session(1)) == pytest.approx(10, abs=1e-5)


def test_an_entry_lives_for_its_retention_and_not_longer(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    the_list.end(session(1))
    assert the_list.survey(SCOPES.prefix).oldest == START
    assert the_list.survey(SCOPES.prefix).next_expiry == START + RETENTION
    clock.tick(RETENTION)
    assert the_list.purge() == 0
    clock.tick(0.001)
    assert the_list.purge() == 1


def test_bound_again_everything_stays(make_list: MakeList, clock: Clock) -> None:
    the_list = make_list()
    before = the_list.lookup((SCOPES.everything,))
    clock.tick(5)
    the_list.bind(SETTINGS)
    assert the_list.lookup((SCOPES.everything,)) == before


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
