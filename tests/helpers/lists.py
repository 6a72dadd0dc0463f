"""Revocation lists that can be disturbed and say what they were asked; short questions to any."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from duck_cookie_session import (
    MemoryRevocationList,
    RevocationList,
    RevocationListUnavailable,
)
from duck_cookie_session.revocation.base import Standing, Witness


def epochs_of(revocations: RevocationList, *scopes: bytes) -> tuple[int, ...]:
    """The epochs that stand for these scopes."""
    return revocations.lookup(scopes).epochs


def age_of(revocations: RevocationList, scope: bytes) -> float | None:
    """Seconds since an entry was made or last raised; None without an entry."""
    standing = revocations.lookup((scope,))
    return (standing.now - standing.made[0]) / 1_000_000 if standing.epochs[0] else None


def compare(
    revocations: RevocationList, scope: bytes, expected: int, *, last: bool = False
) -> int | None:
    """A compare-and-raise of its own."""
    return revocations.compare_and_raise(scope, expected, nonce=secrets.token_bytes(16), last=last)


class SwitchableList(MemoryRevocationList):
    """A memory list that can stop answering, wholly or for changes only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.down = False
        self.read_only = False
        self.fails_after_raise = False
        self.asked: list[str] = []

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.down or (self.read_only and what != "lookup"):
            raise RevocationListUnavailable("The list of this test is switched off.")

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        self._answer("lookup")
        return super().lookup(scopes, checkpoint=checkpoint, fresh=fresh)

    def raise_epoch(self, scope: bytes) -> int:
        self._answer("raise_epoch")
        return super().raise_epoch(scope)

    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        self._answer("compare_and_raise")
        epoch = super().compare_and_raise(scope, expected, nonce=nonce, last=last, value=value)
        self.down = self.down or self.fails_after_raise
        return epoch

    def end(self, scope: bytes) -> None:
        self._answer("end")
        super().end(scope)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        self._answer("raise_if_forgotten")
        return super().raise_if_forgotten(scope, witness)


class NetworkList(SwitchableList):
    """A list that says of itself that a lookup goes over the network."""

    local = False
