"""SQLiteRevocationList: its file, its processes, and what happens when the file is harmed."""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from duck_cookie_session.errors import InvalidArgument, RevocationListUnavailable
from duck_cookie_session.revocation._sqlite_file import explain
from duck_cookie_session.revocation._sqlite_log import make_room
from duck_cookie_session.revocation.base import LAST_EPOCH, MOST_SCOPES, Scopes, Witness
from duck_cookie_session.revocation.sqlite import FILE_NAME, SQLiteRevocationList
from duck_cookie_session.settings import SessionSettings
from tests.helpers import START, Clock, compare, epochs_of, fork_unseen, make_settings

SETTINGS = SessionSettings(secret_keys="s" * 32)
SCOPES = Scopes(SETTINGS)
RETENTION = 2_592_000 + 60
SPAWN = multiprocessing.get_context("spawn")


def file_of(directory):
    return directory / "revocations.sqlite3"


def open_list(directory, **arguments):
    """A list in another process, on the real clock."""
    made = SQLiteRevocationList(directory, **arguments)
    made.bind(SETTINGS)
    return made


def birth_of(the_list):
    return the_list.lookup((SCOPES.everything,)).birth


def session(number):
    return SCOPES.session(number.to_bytes(16, "big"))


# The file


def test_a_folder_must_be_named():
    with pytest.raises(TypeError):
        SQLiteRevocationList()
    for wrong in (None, "", 7, b""):
        with pytest.raises(InvalidArgument, match="SESSION_DIR"):
            SQLiteRevocationList(wrong)


def test_folder_and_file_are_for_the_owner_only(make_sqlite, directory):
    before = os.umask(0)
    try:
        make_sqlite().end(session(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    names = {path.name for path in directory.iterdir()}
    assert names >= {"revocations.sqlite3", "revocations.sqlite3-wal"}
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_building_touches_nothing(directory):
    SQLiteRevocationList(directory)
    assert not directory.exists()


def test_the_folder_stays_the_same_when_the_process_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    the_list = open_list("here")
    monkeypatch.chdir("/")
    the_list.end(session(1))
    the_list.close()
    assert file_of(tmp_path / "here").exists()


def test_a_second_list_over_the_file_sees_every_raise_at_once(make_sqlite, clock):
    one, two = make_sqlite(), make_sqlite()
    assert birth_of(one) == birth_of(two)
    for number in range(5):
        epoch = one.raise_epoch(session(number))
        assert epochs_of(two, session(number)) == (epoch,)
        later = compare(two, session(number), epoch)
        assert later is not None
        assert epochs_of(one, session(number)) == (later,)


def test_entries_outlive_the_list(make_sqlite):
    the_list = make_sqlite()
    epoch = the_list.raise_epoch(session(1))
    before = the_list.lookup((session(1), SCOPES.everything))
    assert before.epochs == (epoch, 0)
    the_list.close()
    assert make_sqlite().lookup((session(1), SCOPES.everything)) == before


def test_survey_tells_the_bytes_of_the_files(make_sqlite, directory):
    the_list = make_sqlite()
    assert the_list.survey(SCOPES.prefix).bytes > 0
    the_list.end(session(1))
    told = the_list.survey(SCOPES.prefix).bytes
    names = ("revocations.sqlite3", "revocations.sqlite3-wal")
    assert told == sum((directory / name).stat().st_size for name in names)


@pytest.mark.slow
def test_it_remembers_a_bounded_number_of_answers(make_sqlite):
    the_list = make_sqlite()
    ended = session(2**100)
    the_list.end(ended)
    for number in range(17_000):
        assert epochs_of(the_list, session(number), ended) == (0, LAST_EPOCH)
    assert sum(len(reader.known) for reader in the_list._readers._all) <= 4_100


def test_a_file_of_a_newer_format_is_refused(make_sqlite, directory):
    the_list = make_sqlite()
    the_list.end(session(1))
    the_list.close()
    with sqlite3.connect(file_of(directory)) as raw:
        raw.execute("PRAGMA user_version = 4")
    raw.close()
    with pytest.raises(RevocationListUnavailable, match="newer version"):
        birth_of(the_list)


def test_any_number_of_scopes_in_one_lookup(make_sqlite):
    the_list = make_sqlite()
    epochs = [the_list.raise_epoch(session(number)) for number in range(6)]
    assert epochs_of(the_list, *[session(number) for number in range(6)]) == tuple(epochs)
    assert epochs_of(the_list, *[session(number) for number in range(MOST_SCOPES)])[:6] == tuple(
        epochs
    )


# Lost


@pytest.mark.parametrize("how", ["removed", "all removed", "folder removed", "emptied", "replaced"])
def test_a_list_that_was_lost_is_made_anew_and_differs(make_sqlite, directory, clock, caplog, how):
    the_list, other = make_sqlite(), make_sqlite()
    before = birth_of(the_list)
    the_list.end(session(1))
    assert birth_of(other) == before
    other.end(session(2))
    file = file_of(directory)
    caplog.clear()
    if how == "removed":
        file.unlink()
    elif how == "all removed":
        for path in directory.iterdir():
            path.unlink()
    elif how == "folder removed":
        shutil.rmtree(directory)
    elif how == "emptied":
        os.truncate(file, 0)
    else:
        new = directory / "new"
        sqlite3.connect(new).execute("VACUUM").connection.close()
        new.replace(file)
    after = birth_of(the_list)
    assert after != before
    assert birth_of(other) == after
    assert epochs_of(the_list, session(1), session(2)) == (0, 0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(file) in record.getMessage()
    # Both go on, in the new file.
    epoch = other.raise_epoch(session(3))
    assert epochs_of(the_list, session(3)) == (epoch,)
    assert epochs_of(make_sqlite(), session(3)) == (epoch,)
    assert birth_of(make_sqlite()) == after


def test_a_raise_right_after_the_loss_goes_to_the_new_file(make_sqlite, directory):
    the_list, other = make_sqlite(), make_sqlite()
    before = birth_of(the_list)
    birth_of(other)
    the_list.end(session(0))
    file_of(directory).unlink()
    the_list.end(session(1))
    assert epochs_of(other, session(1)) == (LAST_EPOCH,)
    assert birth_of(other) != before
    other.end(session(2))
    assert epochs_of(the_list, session(1), session(2)) == (LAST_EPOCH, LAST_EPOCH)


def test_a_raise_right_after_the_file_was_emptied_goes_to_a_new_one(make_sqlite, directory):
    the_list = make_sqlite()
    before = birth_of(the_list)
    the_list.end(session(0))
    os.truncate(file_of(directory), 0)
    the_list.end(session(1))
    other = make_sqlite()
    assert epochs_of(other, session(0), session(1)) == (0, LAST_EPOCH)
    assert birth_of(other) != before


def test_a_raise_is_done_again_if_the_file_went_while_it_was_committed(make_sqlite, directory):
    the_list = make_sqlite()
    the_list.end(session(0))
    gone = []

    def clock_that_removes_the_file():
        if not gone:
            gone.append(file_of(directory).unlink())
        return 1_800_000_000.0

    the_list._clock = clock_that_removes_the_file
    the_list.end(session(1))
    assert gone
    assert epochs_of(make_sqlite(), session(1)) == (LAST_EPOCH,)


def test_a_list_put_aside_and_back_is_itself_again(make_sqlite, directory, tmp_path):
    the_list = make_sqlite()
    before = birth_of(the_list)
    the_list.end(session(1))
    the_list.close()
    directory.rename(tmp_path / "aside")
    assert birth_of(the_list) != before
    the_list.close()
    shutil.rmtree(directory)
    (tmp_path / "aside").rename(directory)
    assert birth_of(the_list) == before
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)


# Harmed


def refuses(the_list, words):
    """Every kind of call says that the list can't be used, and how to mend it."""
    calls = (
        lambda: the_list.lookup((session(99), SCOPES.everything)),
        lambda: the_list.raise_epoch(session(1)),
        lambda: compare(the_list, session(1), 0),
        lambda: the_list.end(session(1)),
        lambda: the_list.raise_if_forgotten(SCOPES.everything, Witness(1, 2, 3, 4)),
        lambda: the_list.new_birth(SCOPES.prefix),
        lambda: the_list.purge(),
        lambda: the_list.survey(SCOPES.prefix),
    )
    for call in calls:
        with pytest.raises(RevocationListUnavailable, match=words) as caught:
            call()
        assert isinstance(caught.value.__cause__, (OSError, sqlite3.Error))


@pytest.mark.parametrize("content", [b"junk", b"junk " * 4000, bytes(8192)])
def test_junk_in_place_of_the_file(make_sqlite, directory, content):
    the_list = make_sqlite()
    birth_of(the_list)
    the_list.end(session(1))
    junk = directory / "junk"
    junk.write_bytes(content)
    junk.replace(file_of(directory))
    refuses(the_list, "move it away together with its -wal and -shm")
    for path in directory.iterdir():
        path.unlink()
    the_list.end(session(2))
    assert epochs_of(the_list, session(1), session(2)) == (0, LAST_EPOCH)


def test_junk_before_the_first_use(make_sqlite, directory):
    directory.mkdir()
    file_of(directory).write_bytes(b"this is not a database\n" * 100)
    refuses(make_sqlite(), "move it away")


def test_junk_written_over_the_open_file_is_no_wrong_answer(make_sqlite, directory):
    the_list = make_sqlite()
    for number in range(500):
        the_list.end(session(number))
    with sqlite3.connect(file_of(directory)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    # By another program: closing a file here would drop the locks that SQLite has on it.
    script = """
    import os, sys
    with open(sys.argv[1], "r+b") as file:
        file.write(b"junk" * (os.stat(sys.argv[1]).st_size // 4))
    """
    in_a_process(script, file_of(directory))
    refuses(the_list, "can't be used")


def test_another_database_in_place_of_the_file(make_sqlite, directory):
    directory.mkdir()
    raw = sqlite3.connect(file_of(directory))
    raw.execute("CREATE TABLE epochs (something TEXT)")
    raw.close()
    refuses(make_sqlite(), "move it away")


def test_the_folder_is_a_file(make_sqlite, directory):
    directory.write_text("not a folder")
    the_list = make_sqlite()
    refuses(the_list, "must lead to a folder")
    directory.unlink()
    the_list.end(session(1))
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is Linux's")
@pytest.mark.parametrize("folder", ["/proc", "/proc/sessions", "/proc/a/b"])
def test_the_folder_can_not_be_made(app, folder):
    the_list = SQLiteRevocationList(folder)
    the_list.bind(app.settings)
    # Where nobody may make anything root is told so, and others that they may not write.
    refuses(the_list, "can't be made there" if os.getuid() == 0 else "let the user of this process")


def test_the_advice_does_not_go_by_the_name_of_the_folder(app, tmp_path):
    folder = tmp_path / "full and locked"
    folder.write_text("not a folder")
    the_list = SQLiteRevocationList(folder)
    the_list.bind(app.settings)
    refuses(the_list, "must lead to a folder")


def test_the_file_is_a_folder(make_sqlite, directory):
    file_of(directory).mkdir(parents=True)
    refuses(make_sqlite(), "can't be used")


def test_another_program_holds_the_file(make_sqlite, directory):
    the_list = make_sqlite(busy_timeout=0.05)
    the_list.end(session(1))
    other = sqlite3.connect(file_of(directory), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(RevocationListUnavailable, match="another program holds it"):
        the_list.end(session(2))
    assert time.monotonic() - started < 1
    # Reads go on meanwhile.
    assert epochs_of(the_list, session(1), session(2)) == (LAST_EPOCH, 0)
    other.execute("ROLLBACK")
    other.close()
    the_list.end(session(2))
    assert epochs_of(the_list, session(2)) == (LAST_EPOCH,)


def test_another_program_that_lets_nobody_read_either(make_sqlite, directory):
    the_list = make_sqlite(busy_timeout=0.05)
    the_list.end(session(1))
    the_list.close()
    other = sqlite3.connect(file_of(directory), isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    refuses(the_list, "another program holds it")
    other.execute("ROLLBACK")
    other.close()
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)


def test_another_program_is_stuck_while_it_opens_the_file(make_sqlite, directory):
    fcntl = pytest.importorskip("fcntl", reason="folders can't be locked on this system")
    the_list = make_sqlite(busy_timeout=0.05)
    the_list.end(session(1))
    the_list.close()
    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    refuses(the_list, "another program holds it")
    os.close(descriptor)
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)


def in_a_process(script, *arguments):
    """Run a script that prints what it saw; gives the lines."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


TRY_ALL = """
    import sys
    import urllib.parse  # pathlib imports it late, when this user may not read Python's files
    from duck_cookie_session.errors import RevocationListUnavailable
    from duck_cookie_session.revocation.base import Scopes
    from duck_cookie_session.revocation.sqlite import SQLiteRevocationList
    from duck_cookie_session.settings import SessionSettings

    settings = SessionSettings(secret_keys="s" * 32)
    scopes = Scopes(settings)
    the_list = SQLiteRevocationList(sys.argv[1])
    the_list.bind(settings)

    def attempt(call):
        try:
            call()
            print("done")
        except RevocationListUnavailable as error:
            print(error)

"""


@pytest.mark.skipif(sys.platform == "win32", reason="users and modes are those of Unix")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_not_allowed_to_write(make_sqlite, directory, tmp_path, what):
    the_list = make_sqlite()
    the_list.end(session(1))
    the_list.close()
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o055)
    directory.chmod(0o777 if what == "file" else 0o555)
    file_of(directory).chmod(0o444)
    script = (
        TRY_ALL
        + """
    import os
    if os.getuid() == 0:  # root may write to anything: be somebody else
        os.setuid(65534)
    attempt(lambda: the_list.end(scopes.session(bytes(16))))
    """
    )
    (line,) = in_a_process(script, directory)
    directory.chmod(0o700)
    file_of(directory).chmod(0o600)
    assert "let the user of this process write" in line or "writable" in line
    assert epochs_of(the_list, session(1)) == (LAST_EPOCH,)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are those of Unix")
def test_a_full_disk_and_room_made_again(directory):
    script = (
        TRY_ALL
        + """
    import resource, os

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    the_list.end(scopes.session(bytes(16)))
    limit(200_000)
    failed = done = 0
    for number in range(3000):
        try:
            the_list.end(scopes.session(os.urandom(16)))
            done += 1
        except RevocationListUnavailable as error:
            failed += 1
            text = str(error)
            if failed > 3:
                break
    print(done > 10, failed, text)
    print(the_list.lookup((scopes.session(bytes(16)),)).epochs)
    limit(resource.RLIM_INFINITY)
    attempt(lambda: the_list.end(scopes.session(os.urandom(16))))
    print(the_list.survey(scopes.prefix).entries == done + 2)
    """
    )
    first, second, third, fourth = in_a_process(script, directory)
    assert first.startswith("True 4 The revocation list ")
    assert "disk" in first
    assert (second, third, fourth) == (f"({LAST_EPOCH},)", "done", "True")


# Many at once


def raise_in_a_process(directory, number, count):
    the_list = open_list(directory)
    birth = birth_of(the_list)
    epochs = [the_list.raise_epoch(session((number + i) % 5)) for i in range(count)]
    the_list.close()
    return birth, epochs


@pytest.mark.slow
def test_eight_processes_at_once_on_a_file_that_none_has_made(directory):
    with ProcessPoolExecutor(8, mp_context=SPAWN) as pool:
        jobs = [pool.submit(raise_in_a_process, directory, number, 40) for number in range(8)]
        results = [job.result() for job in jobs]
    assert len({birth for birth, _ in results}) == 1
    epochs = [epoch for _, some in results for epoch in some]
    assert len(set(epochs)) == len(epochs) == 320
    the_list = open_list(directory)
    assert max(epochs_of(the_list, *[session(number) for number in range(5)])) == max(epochs)
    the_list.close()


def half_emptied(file: Path, aside: Path) -> None:
    """Write the file's first page as whoever empties the log does: it speaks of later pages too."""
    aside.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{file}{suffix}", aside / f"list{suffix}")
    whole = sqlite3.connect(aside / "list")
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    # By a process of its own: closing the file in this one would drop SQLite's locks.
    writing = f"conv=notrunc bs=4096 count=1 status=none if={aside}/list of={file}"
    subprocess.run(["dd", *writing.split()], check=True)


def test_a_list_is_opened_while_another_process_empties_the_log(make_sqlite, directory, tmp_path):
    the_list = make_sqlite()
    scopes = [session(number) for number in range(300)]
    for scope in scopes:
        the_list.end(scope)
    half_emptied(file_of(directory), tmp_path / "aside")
    other = make_sqlite()
    assert epochs_of(other, scopes[0], scopes[-1]) == (LAST_EPOCH, LAST_EPOCH)
    assert other.raise_epoch(SCOPES.everything)
    assert the_list.lookup((SCOPES.everything,)).epochs[0]


def test_two_processes_that_empty_the_log_at_once_lock_nobody_out(
    make_sqlite, directory, tmp_path, monkeypatch
):
    monkeypatch.setattr("duck_cookie_session.revocation._sqlite_file._LONG_LOG", 4_000_000)
    the_list, other = make_sqlite(), make_sqlite(busy_timeout=0.5)
    log = Path(f"{file_of(directory)}-wal")
    for number in range(200):
        the_list.end(session(number))
        other.end(session(number))
    assert log.stat().st_size > 1_000_000  # a purge empties it then
    half_emptied(file_of(directory), tmp_path / "aside")
    the_list.purge()
    assert other.raise_epoch(SCOPES.everything)
    assert log.stat().st_size < 100_000


def test_few_raises_make_the_log_longer(make_sqlite, directory):
    """Each that does waits for the file system as well."""
    the_list, lengths = make_sqlite(), set()
    log = Path(f"{file_of(directory)}-wal")
    for number in range(150):
        the_list.end(session(number))
        lengths.add(log.stat().st_size)
    assert len(lengths) < 10
    assert epochs_of(make_sqlite(), session(0), session(149)) == (LAST_EPOCH, LAST_EPOCH)


def test_a_log_that_is_not_ours_is_left_alone(make_sqlite, directory):
    the_list = make_sqlite()
    the_list.end(session(1))
    log = Path(f"{file_of(directory)}-wal")
    before = log.read_bytes()
    make_room(str(log), (log.stat().st_ino + 1, log.stat().st_dev))
    assert log.read_bytes() == before


def test_a_log_of_zeros_is_none(make_sqlite, directory, tmp_path):
    """As it is left by one that was killed before its first commit; here beside a repacked copy."""
    the_list = make_sqlite()
    the_list.end(session(1))
    birth = birth_of(the_list)
    the_list.close()
    file, copy = file_of(directory), tmp_path / "copy"
    with contextlib.closing(sqlite3.connect(file)) as raw:
        raw.execute("VACUUM INTO ?", (str(copy),))
    copy.replace(file)
    Path(f"{file}-wal").write_bytes(bytes(32_768))
    other = make_sqlite()
    assert birth_of(other) == birth
    assert epochs_of(other, session(1)) == (LAST_EPOCH,)


def test_threads_that_read_write_and_close_at_once(make_sqlite):
    the_list = make_sqlite()

    def work(number):
        for i in range(30):
            if number == 0:
                the_list.close()
            elif number % 4 == 1:
                epoch = the_list.raise_epoch(session(number))
                assert epochs_of(the_list, session(number)) == (epoch,)
            else:
                the_list.lookup((session(i), SCOPES.everything))

    with ThreadPoolExecutor(32) as pool:
        for job in [pool.submit(work, number) for number in range(32)]:
            job.result()


@pytest.mark.slow
def test_a_file_that_goes_again_and_again_under_load(make_sqlite, directory):
    lists = [make_sqlite(clock=time.time) for _ in range(3)]
    stop = threading.Event()

    def work(the_list):
        number = 0
        while not stop.is_set():
            number += 1
            try:
                epoch = the_list.raise_epoch(session(number % 7))
                (standing,) = epochs_of(the_list, session(number % 7))
            except RevocationListUnavailable:
                continue  # removed while it was being opened: says so, and goes on
            assert standing == 0 or standing >= epoch
        return number

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(work, the_list) for the_list in lists]
        removed = 0
        while removed < 20:
            try:
                file_of(directory).unlink()
                removed += 1
            except FileNotFoundError:
                pass
        stop.set()
        assert min(job.result() for job in jobs) > 0
    assert len({birth_of(the_list) for the_list in lists}) == 1
    with sqlite3.connect(file_of(directory)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("fork", ["os.fork", "unseen"])
def test_a_forked_child_opens_the_file_itself(make_sqlite, directory, fork):
    the_list = make_sqlite()
    before = birth_of(the_list)
    the_list.end(session(1))
    child = os.fork() if fork == "os.fork" else fork_unseen()
    if child == 0:
        status = 1
        try:
            if (birth_of(the_list), epochs_of(the_list, session(1))) == (before, (LAST_EPOCH,)):
                the_list.end(session(2))
                status = 0
        finally:
            os._exit(status)
    the_list.end(session(3))
    assert os.waitpid(child, 0)[1] == 0
    both = (session(2), session(3))
    assert epochs_of(the_list, *both) == (LAST_EPOCH, LAST_EPOCH)
    assert epochs_of(make_sqlite(), *both) == (LAST_EPOCH, LAST_EPOCH)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_forked_in_mid_load_loses_nothing_when_its_parent_closes(make_sqlite, directory):
    the_list = make_sqlite(clock=time.time)
    stop = threading.Event()

    def load():
        while not stop.is_set():
            the_list.raise_epoch(session(0))
            the_list.lookup((session(0), SCOPES.everything))

    thread = threading.Thread(target=load)
    thread.start()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            the_list.end(session(1))
            os.read(reading, 1)  # the parent has closed its own
            the_list.end(session(2))
            status = 0
        finally:
            os._exit(status)
    stop.set()
    thread.join()
    the_list.close()
    os.write(writing, b"x")
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    os.close(writing)
    assert epochs_of(make_sqlite(), session(1), session(2)) == (LAST_EPOCH, LAST_EPOCH)


class Held(SQLiteRevocationList):
    """A list of which one lookup can be held in mid read."""

    held: threading.Thread | None = None

    def binding(self, scope):
        if threading.current_thread() is self.held:
            self.arrived.set()
            self.let_go.wait()
        return super().binding(scope)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_threads_of_a_child_do_not_wait_for_each_other_whatever_those_of_its_parent_did(directory):
    the_list = Held(directory)
    the_list.bind(SETTINGS)
    the_list.end(session(1))
    look_up = partial(the_list.lookup, (session(1),))
    the_list.before_fork()  # holds off everybody
    threads = [threading.Thread(target=look_up) for _ in range(6)]
    for thread in threads:
        thread.start()
    while the_list._readers._idle:
        time.sleep(0.001)
    child = os.fork()
    the_list.after_fork()
    if child == 0:
        status = 1
        try:
            the_list.arrived, the_list.let_go = threading.Event(), threading.Event()
            the_list.held = threading.Thread(target=look_up, daemon=True)
            the_list.held.start()
            the_list.arrived.wait()
            other = threading.Thread(target=look_up, daemon=True)
            other.start()
            other.join(10)
            status = int(other.is_alive())
        finally:
            os._exit(status)
    for thread in threads:
        thread.join()
    assert os.waitpid(child, 0)[1] == 0
    the_list.close()


def revoke_until_killed(directory, first, pipe):
    """In a child: end one session after the other, and report each once it is done."""
    the_list = open_list(directory)
    for number in itertools.count(first):
        the_list.end(session(number))
        os.write(pipe, number.to_bytes(8, "big"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_nothing_reported_done_is_missing_after_kill_9_fifty_times(directory):
    chance = random.Random(50)
    done = []
    for attempt in range(25):
        children = []
        for half in range(2):  # two at once, so that one is killed while the other writes
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    revoke_until_killed(directory, (attempt * 2 + half) * 1_000_000, writing)
                finally:
                    os._exit(1)
            os.close(writing)
            children.append((child, reading))
        for child, reading in children:
            for _ in range(chance.randrange(1, 25)):
                done.append(int.from_bytes(os.read(reading, 8), "big"))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            while report := os.read(reading, 8):
                done.append(int.from_bytes(report, "big"))
            os.close(reading)
    the_list = open_list(directory)
    missing = [number for number in done if epochs_of(the_list, session(number)) != (LAST_EPOCH,)]
    the_list.close()
    assert missing == []
    assert len(done) > 300
    with sqlite3.connect(file_of(directory)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


def test_the_interpreter_ends_cleanly_with_work_in_flight(directory):
    script = (
        TRY_ALL
        + """
    import itertools, threading

    def work(first):
        for number in itertools.count(first):
            the_list.end(scopes.session(number.to_bytes(16, "big")))
            the_list.lookup((scopes.everything,))
            started.release()

    started = threading.Semaphore(0)
    for number in range(4):
        threading.Thread(target=work, args=(number * 1_000_000,), daemon=True).start()
    for _ in range(20):
        started.acquire()
    print("ends")
    """
    )
    assert in_a_process(script, directory) == ["ends"]
    the_list = open_list(directory)
    assert the_list.survey(SCOPES.prefix).entries >= 20
    the_list.close()


def test_a_thread_does_not_wait_for_another_for_ever(make_sqlite):
    reached, go_on = threading.Event(), threading.Event()

    def clock_that_stops():
        reached.set()
        go_on.wait(10)
        return 1_800_000_000.0

    the_list = make_sqlite(clock=clock_that_stops, busy_timeout=0.05)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(the_list.end, session(1))
        assert reached.wait(10)
        with pytest.raises(RevocationListUnavailable, match="another thread is writing"):
            the_list.end(session(2))
        go_on.set()
        slow.result()
    the_list.end(session(2))
    assert epochs_of(the_list, session(1), session(2)) == (LAST_EPOCH, LAST_EPOCH)


def fill(directory, count, made):
    """Put entries into the file at one go, as that many raises would have."""
    raw = sqlite3.connect(file_of(directory), isolation_level=None)
    raw.execute("BEGIN")
    raw.executemany(
        "INSERT INTO epochs VALUES (?, ?, ?)", ((session(i), made, made) for i in range(count))
    )
    raw.execute("COMMIT")
    raw.close()


def test_nor_where_the_others_have_only_ever_read(directory, clock):
    node, other = (SQLiteRevocationList(directory, clock=clock) for _ in range(2))
    node.bind(SessionSettings(secret_keys="s" * 32, absolute_age=2 * RETENTION, clock_skew=0))
    other.bind(SETTINGS)
    other.end(session(1))
    birth_of(node)
    clock.now += 1.5 * RETENTION
    assert other.purge() == 0
    assert epochs_of(node, session(1)) == (LAST_EPOCH,)
    node.close()
    other.close()


def test_a_program_with_a_shorter_absolute_age_removes_nothing_too_early(directory, clock):
    node, other = (SQLiteRevocationList(directory, clock=clock) for _ in range(2))
    node.bind(SessionSettings(secret_keys="s" * 32, absolute_age=2 * RETENTION, clock_skew=0))
    other.bind(SETTINGS)
    node.end(session(1))
    made = clock()
    clock.now += 1.5 * RETENTION
    other.end(session(2))  # sweeps by the way
    assert other.purge() == 0
    assert other.survey(SCOPES.prefix).next_expiry == pytest.approx(made + 2 * RETENTION)
    assert epochs_of(node, session(1)) == (LAST_EPOCH,)
    clock.now += RETENTION
    assert other.purge() == 1
    assert epochs_of(node, session(1), session(2)) == (0, LAST_EPOCH)
    node.close()
    other.close()


def test_purge_tells_how_many_entries_it_has_looked_at(make_sqlite, clock, directory):
    the_list = make_sqlite()
    birth_of(the_list)
    fill(directory, 1_500, made=int(clock.now * 1_000_000))
    seen = []
    assert the_list.purge(seen.append) == 0
    assert seen == [1_000, 1_500]


def test_purging_many_lets_others_write_in_between(make_sqlite, clock, directory):
    the_list = make_sqlite()
    birth_of(the_list)
    fill(directory, 5_000, made=int((clock.now - RETENTION - 1) * 1_000_000))
    other = make_sqlite()
    seen = []

    def progress(looked_at):
        seen.append(looked_at)
        other.end(SCOPES.session(os.urandom(16)))

    removed = the_list.purge(progress)
    assert removed > 4800  # the others' raises swept some
    assert seen[:2] == [1000, 2000]
    assert the_list.survey(SCOPES.prefix).entries == len(seen)


# To the last unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "list"


@pytest.fixture
def sqlite(folder: Path, clock: Clock) -> Iterator[SQLiteRevocationList]:
    made = SQLiteRevocationList(folder, clock=clock, busy_timeout=0.05)
    made.bind(SETTINGS)
    yield made
    made.close()


def test_what_stands_in_the_file(sqlite: SQLiteRevocationList, folder: Path) -> None:
    sqlite.end(session(1))
    connection = sqlite3.connect(folder / FILE_NAME)
    found = {row[0]: row[1:] for row in connection.execute("SELECT * FROM epochs")}
    (kept,) = connection.execute("SELECT * FROM histories")
    connection.close()
    micros = int(START * 1_000_000)
    assert found[session(1)] == (LAST_EPOCH, micros)
    (birth, checkpoint), mark = kept[1:3], kept[-1]
    retention = int(RETENTION * 1_000_000)
    assert kept == (SCOPES.prefix, birth, checkpoint, micros, micros, 0, retention, mark)
    assert birth != checkpoint  # of the file that was opened anew
    assert found.keys() == {session(1)}


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
    calls = (the_list.raise_epoch, the_list.end, lambda scope: the_list.lookup((scope,)))
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
        assert epochs_of(sqlite, session(2)) == (0,)
    raw.execute("COMMIT")
    raw.close()
    thread.join()
    assert epochs_of(sqlite, session(2)) == (LAST_EPOCH,)
    patient.close()


def test_a_raise_that_first_notices_an_emptied_file(
    sqlite: SQLiteRevocationList, folder: Path
) -> None:
    sqlite.end(session(1))
    (folder / FILE_NAME).write_bytes(b"")
    sqlite.end(session(2))
    assert epochs_of(sqlite, session(1), session(2)) == (0, LAST_EPOCH)


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
    assert epochs_of(sqlite, session(1), session(2), session(3)) == (0, LAST_EPOCH, LAST_EPOCH)


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
    assert epochs_of(left, session(1)) == (0,)
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
    for _ in range(5):  # checkpoints lie between them
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
