"""Revocation lists that can be disturbed, and that say what they were asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from duck_cookie_session import MemoryRevocationList, RevocationListUnavailable


class SwitchableList(MemoryRevocationList):
    """A memory list that can stop answering, wholly or for changes only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.down = False
        self.read_only = False
        self.asked: list[str] = []

    def _answer(self, what: str) -> None:
        self.asked.append(what)
        if self.down or (self.read_only and what not in ("lookup", "age")):
            raise RevocationListUnavailable("The list of this test is switched off.")

    def lookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        self._answer("lookup")
        return super().lookup(scopes, fresh=fresh)

    def raise_epoch(self, scope: bytes) -> int:
        self._answer("raise_epoch")
        return super().raise_epoch(scope)

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        self._answer("compare_and_raise")
        return super().compare_and_raise(scope, expected, last=last)

    def end(self, scope: bytes) -> None:
        self._answer("end")
        super().end(scope)

    def age(self, scope: bytes) -> float | None:
        self._answer("age")
        return super().age(scope)


class NetworkList(SwitchableList):
    """A list that says of itself that a lookup goes over the network."""

    local = False
