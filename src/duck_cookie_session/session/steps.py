"""Steps: what has to ask the revocation list, written once for plain and for awaited calls.

Steps are a generator that yields its questions and is sent the answers. `run` drives it with plain
calls, `arun` with awaited ones. The answer to a `Lookup` is a `Standing`; to a `Raise` the new
epoch; to a `CompareAndRaise` and to a `RaiseIfForgotten` the new epoch or None; to an `End` None.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from typing import Any, NamedTuple, Protocol, TypeVar

from ..errors import RevocationListUnavailable
from ..revocation.base import RevocationList, Standing, Witness


class Lookup(NamedTuple):
    """What stands for these scopes? See `RevocationList.lookup`."""

    scopes: tuple[bytes, ...]
    checkpoint: int = 0
    fresh: bool = True

    def ask(self, revocations: RevocationList) -> Standing:
        """Ask with a plain call."""
        return revocations.lookup(self.scopes, checkpoint=self.checkpoint, fresh=self.fresh)

    async def aask(self, revocations: RevocationList) -> Standing:
        """Ask with an awaited call."""
        return await revocations.alookup(self.scopes, checkpoint=self.checkpoint, fresh=self.fresh)


class Raise(NamedTuple):
    """Raise a scope. See `RevocationList.raise_epoch`."""

    scope: bytes

    def ask(self, revocations: RevocationList) -> int:
        """Ask with a plain call."""
        return revocations.raise_epoch(self.scope)

    async def aask(self, revocations: RevocationList) -> int:
        """Ask with an awaited call."""
        return await revocations.araise_epoch(self.scope)


class CompareAndRaise(NamedTuple):
    """Raise a scope if it still stands so. See `RevocationList.compare_and_raise`."""

    scope: bytes
    expected: int
    last: bool = False
    value: int | None = None

    def ask(self, revocations: RevocationList) -> int | None:
        """Ask with a plain call."""
        nonce = secrets.token_bytes(16)
        return revocations.compare_and_raise(
            self.scope, self.expected, nonce=nonce, last=self.last, value=self.value
        )

    async def aask(self, revocations: RevocationList) -> int | None:
        """Ask with an awaited call."""
        nonce = secrets.token_bytes(16)
        return await revocations.acompare_and_raise(
            self.scope, self.expected, nonce=nonce, last=self.last, value=self.value
        )


class End(NamedTuple):
    """End a session or a group for good. See `RevocationList.end`."""

    scope: bytes

    def ask(self, revocations: RevocationList) -> None:
        """Ask with a plain call."""
        revocations.end(self.scope)

    async def aask(self, revocations: RevocationList) -> None:
        """Ask with an awaited call."""
        await revocations.aend(self.scope)


class RaiseIfForgotten(NamedTuple):
    """Raise everything if the list forgot. See `RevocationList.raise_if_forgotten`."""

    scope: bytes
    witness: Witness

    def ask(self, revocations: RevocationList) -> int | None:
        """Ask with a plain call."""
        return revocations.raise_if_forgotten(self.scope, self.witness)

    async def aask(self, revocations: RevocationList) -> int | None:
        """Ask with an awaited call."""
        return await revocations.araise_if_forgotten(self.scope, self.witness)


class Question(Protocol):
    """What steps ask: one of the above, or what an adapter has to wait for besides."""

    def ask(self, revocations: RevocationList) -> Any:
        """Ask with a plain call."""

    async def aask(self, revocations: RevocationList) -> Any:
        """Ask with an awaited call."""


Result = TypeVar("Result")
Steps = Generator[Question, Any, Result]


def run(revocations: RevocationList, steps: Steps[Result]) -> Result:
    """Carry out steps with plain calls."""
    try:
        question = next(steps)
        while True:
            try:
                answer = question.ask(revocations)
            except RevocationListUnavailable as error:
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result


async def arun(revocations: RevocationList, steps: Steps[Result]) -> Result:
    """Carry out steps with awaited calls; nothing waits for the network in between."""
    at_once = revocations.local  # then a lookup is a matter of microseconds
    try:
        question = next(steps)
        while True:
            try:
                if at_once and type(question) is Lookup:
                    answer: Any = question.ask(revocations)
                else:
                    answer = await question.aask(revocations)
            except RevocationListUnavailable as error:
                question = steps.throw(error)
            else:
                question = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result
