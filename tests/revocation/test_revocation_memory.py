"""What only the memory list does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from duck_cookie_session.revocation.base import LAST_EPOCH, Witness
from duck_cookie_session.revocation.memory import MemoryRevocationList
from tests.helpers import Clock, fork_unseen

FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@FORKS
@pytest.mark.parametrize("fork", [os.fork, fork_unseen])
def test_a_forked_child_refuses_the_sessions_of_its_parent(
    app: Any, clock: Clock, fork: Callable[[], int]
) -> None:
    the_list = MemoryRevocationList(clock=clock)
    the_list.bind(app.settings)
    ended = app.session()
    the_list.end(ended)
    before = the_list.lookup((ended,), checkpoint=the_list.lookup((ended,)).checkpoint)
    child = fork()
    if child == 0:
        status = 1
        try:
            after = the_list.lookup((ended,), checkpoint=before.checkpoint)
            if (after.birth, after.epochs) != (before.birth, before.epochs):
                status = (
                    0 if (after.epochs, after.reach, after.asked_reach) == ((0,), 0, None) else 2
                )
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert the_list.lookup((ended,), checkpoint=before.checkpoint) == before


@FORKS
@pytest.mark.parametrize("call", ["raise", "compare", "end", "forgotten", "purge", "survey"])
def test_a_child_notices_at_whatever_it_does_first(app: Any, clock: Clock, call: str) -> None:
    the_list = MemoryRevocationList(clock=clock)
    the_list.bind(app.settings)
    the_list.end(app.session())
    standing = the_list.lookup((app.everything,))
    proof = Witness(standing.birth, standing.birth + 1, standing.reach, 0)
    calls: dict[str, Callable[[], object]] = {
        "raise": lambda: the_list.raise_epoch(app.session()),
        "compare": lambda: the_list.compare_and_raise(app.session(), 0, nonce=b"1"),
        "end": lambda: the_list.end(app.session()),
        "forgotten": lambda: the_list.raise_if_forgotten(app.everything, proof),
        "purge": the_list.purge,
        "survey": lambda: the_list.survey(app.scopes.prefix),
    }
    made = {"raise": 1, "compare": 1, "end": 1}.get(call, 0)
    child = fork_unseen()
    if child == 0:
        status = 1
        try:
            calls[call]()
            found = the_list.survey(app.scopes.prefix).entries, the_list.lookup((app.everything,))
            status = 0 if (found[0], found[1].epochs) == (made, (0,)) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert the_list.survey(app.scopes.prefix).entries == 1


@FORKS
def test_a_child_forked_unseen_while_another_thread_writes_does_not_hang(
    app: Any, clock: Clock
) -> None:
    def hold() -> float:
        if threading.current_thread() is holder:
            holding.set()
            go_on.wait(10)
        return clock()

    the_list = MemoryRevocationList(clock=hold)
    holding, go_on = threading.Event(), threading.Event()
    holder = threading.Thread(target=lambda: the_list.end(app.session()))
    the_list.bind(app.settings)
    holder.start()
    assert holding.wait(10)
    child = fork_unseen()  # its copy of the lock is held by a thread that it does not have
    if child == 0:
        signal.alarm(10)
        status = 1
        try:
            status = 0 if the_list.lookup((app.session(),)).epochs == (0,) else 2
        finally:
            os._exit(status)
    go_on.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_purging_thousands_tells_all_of_them(app: Any, clock: Clock) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(app.settings)
    for number in range(2_000):
        the_list.end(app.scopes.session(number.to_bytes(16, "big")))
    clock.tick(2_592_000 + 60 + 1)
    seen: list[int] = []
    assert the_list.purge(seen.append) == 2_000
    assert seen == [1_000, 2_000, 2_000]


def test_a_child_has_a_birth_of_its_own_even_when_the_clock_is_set_back(
    app: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(app.settings)
    ended = app.session()
    the_list.end(ended)
    before = the_list.lookup((app.everything, ended))

    def fork() -> tuple[int, tuple[int, ...]]:
        the_list.before_fork()
        the_list.after_fork()
        standing = the_list.lookup((app.everything, ended))
        return standing.birth, standing.epochs

    clock.tick(-3_600)
    assert fork() == (before.birth, (0, LAST_EPOCH))
    child = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: child)
    in_child = fork()
    assert in_child[0] != before.birth
    assert in_child[1] == (0, 0)
    assert fork() == in_child  # the child forks: it is the parent then


def test_an_answers_time_is_never_more_than_a_second_behind(app: Any, clock: Clock) -> None:
    the_list = MemoryRevocationList(clock=clock)
    the_list.bind(app.settings)
    scopes = (app.everything, app.session())
    for elapsed in (0.0, 0.4, 0.4, 0.4, 7.0, -3600.0, 0.4, 30.0):
        clock.now += elapsed
        behind = clock.now * 1_000_000 - the_list.lookup(scopes).now
        assert -1 < behind < 1_000_000
    raised = the_list.raise_epoch(scopes[1])
    clock.now -= 3600
    assert the_list.lookup(scopes).now == raised  # never behind a number that was given out
