"""Bounds and formats to the last unit in serializer, token and the local lists.

What the tests beside each module ask for in general, exactly: each was asked for by a change of the
code that no other test noticed (tests/MUTATION.md).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest

from duck_cookie_session import (
    InvalidArgument,
    MemoryRevocationList,
    RevocationList,
    RevocationListUnavailable,
    SessionSerializationError,
    SQLiteRevocationList,
)
from duck_cookie_session.revocation._counting import next_epoch
from duck_cookie_session.revocation._sqlite_file import explain
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.sqlite import FILE_NAME
from duck_cookie_session.token.format import MAX_DATA_BYTES, Claims, open_token, seal_token
from duck_cookie_session.token.keys import KeyRing
from duck_cookie_session.token.payload import pack, unpack
from tests.helpers import START, Clock, NetworkList, make_settings

SETTINGS = make_settings()
SCOPES = Scopes(SETTINGS)
RETENTION = SETTINGS.absolute_age + SETTINGS.clock_skew
RING = KeyRing.of(SETTINGS)
CLAIMS = Claims(bytes(16), 0, 60_000, 60_000, False, 0, 0, 5, None)

MakeList = Callable[[], RevocationList]


def session(number: int) -> bytes:
    return SCOPES.session(number.to_bytes(16, "big"))


def refusal(data: Any) -> str:
    with pytest.raises(SessionSerializationError) as caught:
        pack(data)
    return str(caught.value)


# Serializer


def nested(depth: int) -> Any:
    value: Any = object()
    for step in range(depth, 0, -1):
        value = {str(step): value}
    return value


def test_a_path_of_twelve_steps_is_whole_and_of_thirteen_loses_its_middle() -> None:
    steps = [f"['{step}']" for step in range(1, 14)]
    assert refusal(nested(12)).startswith("session" + "".join(steps[:12]) + " is of type")
    cut = "session" + "".join(steps[:8]) + "..." + "".join(steps[-2:])
    assert refusal(nested(13)).startswith(cut + " is of type")


def test_keys_in_a_path_are_shown_up_to_256_bits_and_80_characters() -> None:
    assert refusal({2**256 - 1: {1}, 5: object()}).startswith("session[5] ")
    assert refusal({2**256 - 1: object()}).startswith(f"session[{2**256 - 1}] ")
    assert refusal({2**256: object()}).startswith("session[<int of 257 bits>] ")
    assert refusal({"k" * 78: object()}).startswith(f"session['{'k' * 78}'] ")
    assert refusal({"k" * 79: object()}).startswith(f"session['{'k' * 76}...] ")


@pytest.mark.parametrize("bits", [64, 70, 71, 72, 78, 79, 80, 127, 128, 800])
def test_large_integers_take_as_few_bytes_as_hold_them(bits: int) -> None:
    for number in (2**bits, 2**bits + 1, 2 ** (bits + 1) - 1, -(2**bits) - 1, -(2**bits)):
        if -(2**63) <= number < 2**64:
            continue
        found = msgpack.unpackb(pack({"n": number}))["n"]
        size = len(found.data)
        assert int.from_bytes(found.data, "big", signed=True) == number
        with pytest.raises(OverflowError):
            number.to_bytes(size - 1, "big", signed=True)
        assert unpack(pack({"n": number})) == {"n": number}


# Token


def test_claims_at_their_largest() -> None:
    largest = Claims(
        b"\xff" * 16, 2**40 // 1000 * 1000, 2**48 - 1, 2**40 - 1, True, *[LAST_EPOCH] * 3, "s" * 300
    )
    assert open_token(RING, seal_token(RING, largest, b"\x80", 0)) == (largest, b"\x80", 0)


def test_no_character_but_padding_is_stripped_from_a_token() -> None:
    for _ in range(1_000):
        token = seal_token(RING, CLAIMS, b"\x80", 0)
        assert open_token(RING, token) == (CLAIMS, b"\x80", 0)


def test_as_much_as_can_be_inflated_is_deflated() -> None:
    assert len(seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES), 0, deflate=True)) < 4_096
    assert (
        len(seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES + 1), 0, deflate=True)) > MAX_DATA_BYTES
    )


def test_what_deflating_leaves_as_long_is_not_deflated() -> None:
    def deflated(data: bytes) -> int:
        squeezer = zlib.compressobj(wbits=-15)
        return len(squeezer.compress(data) + squeezer.flush())

    texts = (bytes(pair) * n for pair in itertools.product(b"abc", b"xyz") for n in range(1, 20))
    data = next(text for text in texts if deflated(text) == len(text))
    decrypted = RING.decrypt(_padded(seal_token(RING, CLAIMS, data, 0, deflate=True)))
    assert decrypted is not None
    assert decrypted[0].endswith(data)


def _padded(token: str) -> bytes:
    return token.encode() + b"=" * (-len(token) % 4)


# Scopes and what the base of all lists does


def test_a_subject_with_lone_surrogates_has_a_scope() -> None:
    assert SCOPES.subject("\ud800") != SCOPES.subject("\ud801")


class Recording(NetworkList):
    """A list across the network: its awaitable twins leave the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.calls: list[tuple[Any, ...]] = []

    def lookup(self, scopes: Any, *, fresh: bool = True) -> tuple[int, ...]:
        self.calls.append(("lookup", scopes, fresh, self._in_loop()))
        return super().lookup(scopes, fresh=fresh)

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        self.calls.append(("compare", scope, expected, last, self._in_loop()))
        return super().compare_and_raise(scope, expected, last=last)

    def age(self, scope: bytes) -> float | None:
        self.calls.append(("age", scope, self._in_loop()))
        return super().age(scope)

    @staticmethod
    def _in_loop() -> bool:
        return threading.current_thread() is threading.main_thread()


def test_the_twins_of_a_network_list_pass_on_what_they_were_given(clock: Clock) -> None:
    the_list = Recording(clock)
    the_list.bind(SETTINGS)
    scope = session(1)

    async def calls() -> None:
        assert await the_list.alookup((scope,)) == (0,)
        assert await the_list.alookup((scope,), fresh=False) == (0,)
        assert await the_list.acompare_and_raise(scope, 0) == START * 1_000_000
        assert await the_list.acompare_and_raise(scope, int(START * 1_000_000), last=True)
        clock.tick(2)
        assert await the_list.aage(scope) == pytest.approx(2, abs=1e-5)

    asyncio.run(calls())
    assert the_list.calls == [
        ("lookup", (scope,), True, False),
        ("lookup", (scope,), False, False),
        ("compare", scope, 0, False, False),
        ("compare", scope, int(START * 1_000_000), True, False),
        ("age", scope, False),
    ]


def test_the_twin_of_a_local_list_passes_on_whether_an_older_answer_will_do(clock: Clock) -> None:
    class Local(Recording):
        local = True

    the_list = Local(clock)
    the_list.bind(SETTINGS)
    asyncio.run(the_list.alookup((session(1),), fresh=False))
    asyncio.run(the_list.alookup((session(1),)))
    assert [call[2:] for call in the_list.calls] == [(False, True), (True, True)]


# How lists count


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


# Memory


def test_purging_thousands_tells_all_of_them(clock: Clock) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(SETTINGS)
    for number in range(2_000):
        the_list.end(session(number))
    clock.tick(RETENTION + 1)
    seen: list[int] = []
    assert the_list.purge(seen.append) == 2_000
    assert seen == [1_000, 2_000, 2_000]


def test_everything_rises_in_a_fork_even_when_the_clock_is_set_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(SETTINGS)
    (before,) = the_list.lookup((SCOPES.everything,))
    the_list.end(session(1))

    def fork() -> tuple[int, ...]:
        the_list.before_fork()
        the_list.after_fork()
        return the_list.lookup((SCOPES.everything, session(1)))

    clock.tick(-3_600)
    assert fork() == (before, LAST_EPOCH)
    child = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: child)
    in_child = fork()
    assert in_child[0] > before
    assert in_child[1] == 0
    assert fork() == in_child  # the child forks: it is the parent then


# SQLite


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "list"


@pytest.fixture
def sqlite(folder: Path, clock: Clock) -> Any:
    made = SQLiteRevocationList(folder, clock=clock, busy_timeout=0.05)
    made.bind(SETTINGS)
    yield made
    made.close()


def test_scopes_in_the_file(sqlite: SQLiteRevocationList, folder: Path) -> None:
    sqlite.end(session(1))
    connection = sqlite3.connect(folder / FILE_NAME)
    found = {row[0]: row[1:] for row in connection.execute("SELECT * FROM epochs")}
    connection.close()
    micros = int(START * 1_000_000)
    assert found[session(1)] == (LAST_EPOCH, micros)
    assert found[SCOPES.prefix + b"c"] == (micros, micros)
    assert found[SCOPES.prefix + b"r"] == (int(RETENTION * 1_000_000), micros)


def test_a_list_without_entries_tells_its_bytes(sqlite: SQLiteRevocationList, folder: Path) -> None:
    survey = sqlite.survey(SCOPES.prefix)
    assert survey.entries == 0
    assert survey.bytes is not None
    assert survey.bytes > 0


def test_another_thread_that_never_ends_its_write_is_named(sqlite: SQLiteRevocationList) -> None:
    sqlite.end(session(1))
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        sqlite.before_fork()  # holds off everybody
        holding.set()
        done.wait()
        sqlite.after_fork()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    try:
        with pytest.raises(
            RevocationListUnavailable,
            match=rf"{FILE_NAME} can't be used \(another thread is writing\): another program",
        ):
            sqlite.end(session(2))
    finally:
        done.set()
        thread.join()
    sqlite.end(session(2))


def test_a_file_that_is_replaced_at_every_commit_is_given_up(folder: Path) -> None:
    def replace() -> float:
        for path in folder.iterdir():
            path.unlink()
        return START

    the_list = SQLiteRevocationList(folder, clock=replace)
    the_list.bind(SETTINGS)
    with pytest.raises(
        RevocationListUnavailable, match=r"\(the file is being replaced again and again\)"
    ):
        the_list.end(session(1))
    the_list.close()


def test_an_error_that_says_enough_is_not_explained(tmp_path: Path) -> None:
    error = explain(tmp_path / "x", sqlite3.Error("odd"))
    assert str(error) == (
        f"The revocation list {tmp_path / 'x'} can't be used (odd): the error above says why."
    )


def test_what_can_not_be_read_names_the_file(folder: Path, clock: Clock) -> None:
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(b"junk" * 4096)
    the_list = SQLiteRevocationList(folder, clock=clock)
    the_list.bind(SETTINGS)
    calls = (the_list.age, the_list.end, lambda scope: the_list.lookup((scope,)))
    for call in calls:
        with pytest.raises(RevocationListUnavailable, match=FILE_NAME):
            call(session(1))
    the_list.close()


def test_a_writer_waits_for_another_one(sqlite: SQLiteRevocationList, folder: Path) -> None:
    sqlite.end(session(1))
    patient = SQLiteRevocationList(folder, busy_timeout=30)
    patient.bind(SETTINGS)
    raw = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=patient.end, args=(session(2),))
    thread.start()
    for _ in range(2_000):  # while it waits
        assert sqlite.lookup((session(2),)) == (0,)
    raw.execute("COMMIT")
    raw.close()
    thread.join()
    assert sqlite.lookup((session(2),)) == (LAST_EPOCH,)
    patient.close()


def test_a_raise_that_first_notices_an_emptied_file(
    sqlite: SQLiteRevocationList, folder: Path
) -> None:
    sqlite.end(session(1))
    (folder / FILE_NAME).write_bytes(b"")
    sqlite.end(session(2))
    assert sqlite.lookup((session(1), session(2))) == (0, LAST_EPOCH)


def test_a_raise_that_first_notices_another_file_does_not_mix_it_with_the_old_log(
    sqlite: SQLiteRevocationList, folder: Path, tmp_path: Path, clock: Clock
) -> None:
    other = SQLiteRevocationList(tmp_path / "other", clock=clock)
    other.bind(SETTINGS)
    other.end(session(3))
    other.close()
    sqlite.end(session(1))
    (tmp_path / "other" / FILE_NAME).replace(folder / FILE_NAME)
    sqlite.end(session(2))
    assert sqlite.lookup((session(1), session(2), session(3))) == (0, LAST_EPOCH, LAST_EPOCH)


def test_a_list_made_anew_reads_no_log_that_was_left_behind(
    sqlite: SQLiteRevocationList, folder: Path, tmp_path: Path, clock: Clock
) -> None:
    sqlite.lookup((SCOPES.everything,))
    sqlite.end(session(1))
    shutil.copytree(folder, tmp_path / "copy")
    sqlite.close()
    copy = tmp_path / "copy" / FILE_NAME
    copy.unlink()
    copy.with_name(FILE_NAME + "-journal").write_bytes(b"left")
    left = SQLiteRevocationList(tmp_path / "copy", clock=clock)
    left.bind(SETTINGS)
    assert left.lookup((session(1),)) == (0,)
    assert not copy.with_name(FILE_NAME + "-journal").exists()
    left.close()


def test_a_purge_goes_through_all_in_steps(
    sqlite: SQLiteRevocationList, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duck_cookie_session.revocation.sqlite._PURGED_AT_ONCE", 10)
    for number in range(25):
        sqlite.end(session(number))
    seen: list[int] = []
    assert sqlite.purge(seen.append) == 0
    assert seen == [10, 20, 25]


def test_raises_sweep_the_whole_list_in_turn(sqlite: SQLiteRevocationList, clock: Clock) -> None:
    for number in range(100, 130):
        sqlite.end(session(number))
    clock.tick(RETENTION - 1)
    for number in range(30):  # these come before the old ones, and stay
        sqlite.end(session(number))
    clock.tick(2)
    for _ in range(4):
        sqlite.raise_epoch(session(200))
    assert sqlite.survey(SCOPES.prefix).entries == 31


def test_entries_live_as_long_as_any_program_that_used_the_file_wants(
    folder: Path, clock: Clock
) -> None:
    for absolute_age in (2_000_000, 1_000_000):
        the_list = SQLiteRevocationList(folder, clock=clock)
        the_list.bind(make_settings(absolute_age=absolute_age, clock_skew=0))
        the_list.end(session(absolute_age))
        survey = the_list.survey(SCOPES.prefix)
        the_list.close()
    assert survey.next_expiry == START + 2_000_000


def test_folders_of_folders_are_made(tmp_path: Path) -> None:
    the_list = SQLiteRevocationList(tmp_path / "a" / "b" / "c")
    the_list.bind(SETTINGS)
    the_list.end(session(1))
    the_list.close()
    assert (tmp_path / "a" / "b" / "c" / FILE_NAME).exists()


def test_a_folder_that_is_none_is_refused_in_these_words() -> None:
    with pytest.raises(InvalidArgument) as caught:
        SQLiteRevocationList("")
    assert str(caught.value) == (
        "SQLiteRevocationList takes the path of a folder, not ''; under Duck it is the setting "
        "SESSION_DIR."
    )
