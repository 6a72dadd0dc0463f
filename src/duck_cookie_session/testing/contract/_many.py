"""What is promised to many that use the list at once."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ...revocation.base import (
    LAST_EPOCH,
    RevocationList,
)
from . import _programs as programs
from ._parts import Application, Part, needs
from ._programs import compare


class Many(Part):
    """Threads and processes, killed ones and forked ones among them."""

    # Many at once.

    def test_threads_that_raise_at_once_get_numbers_of_their_own(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scopes = [app.session(), app.group(), app.everything]
        start = threading.Barrier(6)

        def work(_: int) -> list[int]:
            start.wait()
            return [the_list.raise_epoch(scope) for scope in scopes * 5]

        with ThreadPoolExecutor(6) as pool:
            epochs = [epoch for done in pool.map(work, range(6)) for epoch in done]
        assert len(set(epochs)) == len(epochs) == 90
        assert max(the_list.lookup(scopes).epochs) == max(epochs)

    def test_of_threads_that_compare_at_once_one_wins(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, start = app.session(), threading.Barrier(6)
        the_list.lookup((scope,))

        def work(_: int) -> int | None:
            start.wait()
            return compare(the_list, scope, 0)

        with ThreadPoolExecutor(6) as pool:
            won = [epoch for epoch in pool.map(work, range(6)) if epoch is not None]
        assert the_list.lookup((scope,)).epochs == tuple(won)

    def test_threads_that_meet_a_new_list_agree_on_its_birth(
        self, opened: Any, app: Application
    ) -> None:
        lists, start = [opened(app) for _ in range(4)], threading.Barrier(4)

        def work(one: RevocationList) -> int:
            start.wait()
            return one.lookup((app.everything,)).birth

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(work, lists))) == 1

    @needs("processes")
    def test_processes_see_each_other(
        self, opened: Any, the_list: RevocationList, app: Application
    ) -> None:
        other, scope, nonce = opened(app), app.session(), secrets.token_bytes(16)
        epoch = the_list.compare_and_raise(scope, 0, nonce=nonce)
        assert other.lookup((scope,)).epochs == (epoch,)
        assert other.lookup((scope,)).birth == the_list.lookup((scope,)).birth
        other.end(scope)
        assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)

    @needs("processes")
    def test_processes_that_raise_at_once_agree(
        self, the_list: RevocationList, app: Application
    ) -> None:
        """On the birth of a list that none has made, on every number, and on who was first."""
        scope, count = app.session(), 4
        context = multiprocessing.get_context("spawn")
        start = context.Barrier(count)
        with context.Pool(count, programs.prepare, (start,)) as pool:
            work = (self.opener(), app.settings, scope, 20)
            found = pool.starmap(programs.raise_at_once, [work] * count, chunksize=1)
        births, won, epochs = zip(*found, strict=True)
        numbers = [epoch for raised in epochs for epoch in raised]
        assert len(set(births)) == 1
        assert sum(epoch is not None for epoch in won) == 1
        assert len(set(numbers)) == len(numbers) == 20 * count
        standing = the_list.lookup((scope, app.everything))
        assert standing.birth in births
        assert standing.epochs[1] == max(numbers)

    @needs("processes")
    def test_what_a_killed_process_was_told_stands(
        self, the_list: RevocationList, app: Application
    ) -> None:
        context = multiprocessing.get_context("spawn")
        for _ in range(2):
            ours, theirs = context.Pipe(duplex=False)
            child = context.Process(
                target=programs.raise_until_killed, args=(self.opener(), app.settings, theirs)
            )
            child.start()
            theirs.close()
            told = [ours.recv_bytes() for _ in range(20)]
            child.kill()
            while True:
                try:
                    told.append(ours.recv_bytes())
                except (EOFError, OSError):
                    break  # OSError: half a message
            child.join()
            ours.close()
            for message in told:
                epoch, scope = int.from_bytes(message[:8], "big"), message[8:]
                assert the_list.lookup((scope,)).epochs == (epoch,)

    @needs("processes")
    def test_a_forked_child_has_the_same_list(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, second = app.session(), app.session()
        the_list.end(scope)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                the_list.end(second)
                status = 0 if the_list.lookup((scope,)).epochs == (LAST_EPOCH,) else 2
            finally:
                os._exit(status)
        the_list.raise_epoch(app.everything)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert the_list.lookup((scope, second)).epochs == (LAST_EPOCH, LAST_EPOCH)
