"""BookRevocationList, from which others derive theirs."""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from duck_cookie_session import SessionSettings
from duck_cookie_session.revocation.base import Scopes
from duck_cookie_session.revocation.book import Book, BookRevocationList, Kept

SETTINGS = SessionSettings(secret_keys="Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V")


class InADict(BookRevocationList):
    """Entries in a dict; a turn lasts until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: Kept | None = None
        self.entries: dict[bytes, tuple[int, int]] = {}
        self.begun, self.let_go = threading.Event(), threading.Event()

    @contextmanager
    def turn(self, prefix: bytes) -> Iterator[Book]:
        self.begun.set()
        self.let_go.wait(10)
        book = Book(self.kept, self.entries, self.binding(prefix), time.time_ns() // 1000)
        yield book
        self.kept = book.kept

    def knows(self, prefix: bytes) -> bool:
        return self.kept is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_forked_while_another_thread_compares_can_compare_as_well() -> None:
    the_list = InADict()
    the_list.bind(SETTINGS)
    os.register_at_fork(before=the_list.let_go.set)  # the latest is the first to be called
    scopes = Scopes(SETTINGS)
    scope = scopes.session(secrets.token_bytes(16))

    def compare() -> int | None:
        return the_list.compare_and_raise(scope, 0, nonce=secrets.token_bytes(16))

    other = threading.Thread(target=compare)
    other.start()
    the_list.begun.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        os._exit(0 if compare() is None else 1)  # what the other thread raised
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other.join()
