"""What only the memory list does."""

from __future__ import annotations

import os
from typing import Any

import pytest

from duck_cookie_session.revocation.base import LAST_EPOCH
from duck_cookie_session.revocation.memory import MemoryRevocationList
from tests.helpers import Clock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_refuses_the_sessions_of_its_parent(app, clock):
    the_list = MemoryRevocationList(clock=clock)
    the_list.bind(app.settings)
    ended = app.session()
    the_list.end(ended)
    before = the_list.lookup((app.everything, ended))
    child = os.fork()
    if child == 0:
        everything, epoch = the_list.lookup((app.everything, ended))
        os._exit(0 if everything > before[0] and epoch == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert the_list.lookup((app.everything, ended)) == before


def test_purging_thousands_tells_all_of_them(app: Any, clock: Clock) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(app.settings)
    for number in range(2_000):
        the_list.end(app.scopes.session(number.to_bytes(16, "big")))
    clock.tick(2_592_000 + 60 + 1)
    seen: list[int] = []
    assert the_list.purge(seen.append) == 2_000
    assert seen == [1_000, 2_000, 2_000]


def test_everything_rises_in_a_fork_even_when_the_clock_is_set_back(
    app: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_list = MemoryRevocationList(clock)
    the_list.bind(app.settings)
    (before,) = the_list.lookup((app.everything,))
    ended = app.session()
    the_list.end(ended)

    def fork() -> tuple[int, ...]:
        the_list.before_fork()
        the_list.after_fork()
        return the_list.lookup((app.everything, ended))

    clock.tick(-3_600)
    assert fork() == (before, LAST_EPOCH)
    child = os.getpid() + 1
    monkeypatch.setattr("os.getpid", lambda: child)
    in_child = fork()
    assert in_child[0] > before
    assert in_child[1] == 0
    assert fork() == in_child  # the child forks: it is the parent then
