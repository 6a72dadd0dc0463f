"""Writers of SQLiteRevocationList take turns, and nobody depends on theirs."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session.revocation.base import LAST_EPOCH
from duck_cookie_session.revocation.sqlite import FILE_NAME, SQLiteRevocationList
from tests.helpers import epochs_of, fork_unseen
from tests.revocation.conftest import App

fcntl = pytest.importorskip("fcntl", reason="files can't be locked like this on this system")

Make = Callable[..., SQLiteRevocationList]


@pytest.fixture
def turns(directory: Path) -> Path:
    directory.mkdir()
    return directory / f"{FILE_NAME}-turn"


def holder(turns: Path) -> subprocess.Popen[str]:
    """Another process whose turn it is, until it is killed."""
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('has it', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(turns)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "has it\n"
    return process


def put_an_end_to(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.communicate()


def is_free(turns: Path) -> bool:
    with turns.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


WRITE_WITHOUT_PAUSE = """
import os, sys
from duck_cookie_session import SessionSettings, SQLiteRevocationList
from duck_cookie_session.revocation.base import Scopes

settings = SessionSettings(secret_keys="a secret of forty characters, used in tests", audience="it")
scopes, the_list = Scopes(settings), SQLiteRevocationList(sys.argv[1], busy_timeout=60)
the_list.bind(settings)
count = 0
while True:
    the_list.end(scopes.session(os.urandom(16)))
    count += 1
    os.pwrite(1, count.to_bytes(8, "big"), 0)
"""


def test_whoever_has_just_written_is_not_first_again(
    make_sqlite: Make, directory: Path, app: App, tmp_path: Path
) -> None:
    """In a fair queue of four, four are written from one of ours to the next."""
    the_list = make_sqlite(busy_timeout=60)
    the_list.end(app.session())
    with contextlib.ExitStack() as stack:
        counts, processes = [], []
        for number in range(3):
            counts.append(stack.enter_context((tmp_path / f"count {number}").open("w+b")))
            command = [sys.executable, "-c", WRITE_WITHOUT_PAUSE, str(directory)]
            processes.append(subprocess.Popen(command, stdout=counts[-1]))
            stack.callback(put_an_end_to, processes[-1])

        def written() -> list[int]:
            return [int.from_bytes(os.pread(count.fileno(), 8, 0), "big") for count in counts]

        while not all(written()):
            assert {process.poll() for process in processes} == {None}

        def most_passed() -> float:
            """How many went ahead of 19 in 20 of ours."""
            passed = []
            for _ in range(100):
                before = sum(written())
                the_list.end(app.session())
                passed.append(sum(written()) - before)
            return statistics.quantiles(passed, n=20)[-1]

        # A busy machine may stop this process between counting and writing: the best of three.
        assert min(most_passed() for _ in range(3)) < 7


def test_whoever_has_seen_others_in_line_gives_them_time(
    make_sqlite: Make, turns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, gave = make_sqlite()._writer._queue, []
    monkeypatch.setattr("time.sleep", gave.append)
    process = holder(turns)
    queue.look()
    put_an_end_to(process)
    queue.turn().end()
    assert len(gave) == 1
    queue.look()
    queue.turn().end()
    assert len(gave) == 1


def test_one_process_empties_the_log(
    make_sqlite: Make, app: App, turns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others write on; whoever finds nobody at it does it next."""
    monkeypatch.setattr("duck_cookie_session.revocation._sqlite_file._LONG_LOG", 80_000)
    the_list = make_sqlite()
    the_list.end(app.session())
    log = turns.with_name(f"{FILE_NAME}-wal")
    process = holder(log)
    for _ in range(30):
        the_list.end(app.session())
    assert log.stat().st_size > 160_000
    put_an_end_to(process)
    the_list.end(app.session())
    assert log.stat().st_size == 0


def test_the_turn_of_a_killed_process_is_over(make_sqlite: Make, app: App, turns: Path) -> None:
    process = holder(turns)
    patient, ended = make_sqlite(busy_timeout=600), app.session()
    patient._writer._queue._patience = 300
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(patient.end, ended)
        put_an_end_to(process)
        waiting.result(60)
    assert epochs_of(patient, ended) == (LAST_EPOCH,)
    assert is_free(turns)


def test_nobody_waits_for_ever_for_one_that_is_stuck(
    make_sqlite: Make, app: App, turns: Path
) -> None:
    process = holder(turns)
    try:
        the_list, ended = make_sqlite(busy_timeout=20), app.session()
        the_list.end(ended)  # after a second
        start = time.monotonic()
        for _ in range(20):  # at once: one that waits is enough
            the_list.end(app.session())
        assert time.monotonic() - start < 20
        assert epochs_of(the_list, ended) == (LAST_EPOCH,)
    finally:
        put_an_end_to(process)


def test_a_turn_ends_though_a_child_has_a_copy_of_it(make_sqlite: Make, turns: Path) -> None:
    queue = make_sqlite()._writer._queue
    reading, writing = os.pipe()
    turn = queue.turn()
    child = fork_unseen()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent is done
        os._exit(0)
    assert not is_free(turns)
    turn.end()
    turn.end()
    assert is_free(turns)
    os.close(writing)
    os.close(reading)
    os.waitpid(child, 0)


def test_it_writes_where_there_are_no_turns(make_sqlite: Make, app: App, turns: Path) -> None:
    turns.mkdir()  # can't be opened
    the_list, ended = make_sqlite(), app.session()
    the_list.end(ended)
    assert epochs_of(the_list, ended) == (LAST_EPOCH,)


def test_no_turn_is_left_over(make_sqlite: Make, app: App, turns: Path) -> None:
    lists = [make_sqlite(busy_timeout=60) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: lists[number % 2].end(app.session()), range(200)))
    assert lists[0].survey(app.scopes.prefix).entries == 200
    assert is_free(turns)
