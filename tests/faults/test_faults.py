"""Machines fail: what was reported revoked stays revoked, and nobody else is logged out.

The lists' own tests (`tests/revocation`) disturb one list; here whole sessions go through it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable, SessionRevoked, SQLiteRevocationList
from duck_cookie_session.revocation.sqlite import FILE_NAME
from tests.helpers import Clock, Node

from .programs import open_node

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9, fork and limits are Unix")

HERE = Path(__file__).parent
LIMIT = 120
"""Seconds after which a program counts as stuck."""


def command(*arguments: object) -> list[str]:
    return [sys.executable, str(HERE / "programs.py"), *map(str, arguments)]


def run(*arguments: object, prefix: tuple[str, ...] = ()) -> list[Any]:
    """What a program told, after it ended well and said nothing on standard error."""
    # Without coverage: where nothing may be written, it could not write either, and would say so.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [*prefix, *command(*arguments)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=environment,
    )
    complaints = [line for line in done.stderr.splitlines() if "is new or has lost" not in line]
    assert (done.returncode, complaints) == (0, []), done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(lines: list[Any], name: str) -> list[Any]:
    return [line[name] for line in lines if name in line]


def check(folder: Path, lines: list[Any], *, at_least: int) -> None:
    """Ask anew, in this process: nothing is missing, nothing was lost, the file is sound."""
    assert told(lines, "believed") in ([], [0])
    assert told(lines, "lost") == told(lines, "wrong") == []
    revoked = told(lines, "revoked")
    assert len(revoked) >= at_least
    node = open_node(str(folder))
    try:
        assert [token for token in revoked if node.get_session(token) is not None] == []
        assert [token for token in told(lines, "kept") if node.get_session(token) is None] == []
    finally:
        node.close()
    sound(folder)


def sound(folder: Path) -> None:
    connection = sqlite3.connect(folder / FILE_NAME)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.mark.slow
def test_kill_9_in_a_revoke_loop_fifty_times(folder: Path) -> None:
    lines = run("killed", folder, 50)
    assert len(told(lines, "kept")) >= 40
    check(folder, lines, at_least=400)


# The disk


def test_file_size_limit_reached_and_lifted(folder: Path) -> None:
    folder.mkdir()
    lines = run("full", folder, "limit")
    _check_full(lines)
    check(folder, lines, at_least=20)


def test_disk_full_and_room_made(tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("no user namespaces here to mount a small tmpfs in; the file size limit is run")
    script = f'mount -t tmpfs -o size=384k tmpfs "{tmp_path}" && exec "$0" "$@"'
    _check_full(run("full", tmp_path, "disk", prefix=("unshare", "-rm", "sh", "-c", script)))


def _check_full(lines: list[Any]) -> None:
    (failed,), (after,) = told(lines, "failed"), told(lines, "after")
    assert failed is not None
    assert "disk" in failed
    assert after > 20
    assert told(lines, "believed") == [0]
    (live,) = told(lines, "live")
    assert live == {"a": 1} or "disk" in live  # served, or a 503: never an empty session
    assert told(lines, "again") == [None]


@pytest.fixture
def visible() -> Iterator[Path]:
    """A folder that another user may look into, with a list in it."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "sessions")
        Path(made).chmod(0o755)
        yield folder
        if folder.exists():
            folder.chmod(0o700)


@pytest.mark.parametrize("what", ["file", "folder", "missing"])
def test_read_only(visible: Path, what: str) -> None:
    node = open_node(str(visible))
    token = node.set_session(None, {"a": 1})
    node.close()
    file = visible / FILE_NAME
    if what == "missing":
        for path in visible.iterdir():
            path.unlink()
    else:
        file.chmod(0o444)
    visible.chmod(0o777 if what == "file" else 0o555)
    before = file.read_bytes() if file.exists() else None
    read, revoked, started = run("read_only", visible, token)
    # The session is served from what can be read, or there is an error; it is never empty.
    assert read == {"a": 1} or "can't be used" in read
    assert "can't be used" in revoked
    assert "write" in revoked
    assert started is None or "can't be used" in started
    assert (file.read_bytes() if file.exists() else None) == before


# The file


ERROR = "an error that says what to do"


def answer(call: Callable[[], object]) -> object:
    try:
        return call()
    except RevocationListUnavailable as error:
        text = str(error)
    assert "move it away" in text
    return ERROR


@pytest.fixture
def ended_and_live(make_node: Callable[..., Node], folder: Path) -> tuple[Node, str, str]:
    node = make_node(SQLiteRevocationList(folder))
    ended, live = node.start(a=1), node.start(b=2)
    node.connector.delete_session(ended)
    assert (node.read(ended), node.read(live)) == (None, {"b": 2})
    return node, ended, live


def test_a_deleted_file_logs_everybody_out_and_brings_nobody_back(
    ended_and_live: tuple[Node, str, str], folder: Path
) -> None:
    node, ended, live = ended_and_live
    for path in folder.iterdir():
        path.unlink()
    assert (node.read(ended), node.read(live)) == (None, None)
    session = node.request(live)
    session["c"] = 3
    session.save()
    assert node.read(session.session_key) == {"c": 3}
    node.connector.delete_session(session.session_key)
    assert node.read(session.session_key) is None


@pytest.mark.parametrize("content", [b"junk" * 8192, b"SQLite format 3\0" + b"\xff" * 8192])
@pytest.mark.parametrize("how", ["replaced", "overwritten"])
def test_junk_in_place_of_the_file_is_an_error_and_never_an_empty_session(
    ended_and_live: tuple[Node, str, str], folder: Path, content: bytes, how: str
) -> None:
    node, ended, live = ended_and_live
    file = folder / FILE_NAME
    if how == "replaced":
        other = folder / "other"
        other.write_bytes(content)
        other.replace(file)
    else:
        file.write_bytes(content)
    # Over an open file SQLite may still answer from its log, which holds the truth.
    allowed = (ERROR,) if how == "replaced" else (ERROR, {"b": 2})
    assert answer(lambda: node.read(live)) in allowed
    assert answer(lambda: node.read(ended)) in ((ERROR,) if how == "replaced" else (ERROR, None))
    if how == "replaced":
        assert answer(lambda: node.connector.delete_session(live)) is ERROR
        assert answer(lambda: node.connector.set_session(live, {"b": 3})) is ERROR
    for path in folder.iterdir():
        path.unlink()
    assert (node.read(ended), node.read(live)) == (None, None)
    assert node.read(node.start(c=3)) == {"c": 3}


# Many at once


@pytest.mark.slow
def test_32_threads_on_one_connector(make_node: Callable[..., Node], folder: Path) -> None:
    node = make_node(SQLiteRevocationList(folder, busy_timeout=60))
    shared = node.start(user="shared")

    def work(number: int) -> tuple[str, str, int]:
        won = 0
        kept = ended = ""
        for count in range(4):
            kept = node.connector.update_session(node.start(user=str(number)), {"n": count})
            ended = node.start(user=f"{number} ended")
            node.connector.delete_session(ended)
            assert node.read(ended) is None
            assert node.read(kept) == {"user": str(number), "n": count}
        session = node.request(shared)
        try:
            session.supersede()
            won = 1
        except SessionRevoked:
            pass
        return kept, ended, won

    with ThreadPoolExecutor(32) as pool:
        results = list(pool.map(work, range(32)))
    assert sum(won for *_, won in results) == 1
    assert all(node.read(kept) for kept, _, _ in results)
    assert not any(node.read(ended) for _, ended, _ in results)
    assert node.read(shared) is None


@pytest.mark.slow
def test_8_processes_that_start_on_a_folder_none_has_made(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            command("many", folder, 10), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    lines, made_anew = [], 0
    for process in processes:
        out, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, err
        made_anew += err.count("is new or has lost")
        lines += [json.loads(line) for line in out.splitlines()]
    assert made_anew == 1
    assert len(told(lines, "kept")) == 8 * 4 * 10
    check(folder, lines, at_least=8 * 4 * 10)


@pytest.mark.slow
def test_forks_in_mid_load(folder: Path) -> None:
    lines = run("forked", folder, 4)
    assert told(lines, "status") == [0] * 4
    assert len(told(lines, "kept")) == 5
    check(folder, lines, at_least=40)


@pytest.mark.parametrize("how", ["open", "closed"])
def test_interpreter_shutdown_with_work_in_flight(folder: Path, how: str) -> None:
    lines = run("shutdown", folder, how)
    check(folder, lines, at_least=17)


# Clocks


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_clock_that_is_stepped_by_an_hour(
    make_node: Callable[..., Node], folder: Path, clock: Clock, step: int
) -> None:
    node = make_node(SQLiteRevocationList(folder, clock=clock), clock=clock)
    steady = Clock(clock.now)
    other = make_node(SQLiteRevocationList(folder, clock=steady), clock=steady)
    ended, subject, live = node.start(a=1), node.start(user="bob"), node.start(user="eve")
    node.connector.delete_session(ended)
    node.connector.delete_subject("bob")
    clock.tick(step)
    for one in (node, other):
        assert (one.read(ended), one.read(subject)) == (None, None)
        assert one.read(live) == {"user": "eve"}
        again = one.start(user="bob")
        assert (node.read(again), other.read(again)) == ({"user": "bob"},) * 2
        one.connector.delete_subject("bob")
        assert (node.read(again), other.read(again)) == (None, None)
    node.connector.save()  # purges
    other.connector.save()
    clock.tick(-step)
    assert (node.read(ended), node.read(subject), node.read(live)) == (None, None, {"user": "eve"})
    session = node.request(live)
    session.supersede()
    session.save()
    assert (other.read(live), other.read(session.session_key)) == (None, {"user": "eve"})
    node.connector.clear_all_sessions()
    assert other.read(session.session_key) is None
    assert other.read(other.start(a=1)) == {"a": 1}
