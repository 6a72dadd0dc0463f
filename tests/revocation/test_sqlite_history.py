"""Real files that go back in time: it is noticed, and nothing else is mistaken for it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable, SessionRevoked, SQLiteRevocationList
from duck_cookie_session.revocation.base import Standing
from duck_cookie_session.revocation.sqlite import FILE_NAME
from duck_cookie_session.token.format import open_token
from tests.helpers import DAY, Clock, Node, make_settings

HOUR = 3_600
LONG_LOG = 12
"""Raises after which the log has been emptied into the file, as it is set here."""


@pytest.fixture(autouse=True)
def short_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is emptied early, so that no test has to make hundreds of raises."""
    monkeypatch.setattr("duck_cookie_session.revocation._sqlite_file._LONG_LOG", 80_000)


class Site:
    """An application over one file: its nodes, and what is done to the file."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.file = folder / FILE_NAME
        self.clock = clock
        self.nodes: list[Node] = []
        self.node = self.new_node()

    def new_node(self, *, clock: Clock | None = None, **settings: Any) -> Node:
        """Another process of the application, here another object."""
        clock = clock or self.clock
        the_list = SQLiteRevocationList(self.folder, clock=clock, busy_timeout=30)
        self.nodes.append(Node(the_list, clock, make_settings(**settings)))
        return self.nodes[-1]

    def close(self) -> None:
        for node in self.nodes:
            node.connector.close()

    def end_somebody(self, count: int = 1) -> None:
        for _ in range(count):
            self.node.connector.delete_session(self.node.connector.generate_session_id())

    def pass_a_checkpoint(self) -> None:
        """Raise twice, more than ten seconds apart."""
        before = self.standing().checkpoint
        self.end_somebody()
        self.clock.tick(20)
        self.end_somebody()
        assert self.standing().checkpoint != before

    def standing(self) -> Standing:
        return self.node.revocations.lookup((self.node.connector.rules.scopes.everything,))

    def everything(self) -> int:
        return self.standing().epochs[0]

    def checkpoint_of(self, token: str) -> int:
        return open_token(self.node.connector.rules.ring, token)[0].checkpoint

    def sound(self) -> None:
        connection = sqlite3.connect(self.file)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(folder: Path | None = None) -> Site:
        made.append(Site(folder or tmp_path / f"site {len(made)}", Clock()))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


def back_up(site: Site, to: Path) -> None:
    """A copy as SQLite makes it, of a file that is in use."""
    original, copy = sqlite3.connect(site.file), sqlite3.connect(to)
    original.backup(copy)
    copy.close()
    original.close()


def cp(source: Path, target: Path) -> None:
    """By another program: closing a file here would drop the locks that SQLite has on it."""
    subprocess.run(["cp", str(source), str(target)], check=True)


class Loss:
    """One way in which a copy takes the place of the file: swapped while it is open."""

    log_was_emptied = False

    def __init__(self, site: Site) -> None:
        self.site = site
        self.copy = site.folder.parent / "backup"

    def save(self) -> None:
        back_up(self.site, self.copy)

    def bring_back(self) -> None:
        cp(self.copy, self.site.folder / "new")
        (self.site.folder / "new").replace(self.site.file)


class SwappedWithLog(Loss):
    """File and log, as another program has left them."""

    def save(self) -> None:
        self.copy.mkdir()
        for path in self.site.folder.iterdir():
            cp(path, self.copy / path.name)

    def bring_back(self) -> None:
        for path in self.copy.iterdir():
            path.replace(self.site.folder / path.name)


class FolderMovedAway(SwappedWithLog):
    """The whole folder is another one."""

    def bring_back(self) -> None:
        self.site.folder.rename(self.site.folder.parent / "away")
        self.copy.rename(self.site.folder)


class Closed(Loss):
    """Swapped while nobody has it open: every process ended well."""

    def bring_back(self) -> None:
        self.site.close()
        assert not self.site.file.with_name(FILE_NAME + "-wal").exists()
        super().bring_back()


class Killed(Loss):
    """Swapped after kill -9, which left a log beside it."""

    log_was_emptied = True

    def bring_back(self) -> None:
        left = self.site.folder.parent / "left"
        left.mkdir()
        for path in self.site.folder.iterdir():
            cp(path, left / path.name)
        self.site.close()
        for path in left.iterdir():
            cp(path, self.site.folder / path.name)
        assert self.site.file.with_name(FILE_NAME + "-wal").stat().st_size > 0
        super().bring_back()


class WrittenOver(Loss):
    """Written over in place while it is open, beside its log."""

    log_was_emptied = True

    def bring_back(self) -> None:
        cp(self.copy, self.site.file)


class WrittenOverClosed(Loss):
    """Written over in place while nobody has it open."""

    def bring_back(self) -> None:
        self.site.close()
        cp(self.copy, self.site.file)


LOSSES = [Loss, SwappedWithLog, FolderMovedAway, Closed, Killed, WrittenOver, WrittenOverClosed]


def lose(site: Site, how: Loss) -> None:
    """Enough raises that not all of them are in the log, where that may stand over the copy."""
    if how.log_was_emptied:
        site.end_somebody(LONG_LOG)


@pytest.mark.parametrize("since", [0, 1, 7])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_token_sealed_after_what_was_lost_ends_all(
    site: Site, caplog: pytest.LogCaptureFixture, loss: type[Loss], since: int
) -> None:
    """However many revocations were made since the copy was put there."""
    other = site.new_node()
    site.pass_a_checkpoint()
    bystander, ended = site.node.start(n=1), site.node.start(n=2)
    how = loss(site)
    how.save()
    site.node.connector.delete_session(ended)
    site.clock.tick(4)
    lose(site, how)
    proof, another = site.node.start(n=3), other.start(n=4)
    how.bring_back()
    for _ in range(since):
        site.end_somebody()
        site.clock.tick(4)
    fresh = site.node.start(n=5)
    for token in (bystander, ended, fresh):
        assert site.node.read(token)  # the second: nothing has shown yet what was lost
    assert errors(caplog) == []

    assert other.read(proof) is None
    (message,) = errors(caplog)
    assert "gone back in time" in message
    assert "new-birth" not in message
    epoch = site.everything()
    assert epoch > 0
    for token in (bystander, ended, fresh, another, proof):
        assert (site.node.read(token), other.read(token)) == (None, None)
    assert site.everything() == epoch
    assert len(errors(caplog)) == 1
    assert other.connector.stats()["forgotten"] == 1
    assert site.node.connector.stats()["forgotten"] == 0
    assert other.read(site.node.start(n=6)) == {"n": 6}
    site.sound()


@pytest.mark.parametrize("loss", LOSSES)
def test_a_token_sealed_within_the_same_ten_seconds_is_proof_as_well(
    site: Site, caplog: pytest.LogCaptureFixture, loss: type[Loss]
) -> None:
    site.end_somebody()
    how = loss(site)
    how.save()
    ended = site.node.start(n=1)
    site.node.connector.delete_session(ended)
    lose(site, how)
    proof = site.node.start(n=2)
    how.bring_back()
    site.end_somebody(3)  # numbers beyond that of the token
    assert site.node.read(proof) is None
    assert site.node.read(ended) is None
    assert len(errors(caplog)) == 1


@pytest.mark.parametrize("loss", LOSSES)
def test_clear_all_and_then_a_copy_of_before(
    site: Site, caplog: pytest.LogCaptureFixture, loss: type[Loss]
) -> None:
    site.pass_a_checkpoint()
    cleared = site.node.start(n=1)
    how = loss(site)
    how.save()
    site.node.connector.clear_all_sessions()
    cleared_at = site.everything()
    lose(site, how)
    proof = site.node.start(n=2)
    how.bring_back()
    site.end_somebody()
    assert site.node.read(cleared) == {"n": 1}
    assert site.node.read(proof) is None
    assert site.everything() > cleared_at
    assert (site.node.read(cleared), site.node.read(proof)) == (None, None)
    assert len(errors(caplog)) == 1


def test_a_copy_in_place_under_a_log_that_holds_all_since_loses_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.pass_a_checkpoint()
    how = WrittenOver(site)
    how.save()
    ended = site.node.start(n=1)
    site.node.connector.delete_session(ended)
    live = site.node.start(n=2)
    how.bring_back()
    assert (site.node.read(ended), site.node.read(live)) == (None, {"n": 2})
    site.end_somebody(LONG_LOG)
    assert (site.node.read(ended), site.node.read(live)) == (None, {"n": 2})
    assert errors(caplog) == []
    site.sound()


@pytest.mark.slow
@pytest.mark.parametrize("loss", [WrittenOver, Killed])
def test_a_copy_that_was_repacked_under_a_log_brings_no_ended_session_back(
    site: Site, loss: type[Loss]
) -> None:
    """VACUUM INTO: the same mark, on other pages than those that the log was written for."""
    tokens = [site.node.start(n=number) for number in range(1_000)]
    for token in tokens:
        site.node.connector.delete_session(token)
    site.close()  # all of it is in the file now
    site.end_somebody(2)  # few: a log that becomes long is emptied
    how = loss(site)
    with contextlib.closing(sqlite3.connect(site.file)) as original:
        original.execute("VACUUM INTO ?", (str(how.copy),))
    site.end_somebody(2)
    proof = site.node.start(n=-1)
    how.bring_back()
    assert [site.node.read(token) for token in tokens] == [None] * 1_000
    assert site.node.read(proof) is None
    site.end_somebody()
    assert site.node.read(site.node.start(n=-2)) == {"n": -2}
    site.sound()


def test_a_file_that_was_repacked_where_it_stands_is_the_same_list(site: Site) -> None:
    ended, live = site.node.start(n=1), site.node.start(n=2)
    site.node.connector.delete_session(ended)
    with contextlib.closing(sqlite3.connect(site.file)) as other:
        other.execute("VACUUM")
    assert (site.node.read(ended), site.node.read(live)) == (None, {"n": 2})
    site.end_somebody()
    site.close()
    assert (site.node.read(ended), site.node.read(live)) == (None, {"n": 2})
    site.sound()


def test_a_copy_in_place_is_waited_for_when_the_file_is_still_empty(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between the truncation and the first write of `cp`: no list is made anew."""
    monkeypatch.setattr("duck_cookie_session.revocation._sqlite_file._WRITTEN_WITHIN", 60)
    site.pass_a_checkpoint()
    how = WrittenOver(site)
    how.save()
    live = site.node.start(n=1)
    caplog.clear()
    os.truncate(site.file, 0)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(site.node.read, live)
        wait([reading], timeout=0.1)
        how.bring_back()
        assert reading.result() == {"n": 1}
    assert "is new or has lost" not in caplog.text


def test_the_same_copy_put_back_twice(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.pass_a_checkpoint()
    how = WrittenOver(site)
    how.save()
    for number in (1, 2):
        lose(site, how)
        proof = site.node.start(n=1)
        how.bring_back()
        lose(site, how)
        assert site.node.read(proof) is None
        assert len(errors(caplog)) == number
        site.clock.tick(2 * HOUR)


def test_a_save_with_a_token_that_proves_it_is_refused_and_ends_all(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.end_somebody()
    how = Loss(site)
    how.save()
    site.pass_a_checkpoint()
    session = site.node.request(site.node.start(n=1))
    session["n"] = 2
    how.bring_back()
    with pytest.raises(SessionRevoked):
        session.save()
    assert site.everything() > 0
    assert len(errors(caplog)) == 1


def test_a_file_swapped_in_the_middle_of_a_raise(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """The raise is done again in the copy, and makes a checkpoint there like any first one."""
    site.pass_a_checkpoint()
    how = Loss(site)
    how.save()
    site.end_somebody()
    proof = site.node.start(n=1)
    clock = site.node.revocations._clock  # type: ignore[attr-defined]  # its clock
    swapped: list[bool] = []

    def swap() -> float:
        if not swapped:
            how.bring_back()
            swapped.append(True)
        return float(clock())

    site.node.revocations._clock = swap  # type: ignore[attr-defined]  # its clock
    site.end_somebody(5)
    assert swapped
    assert site.node.read(proof) is None
    assert len(errors(caplog)) == 1


def test_on_lost_accept_serves_whatever_the_file_says(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site()
    node = site.new_node(audience="accepting", on_lost="accept")
    ended = node.start(n=1)
    how = Loss(site)
    how.save()
    node.connector.delete_session(ended)
    live = node.start(n=2)
    how.bring_back()
    assert (node.read(ended), node.read(live)) == ({"n": 1}, {"n": 2})
    caplog.clear()
    site.file.unlink()
    assert (node.read(ended), node.read(live)) == ({"n": 1}, {"n": 2})
    assert "accepted again (on_lost='accept')" in caplog.text
    assert errors(caplog) == []


# Processes


class Process:
    """A process of an application, which does what it is told."""

    def __init__(self, folder: Path) -> None:
        program = Path(__file__).parents[1] / "faults" / "programs.py"
        self._popen = subprocess.Popen(
            [sys.executable, str(program), "serve", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def __call__(self, *call: object) -> Any:
        assert self._popen.stdin
        assert self._popen.stdout
        self._popen.stdin.write(json.dumps(call) + "\n")
        self._popen.stdin.flush()
        return json.loads(self._popen.stdout.readline())

    def end(self, *, kill: bool = False) -> None:
        """End it; what it said on standard error is in `said` then."""
        if self._popen.poll() is None:
            if kill:
                self._popen.kill()
            self.said = self._popen.communicate(timeout=60)[1]


@pytest.fixture
def start_process(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    made: list[Process] = []

    def start() -> Process:
        made.append(Process(tmp_path / "sessions"))
        return made[-1]

    yield start
    for process in made:
        process.end(kill=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a file that is open can't be replaced there")
@pytest.mark.parametrize("how", ["swapped", "written over", "ended", "killed"])
@pytest.mark.parametrize("raises", [0, 3])
def test_processes_whose_file_is_put_back(
    start_process: Callable[[], Process], tmp_path: Path, how: str, raises: int
) -> None:
    """Whichever raises first, before it has read anything, and whichever is asked then."""
    one, two = start_process(), start_process()
    file = tmp_path / "sessions" / FILE_NAME
    one("revoke", one("start"))
    bystander, ended = two("start", 1), two("start", 2)
    original, copy = sqlite3.connect(file), sqlite3.connect(tmp_path / "backup")
    original.backup(copy)
    copy.close()
    original.close()
    one("revoke", ended)
    log_was_emptied = how in ("written over", "killed")
    for _ in range(600 if log_was_emptied else 1):
        one("revoke", one("start"))
    if log_was_emptied:
        one("save")
        one("revoke", one("start"))
    proof = two("start", 3)
    assert (two("read", ended), one("read", proof)) == (None, {"n": 3})
    if how in ("ended", "killed"):
        for process in (one, two):
            process.end(kill=how == "killed")
        one, two = start_process(), start_process()
    if how == "written over":
        cp(tmp_path / "backup", file)
    else:
        cp(tmp_path / "backup", file.with_name("new"))
        file.with_name("new").replace(file)
    for _ in range(raises):
        one("revoke", one("start"))
    assert two("read", ended) == {"n": 2}  # nothing has shown yet what was lost
    assert two("read", proof) is None
    for process in (one, two):
        assert [process("read", token) for token in (bystander, ended, proof)] == [None] * 3
        assert process("read", process("start", 4)) == {"n": 4}
    assert (one("forgotten"), two("forgotten")) == (0, 1)
    for process in (one, two):
        process.end()
    assert (one.said + two.said).count("gone back in time") == 1
    assert ("put under the log" in one.said + two.said) == log_was_emptied


# Two that live side by side


def test_a_copy_that_lives_beside_the_original_is_named_as_the_cause(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    site = make_site()
    site.pass_a_checkpoint()
    (tmp_path / "copy").mkdir()
    back_up(site, tmp_path / "copy" / FILE_NAME)
    copy = make_site(tmp_path / "copy")
    for one, other in ((site, copy), (copy, site)):
        one.pass_a_checkpoint()
        other.node.read(one.node.start(n=1))
    first, second = errors(caplog)
    assert "new-birth" not in first + second  # one each, so far
    site.clock.tick(60)
    copy.clock.tick(60)
    assert site.node.read(copy.node.start(n=2)) is None  # alone: all of the copy's ended later here
    assert copy.node.read(site.node.start(n=2)) is None  # proof, to the copy
    assert "`duck-cookie-session new-birth` on the copy" in errors(caplog)[2]
    copy.node.revocations.new_birth(copy.node.connector.rules.scopes.prefix)
    for one in (site, copy):
        one.pass_a_checkpoint()
    tokens = site.node.start(n=3), copy.node.start(n=4)
    assert [site.node.read(token) for token in tokens] == [{"n": 3}, None]
    assert [copy.node.read(token) for token in tokens] == [None, {"n": 4}]
    assert len(errors(caplog)) == 3


def test_losses_more_than_an_hour_apart_are_two_losses(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        site.pass_a_checkpoint()
        how = Loss(site)
        how.save()
        site.pass_a_checkpoint()
        proof = site.node.start(n=1)
        how.bring_back()
        assert site.node.read(proof) is None
        assert len(errors(caplog)) == number
        site.clock.tick(HOUR + 1)
    assert "new-birth" not in "".join(errors(caplog))


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
    refused = here.node.connector.stats()["refused"]
    assert isinstance(refused, dict)
    assert refused["other list"] == 1
    assert here.node.read(own) == {"n": 1}
    assert here.everything() == 0
    assert errors(caplog) == []


# What triggers nothing


@pytest.fixture
def quiet(site: Site, caplog: pytest.LogCaptureFixture) -> Iterator[Site]:
    """A site that must not be mistaken for one that forgot."""
    site.pass_a_checkpoint()
    yield site
    assert site.everything() == 0
    assert errors(caplog) == []
    assert sum(int(str(node.connector.stats()["forgotten"])) for node in site.nodes) == 0


def test_a_list_made_anew(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    quiet.file.unlink()
    assert quiet.node.read(token) is None
    quiet.pass_a_checkpoint()
    assert quiet.node.read(token) is None
    assert quiet.node.read(quiet.node.start(n=2)) == {"n": 2}


def test_processes_that_end_and_begin(quiet: Site) -> None:
    tokens = [quiet.node.start(n=0)]
    for number in range(1, 5):
        quiet.close()
        assert all(quiet.node.read(token) for token in tokens)
        quiet.end_somebody()
        quiet.clock.tick(3)
        tokens.append(quiet.node.start(n=number))


def test_a_log_that_is_emptied_again_and_again(quiet: Site) -> None:
    other = quiet.new_node()
    tokens = []
    for number in range(3):
        quiet.end_somebody(LONG_LOG)
        other.connector.delete_session(other.start())
        tokens.append(other.start(n=number))
        for node in quiet.nodes:
            assert all(node.read(token) for token in tokens)
    quiet.sound()


def test_a_copy_that_lost_nothing(quiet: Site) -> None:
    token = quiet.node.start(n=1)
    how = Loss(quiet)
    how.save()
    how.bring_back()
    assert quiet.node.read(token) == {"n": 1}
    quiet.pass_a_checkpoint()
    assert quiet.node.read(token) == {"n": 1}


def test_a_purge(quiet: Site) -> None:
    tokens = [quiet.node.start(n=1)]
    for _ in range(3):
        quiet.node.connector.save()
        quiet.pass_a_checkpoint()
        tokens.append(quiet.node.start(n=1))
        assert all(quiet.node.read(token) for token in tokens)


@pytest.mark.parametrize("late", [-HOUR, 0])
def test_a_checkpoint_that_has_expired(quiet: Site, late: float) -> None:
    """Its tokens are too old for whoever has the time, and refused alone by whoever is late."""
    slow = Clock(quiet.clock.now + late)
    other = quiet.new_node(clock=slow)
    session = quiet.node.request()
    session["n"] = 1
    session.set_expiry(60 * DAY)
    session.save()
    token = session.session_key
    assert token
    assert quiet.checkpoint_of(token)
    settings = quiet.node.connector.settings
    for clock in (quiet.clock, slow):
        clock.tick(settings.absolute_age - 10)
    quiet.pass_a_checkpoint()
    for clock in (quiet.clock, slow):
        clock.tick(settings.clock_skew + 10)
    quiet.end_somebody(5)
    quiet.node.connector.save()
    standing = quiet.node.revocations.lookup(
        (quiet.node.connector.rules.scopes.everything,), checkpoint=quiet.checkpoint_of(token)
    )
    assert standing.asked_reach  # it was replaced only then
    for clock in (quiet.clock, slow):
        clock.tick(settings.absolute_age)
    quiet.node.connector.save()
    assert quiet.node.read(token) is other.read(token) is None


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
def test_processes_whose_clocks_are_an_hour_apart(quiet: Site, ahead: float) -> None:
    """On one machine they are not, but for tests; a file moved to another machine may see it."""
    other = quiet.new_node(clock=Clock(quiet.clock.now + ahead))
    for writer, reader in ((quiet.node, other), (other, quiet.node)):
        for _ in range(3):
            token = writer.start(n=1)
            quiet.pass_a_checkpoint()
            session = reader.request(token)
            session["n"] = 2
            session.save()
            other.connector.delete_session(other.start())
            assert writer.read(session.session_key) == reader.read(session.session_key) == {"n": 2}


@pytest.mark.parametrize("seconds", [9, 30, HOUR, -9, -30, -HOUR])
def test_a_clock_that_was_set(quiet: Site, seconds: float) -> None:
    tokens = [quiet.node.start(n=0)]
    for number in range(1, 4):
        quiet.clock.tick(seconds)
        quiet.end_somebody()
        tokens.append(quiet.node.start(n=number))
        quiet.pass_a_checkpoint()
        for count, token in enumerate(tokens):
            assert quiet.node.read(token) == {"n": count}


def test_a_year_without_a_revocation(quiet: Site) -> None:
    quiet.clock.tick(365 * DAY)
    tokens = [quiet.node.start(n=0)]
    for number in range(1, 4):
        quiet.node.connector.save()
        quiet.pass_a_checkpoint()
        tokens.append(quiet.node.start(n=number))
        for count, token in enumerate(tokens):
            assert quiet.node.read(token) == {"n": count}


def test_a_token_sealed_during_an_outage(quiet: Site) -> None:
    node = quiet.new_node(on_unreachable="accept")
    before = node.start(n=1)
    quiet.pass_a_checkpoint()
    assert node.read(before) == {"n": 1}
    away = quiet.folder.with_name("away")
    quiet.folder.rename(away)
    quiet.folder.write_text("not a folder")
    with pytest.raises(RevocationListUnavailable):
        quiet.node.read(before)
    session = node.request(before)
    session["n"] = 2
    session.save()
    fresh = node.start(n=3)
    quiet.folder.unlink()
    away.rename(quiet.folder)
    for _ in range(2):
        assert node.read(session.session_key) == {"n": 2}
        assert node.read(fresh) == {"n": 3}
        quiet.pass_a_checkpoint()


# Cost


def test_what_a_token_carries_takes_less_than_20_characters(site: Site) -> None:
    """14 bytes. Fernet fills up to 16, so that a token grows by 22 characters or by none."""
    bare = [site.node.start(data="x" * length) for length in range(16)]
    site.pass_a_checkpoint()
    carrying = [site.node.start(data="x" * length) for length in range(16)]
    assert not any(map(site.checkpoint_of, bare))
    assert all(map(site.checkpoint_of, carrying))
    assert 0 < sum(map(len, carrying)) - sum(map(len, bare)) <= 20 * 16
