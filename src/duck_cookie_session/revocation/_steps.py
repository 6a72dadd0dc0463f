"""A talk with a server, written once and carried out by a plain client or an awaitable one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")
Made = TypeVar("Made")

Steps = Generator[Any, Any, Result]
"""Yields commands, is sent the replies, returns the result."""


def carry_out(
    steps: Steps[Result], send: Callable[[Any], Any], told: tuple[type[Exception], ...] = ()
) -> Result:
    """Carry out steps.

    Args:
        send: gives a command to the server and returns the reply.
        told: errors of `send` that are raised within the steps, which know what to do.
    """
    try:
        command = next(steps)
        while True:
            try:
                reply = send(command)
            except told as error:
                command = steps.throw(error)
            else:
                command = steps.send(reply)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()


async def acarry_out(
    steps: Steps[Result],
    send: Callable[[Any], Awaitable[Any]],
    told: tuple[type[Exception], ...] = (),
) -> Result:
    """`carry_out`, awaitable."""
    try:
        command = next(steps)
        while True:
            try:
                reply = await send(command)
            except told as error:
                command = steps.throw(error)
            else:
                command = steps.send(reply)
    except StopIteration as done:
        result: Result = done.value
        return result
    finally:
        steps.close()


class PerLoop(Generic[Made]):
    """One object for each event loop: connections can't be used by two. Guarded by the caller."""

    def __init__(self) -> None:
        self._made: WeakKeyDictionary[asyncio.AbstractEventLoop, Made] = WeakKeyDictionary()

    def __len__(self) -> int:
        """How many loops have one."""
        return len(self._made)

    def get(self) -> Made | None:
        """That of the running loop."""
        return self._made.get(asyncio.get_running_loop())

    def put(self, made: Made) -> None:
        """Keep one for the running loop, and drop those of loops that have ended."""
        for other in [other for other in self._made if other.is_closed()]:
            del self._made[other]  # its connections keep it from being collected
        self._made[asyncio.get_running_loop()] = made

    def pop(self) -> Made | None:
        """Take out that of the running loop."""
        return self._made.pop(asyncio.get_running_loop(), None)

    def take_all(self) -> list[Made]:
        """Take out all of them, as in a forked child."""
        made = list(self._made.values())
        self._made.clear()
        return made
