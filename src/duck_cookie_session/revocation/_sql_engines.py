"""Pools of connections to a database: one for each process, one for each event loop.

Every connection commits each statement by itself and sends nothing unasked, so that a check is one
round trip. Every wait ends: for connecting, for a free connection, and for each answer.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

from .._counting import Histogram
from ..errors import RevocationListUnavailable
from ._sql_drivers import (
    CONNECTIONS,
    URL,
    AsyncEngine,
    DBAPIError,
    SQLAlchemyError,
    make_async_engine,
    make_engine,
    read_url,
)
from ._sql_texts import POSTGRESQL, Rows, Statement, in_hex
from ._steps import PerLoop, Result, Steps, acarry_out, carry_out
from ._turns import NoAnswer, Turns

_TRIES = 4
_FAILURES = (SQLAlchemyError, OSError, EOFError)  # OSError: time-outs too

# What servers say: no such table; made by another process at this moment; a deadlock, of which
# everybody may try again; writes to a server that only reads.
_NO_TABLE = {"42P01", 1146}
_MADE_MEANWHILE = {"42P07", "23505", 1050}
_DEADLOCK = {"40P01", "40001", 1213}
_READ_ONLY = {"25006", 1290, 1792, 1836}


class NoTables(Exception):
    """The tables are not there."""


class _OfLoop(NamedTuple):
    """What one event loop has: connections, the turns that its tasks take, and its end."""

    engine: AsyncEngine
    turns: Turns
    until_it_ends: AsyncGenerator[None, None]


class Engines:
    """Engines made from an address, and how they carry out steps.

    Args:
        url: the address.
        timeout: seconds for connecting, for a free connection, and for each answer.
        on_error: called when the server could not be asked.
        waited: how long was waited for a free connection.

    Raises:
        InvalidSettings: the address can't be read, or no driver for it is installed.
    """

    def __init__(
        self, url: str | URL, timeout: float, on_error: Callable[[], None], waited: Histogram
    ) -> None:
        self._url, self.dialect, self._async_url = read_url(url)
        self.lock: threading.RLock = threading.RLock()
        self._timeout = timeout
        self._on_error = on_error
        self._waited = waited
        self._engine: Any = None
        self._async_engines: PerLoop[_OfLoop] = PerLoop()
        self._pid = os.getpid()
        self._of_parent: list[
            Any
        ] = []  # never used, never closed: the connections are the parent's

    @property
    def where(self) -> str:
        """The server as messages show it: without a password."""
        host = self._url.host or "this machine"
        port = f":{self._url.port}" if self._url.port else ""
        return f"{self.dialect.name} at {host}{port}, database {self._url.database}"

    def close(self) -> None:
        """Close this process's idle connections; calls under way end as they would have."""
        with self.lock:
            engine, self._engine = self._engine, None
        if engine is not None and os.getpid() == self._pid:
            engine.dispose()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        found = self._async_engines.pop()
        if found is not None:
            await found.until_it_ends.aclose()

    def run(
        self, scope: bytes, make: Callable[[], Steps[Result]], *, looks: bool = False
    ) -> Result:
        """Carry out the steps that `make` gives, again where that may help.

        Args:
            scope: of no use here.
            looks: whether missing tables are an error, instead of being made.

        Raises:
            NoTables: there are none, and they were only to be looked into.
            RevocationListUnavailable: the server can't be asked.
        """
        tried = 0
        while True:
            started = time.monotonic()
            try:
                with self._connection() as connection:
                    try:
                        return carry_out(make(), functools.partial(self._send, connection))
                    except BaseException:  # Ctrl-C too: no transaction may stay open; raised on
                        connection.invalidate()
                        raise
            except _FAILURES as error:
                tried += 1
                missing = self._after(error, tried, started)
            if missing and looks:
                raise NoTables
            if missing:
                self.run(scope, self._make_tables)

    async def arun(self, scope: bytes, make: Callable[[], Steps[Result]]) -> Result:
        """`run`, awaitable."""
        if self._async_url is None:
            return await asyncio.to_thread(self.run, scope, make)
        engine, turns, _ = await self._connected_async()
        try:
            async with turns:
                return await self._in_turn(engine, turns, make)
        except NoAnswer as error:
            raise self._unavailable(error, None) from error

    async def _in_turn(
        self, engine: AsyncEngine, turns: Turns, make: Callable[[], Steps[Result]]
    ) -> Result:
        tried = 0
        while True:
            started = time.monotonic()
            try:
                async with asyncio.timeout(None) as bound:
                    send = functools.partial(self._asend, bound, turns)
                    bound.reschedule(self._deadline())
                    async with engine.connect() as connection:
                        try:
                            return await acarry_out(make(), functools.partial(send, connection))
                        except BaseException:  # cancelled, too; raised on
                            if not bound.expired():
                                bound.reschedule(None)
                            await connection.invalidate()
                            raise
            except _FAILURES as error:
                tried += 1
                missing = self._after(error, tried, started)
            if missing:
                await self._in_turn(engine, turns, self._make_tables)

    def _deadline(self) -> float | None:
        """When an awaitable call has waited long enough; psycopg looks after that itself."""
        if self.dialect is POSTGRESQL:
            return None
        return asyncio.get_running_loop().time() + self._timeout

    def _send(self, connection: Any, statement: Statement) -> Rows:
        return _rows(connection.exec_driver_sql(*self._spelled(statement)))

    async def _asend(
        self, bound: asyncio.Timeout, turns: Turns, connection: Any, statement: Statement
    ) -> Rows:
        bound.reschedule(self._deadline())
        result = await connection.exec_driver_sql(*self._spelled(statement))
        turns.answered()
        return _rows(result)

    def _spelled(self, statement: Statement) -> Statement:
        return statement if self.dialect is POSTGRESQL else in_hex(statement)

    def _make_tables(self) -> Steps[None]:
        for table in self.dialect.tables:
            yield table, ()

    def _after(self, error: Exception, tried: int, started: float) -> bool:
        """Whether the tables are to be made; raises where trying again is of no use."""
        self._on_error()
        code = _code(error)
        if tried < _TRIES:
            if code in _NO_TABLE:
                return True
            if code in _MADE_MEANWHILE or code in _DEADLOCK:
                return False
            # Of a connection that the server had dropped; a time-out is not tried again.
            dropped = isinstance(error, DBAPIError) and error.connection_invalidated
            if dropped and tried == 1 and time.monotonic() - started < self._timeout:
                return False
        raise self._unavailable(error, code) from error

    def _unavailable(self, error: Exception, code: object) -> RevocationListUnavailable:
        said = getattr(error, "orig", None) or error  # without the statement and its values
        if code in _READ_ONLY:
            advice = (
                "It only reads, as a replica does: use the address of the server that is written to"
            )
        else:
            advice = (
                "Check that the server runs, is reachable from here, has room left, and that "
                "this user may read and write the tables that `duck-cookie-session sql-schema` "
                "prints"
            )
        text = " ".join(str(said).split()) or "no answer in time"
        return RevocationListUnavailable(
            f"The revocation list on {self.where} can't be asked "
            f"({type(said).__name__}: {text}). {advice}."
        )

    def _leave_to_parent(self) -> None:
        """In a forked child: the connections are the parent's, and closing them would say so."""
        with self.lock:
            if self._pid != os.getpid():
                self._of_parent += [self._engine, *self._async_engines.take_all()]
                self._engine = None
                self._pid = os.getpid()

    def _connected(self) -> Any:
        if self._pid != os.getpid():
            self._leave_to_parent()
        engine = self._engine
        if engine is None:
            with self.lock:
                if self._engine is None:
                    self._engine = make_engine(self._url, self._timeout)
                engine = self._engine
        return engine

    def _connection(self) -> Any:
        """A connection for `with`; waits for one where all are in use."""
        engine = self._connected()
        if engine.pool.checkedout() < CONNECTIONS:
            return engine.connect()
        began = time.monotonic()
        try:
            return engine.connect()
        finally:
            self._waited.add(time.monotonic() - began)

    async def _connected_async(self) -> _OfLoop:
        """What the running event loop has, made at first need."""
        if self._pid != os.getpid():
            self._leave_to_parent()
        found = self._async_engines.get()
        if found is None:
            assert self._async_url is not None  # noqa: S101  # for mypy: arun has looked
            with self.lock:
                engine = make_async_engine(self._async_url, self._timeout)
                turns = Turns(CONNECTIONS, self._timeout, self._waited)
                found = _OfLoop(engine, turns, _until_its_loop_ends(engine))
                self._async_engines.put(found)
            await anext(found.until_it_ends)  # which waits for nothing
        return found


async def _until_its_loop_ends(engine: AsyncEngine) -> AsyncGenerator[None, None]:
    """Closes the connections when it is closed, as whoever ends an event loop does by itself.

    A loop that lives for one request, as for an async view under WSGI, would leave them open until
    the garbage is collected, and the server has room for few.
    """
    made_in = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == made_in:  # else they are the parent's
            await engine.dispose()


def _rows(result: Any) -> Rows:
    return [tuple(row) for row in result] if result.returns_rows else []


def _code(error: Exception) -> object:
    """What the server calls the error: five characters in PostgreSQL, a number in MariaDB."""
    said = getattr(error, "orig", None)
    number = said.args[0] if said is not None and said.args else None
    return number if isinstance(number, int) else getattr(said, "sqlstate", None)
