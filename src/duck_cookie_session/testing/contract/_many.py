"""What is promised to many that use the list at once."""

from __future__ import annotations

import multiprocessing
import os
import secrets
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from ...revocation.base import (
    LAST_EPOCH,
    RevocationList,
    Witness,
)
from . import _programs as programs
from ._parts import Application, Part, needs, once, witness
from ._programs import compare


@contextmanager
def _impatient() -> Iterator[None]:
    """Has threads take turns far more often, so that they meet within what is not atomic."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Many(Part):
    """Threads and processes, killed ones and forked ones among them."""

    # Many at once.

    def test_threads_that_raise_at_once_get_numbers_of_their_own(
        self, the_list: RevocationList, app: Application
    ) -> None:
        """And what each of them raised stands."""
        start = threading.Barrier(6)

        def work(_: int) -> list[tuple[bytes, int]]:
            scopes = [app.session() for _ in range(10)] + [app.everything] * 5
            start.wait()
            return [(scope, the_list.raise_epoch(scope)) for scope in scopes]

        with _impatient(), ThreadPoolExecutor(6) as pool:
            told = [one for done in pool.map(work, range(6)) for one in done]
        assert len({epoch for _, epoch in told}) == len(told) == 90
        standing = dict(sorted(told, key=lambda one: one[1]))  # of everything the last
        assert {scope: the_list.lookup((scope,)).epochs[0] for scope in standing} == standing

    def test_of_threads_that_compare_at_once_one_wins(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scopes, start = [app.session() for _ in range(20)], threading.Barrier(4)

        def work(_: int) -> list[int | None]:
            won = []
            for scope in scopes:
                start.wait(60)  # not for ever for one that failed
                won.append(compare(the_list, scope, 0))
            return won

        with _impatient(), ThreadPoolExecutor(4) as pool:
            answers = zip(*pool.map(work, range(4)), strict=True)
            won = [[epoch for epoch in given if epoch is not None] for given in answers]
        assert won == [[the_list.lookup((scope,)).epochs[0]] for scope in scopes]

    def test_of_threads_that_show_a_loss_at_once_one_raises_everything(
        self, the_list: RevocationList, app: Application
    ) -> None:
        """Or whoever logs in after the first would be logged out by the second."""
        the_list.raise_epoch(app.everything)
        start = threading.Barrier(4)

        def work(false: Witness) -> int | None:
            start.wait()
            return the_list.raise_if_forgotten(app.everything, false)

        for _ in range(5):
            false = witness(the_list, app)._replace(checkpoint=LAST_EPOCH)
            with _impatient(), ThreadPoolExecutor(4) as pool:
                raised = [one for one in pool.map(work, [false] * 4) if one is not None]
            assert raised == [the_list.lookup((app.everything,)).epochs[0]]

    def test_a_lookup_is_one_read(self, the_list: RevocationList, app: Application) -> None:
        """What it says of several scopes and of the reach stood at one moment."""
        one, two = app.session(), app.group()
        the_list.raise_epoch(one)

        def work() -> None:
            for _ in range(60):
                the_list.raise_epoch(two)
                the_list.raise_epoch(one)

        with _impatient(), ThreadPoolExecutor(1) as pool:
            raising = pool.submit(work)
            while not raising.done():
                for scopes in ((one, two), (two, one)):
                    found = the_list.lookup(scopes)
                    assert found.reach == max(found.epochs)
            raising.result()

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
        assert once(the_list, the_list.alookup((scope,))).epochs == (epoch,)
        other.end(scope)
        assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)
        assert once(the_list, the_list.alookup((scope,))).epochs == (LAST_EPOCH,)

    @needs("processes")
    def test_processes_that_raise_at_once_agree(
        self, the_list: RevocationList, app: Application
    ) -> None:
        """On the birth of a list that none has made, on every number, and on who was first."""
        scopes, count = [app.session() for _ in range(10)], 4
        context = multiprocessing.get_context("spawn")
        start = context.Barrier(count)
        with context.Pool(count, programs.prepare, (start,)) as pool:
            work = (self.opener(), app.settings, scopes, 20)
            found = pool.starmap(programs.raise_at_once, [work] * count, chunksize=1)
        births, compared, raised = zip(*found, strict=True)
        told = [one for done in raised for one in done]
        assert len(set(births)) == 1
        for scope, answers in zip(scopes, zip(*compared, strict=True), strict=True):
            won = [epoch for epoch in answers if epoch is not None]
            assert won == [the_list.lookup((scope,)).epochs[0]]
        assert len({epoch for _, epoch in told}) == len(told) == 20 * count
        standing = dict(sorted(told, key=lambda one: one[1]))  # of everything the last
        assert {scope: the_list.lookup((scope,)).epochs[0] for scope in standing} == standing
        assert the_list.lookup((app.everything,)).birth in births

    @needs("processes")
    @pytest.mark.parametrize(
        ("call", "at_most"),
        [("raise_epoch", None), ("raise_epoch", 1), ("end", 1), ("compare_and_raise", 1)],
    )
    def test_what_a_killed_process_was_told_stands(
        self, the_list: RevocationList, app: Application, call: str, at_most: int | None
    ) -> None:
        """Killed while it goes on raising, or after its only call has returned."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(
            target=programs.raise_until_killed,
            args=(self.opener(), app.settings, theirs, call, at_most),
        )
        child.start()
        theirs.close()
        told = [ours.recv_bytes() for _ in range(at_most or 20)]
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
