"""Turns: tasks of an event loop that share a few connections, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from .._counting import Histogram

_AT_FIRST = 8
_ANSWERS_A_PLACE = 4


class NoAnswer(TimeoutError):
    """Nobody was answered for as long as an answer may take, so waiting on is of no use."""


class Turns:
    """Who may ask now. For the tasks of one event loop.

    A wait alone is never an error, however long it takes, while others are being answered. Few may
    ask at first, and more with every answer, so that not all connections are opened in one moment:
    an event loop that is busy with sixty of them takes too long over each.

    Args:
        places: how many may ask at once.
        timeout: seconds that an answer may take.
        waited: how long those waited who had to.
    """

    def __init__(self, places: int, timeout: float, waited: Histogram) -> None:
        self._free = min(places, _AT_FIRST)
        self._closed = places - self._free
        self._answers = 0
        self._timeout = timeout
        self._waited = waited
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._answered = -math.inf

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    async def take(self) -> None:
        """Wait for a turn; `give_back` ends it.

        Raises:
            NoAnswer: nobody was answered for `timeout` seconds.
        """
        if self._free:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        began, turn = loop.time(), loop.create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                await asyncio.wait({turn}, timeout=self._timeout)
                if not turn.done() and loop.time() - self._answered >= self._timeout:
                    raise NoAnswer(f"no answer to anybody for {self._timeout:g} s")
        except BaseException:  # cancelled, too; raised on
            if turn.done():
                self.give_back()
            else:
                turn.cancel()
            raise
        finally:
            self._waited.add(loop.time() - began)

    def answered(self) -> None:
        """Somebody was answered."""
        self._answered = asyncio.get_running_loop().time()
        self._answers += 1
        if self._closed and self._answers % _ANSWERS_A_PLACE == 0:
            self._closed -= 1
            self.give_back()

    def give_back(self) -> None:
        """End a turn: whoever has waited longest is next."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
