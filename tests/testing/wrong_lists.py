"""Lists that break one promise each, and the contract over them: for test_contract_catches.py."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable
from duck_cookie_session.revocation.base import (
    RevocationList,
    Standing,
    Witness,
    forgotten,
)
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.revocation.sqlite import FILE_NAME, SQLiteRevocationList
from duck_cookie_session.testing.contract import RevocationListContract
from tests.helpers.fake_clock import FileClock


class TakesNoTurns(MemoryRevocationList):
    """Threads are in one another's way."""

    def _alone(self) -> Any:
        return contextlib.nullcontext()


class PurgesByTheShortest(MemoryRevocationList):
    """What another application keeps for longer goes with the rest."""

    def _retention(self, prefix: bytes) -> int:
        return int(min(one.retention for one in self._bindings.values()) * 1_000_000)


class ExpectsAtLeast(SQLiteRevocationList):
    """A compare that expects a later epoch than stands raises too."""

    def compare_and_raise(self, scope: bytes, expected: int, **how: Any) -> int | None:
        standing = self.lookup((scope,)).epochs[0]
        return super().compare_and_raise(scope, min(expected, standing), **how)


class RemembersOneNonce(SQLiteRevocationList):
    """The answer to the compare before the last one is gone."""

    def compare_and_raise(self, scope: bytes, expected: int, **how: Any) -> int | None:
        self._nonces._answers.clear()  # as if another process was asked
        if getattr(self, "last", (b"",))[0] != how["nonce"]:
            self.last = how["nonce"], super().compare_and_raise(scope, expected, **how)
        answer: int | None = self.last[1]
        return answer


class EndsLater(SQLiteRevocationList):
    """An end is written with the next call of this process."""

    late: tuple[bytes, ...] = ()

    def end(self, scope: bytes) -> None:
        self._write()
        self.late = (scope,)

    def lookup(self, *arguments: Any, **more: Any) -> Standing:
        self._write()
        return super().lookup(*arguments, **more)

    def _write(self) -> None:
        late, self.late = self.late, ()
        for scope in late:
            super().end(scope)


class EndsInSilence(SQLiteRevocationList):
    """A logout that is awaited never fails."""

    async def aend(self, scope: bytes) -> None:
        with contextlib.suppress(RevocationListUnavailable):
            self.end(scope)


class ReusesWhatIsAwaited(SQLiteRevocationList):
    """An awaited lookup is answered as a second ago."""

    async def alookup(self, scopes: Any, **how: Any) -> Standing:
        return self._a_second(tuple(scopes), int(time.monotonic()) // 60)

    @functools.lru_cache  # noqa: B019  # wrong on purpose
    def _a_second(self, scopes: tuple[bytes, ...], _: int) -> Standing:
        return self.lookup(scopes)


class ReadsOneByOne(SQLiteRevocationList):
    """A lookup is as many reads as it has scopes."""

    def lookup(self, scopes: Any, **how: Any) -> Standing:
        found = [super(ReadsOneByOne, self).lookup((scope,), **how) for scope in scopes]
        epochs = tuple(one.epochs[0] for one in found)
        return replace(found[-1], epochs=epochs, made=tuple(one.made[0] for one in found))


class RaisesForEach(SQLiteRevocationList):
    """Who shows a loss is believed by what stood before."""

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        found = self.lookup((scope,), checkpoint=witness.checkpoint)
        lost = forgotten(
            witness,
            everything=found.epochs[0],
            birth=found.birth,
            asked_reach=found.asked_reach,
            oldest=0,
        )
        return self.raise_epoch(scope) if lost else None


class CountsAnew(MemoryRevocationList):
    """A new birth forgets which numbers were given out."""

    def new_birth(self, prefix: bytes) -> int:
        birth = super().new_birth(prefix)
        self._go_on(prefix, self._histories[prefix]._replace(clock=0))
        return birth


WRONG: Any = globals()[os.environ.get("WRONG_LIST", "EndsLater")]


class TestWrong(RevocationListContract):
    persistent = WRONG.persistent

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.clock = FileClock(tmp_path / "clock")
        self.directory = tmp_path / "sessions"
        self.made = None if self.persistent else WRONG(self.clock)

    def opener(self) -> Callable[[], RevocationList]:
        if self.made is not None:
            return lambda: self.made
        return functools.partial(WRONG, self.directory, clock=self.clock, busy_timeout=30)

    def move_clock(self, seconds: float) -> None:
        self.clock.move(seconds)

    def cut_off(self) -> None:
        file = self.directory / FILE_NAME
        file.unlink()
        file.mkdir()
