"""SQLRevocationList: one list for many nodes, in a PostgreSQL or MariaDB that is there anyway.

`_sql_texts` says what is kept there, `_sql_talk` what is said to the server, `_sql_engines` and
`_sql_drivers` by which connections, `_answers` what a node may reuse.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial

from .._forks import watch_forks
from ..errors import InvalidArgument, InvalidSettings
from ..settings import SessionSettings
from ._answers import Answers
from ._sql_engines import Engines, NoTables
from ._sql_talk import Talk
from .base import LAST_EPOCH, RevocationList, Standing, Survey, Witness

_PURGED_AT_ONCE = 1_000


class SQLRevocationList(RevocationList):
    """A list in two tables of a PostgreSQL (13 or newer) or MariaDB (10.6 or newer) database.

    For any number of nodes. MySQL 8 should work as MariaDB does; it is not tested. The tables are
    made if they are missing and the user may make them; `duck-cookie-session sql-schema` prints
    them for whoever runs migrations.

    A check is one round trip. A raise is a transaction of its own, by connections of its own, so a
    request that the application rolls back never takes its logout back. It goes by the server's
    clock and is on the server's disk when it returns: where the server is set to report a commit
    before that, or is a replica, `RevocationListUnavailable` says what to change.

    Safe for threads, forks and event loops: each process, and each event loop, has a pool of
    20 connections of its own at most. Before its loop ends, a program calls `aclose()`. Awaitable
    calls to MariaDB use asyncmy or aiomysql, whichever is installed, or else threads.

    Expired entries are removed 500 at a time, at one raise in 25.

    Args:
        url: postgresql://, mariadb:// or mysql://, as SQLAlchemy reads it; without it the setting
            SESSION_REVOCATION_URL.
        max_staleness: seconds that lookups which allow it may reuse an answer; None takes the
            setting. Weakens: a revocation made on another node is seen that much later.
        timeout: seconds that connecting may take (PostgreSQL: whole ones, at least 2), waiting for
            a free connection, and each answer.
        clock: seconds, never going back; what `max_staleness` is measured by.

    Raises:
        InvalidSettings: the address can't be read, or no driver for it is installed.
    """

    persistent = True
    local = False

    def __init__(
        self,
        url: str | None = None,
        *,
        max_staleness: float | None = None,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if max_staleness is not None and not 0 <= max_staleness <= 3600:
            raise InvalidSettings(
                f"max_staleness is {max_staleness!r}; allowed: a number of seconds from 0 to 3,600."
            )
        if not 0.05 <= timeout <= 60:
            raise InvalidSettings(f"timeout is {timeout!r}; allowed: 0.05 to 60 seconds.")
        self._max_staleness = max_staleness
        self._timeout = timeout
        self._answers = Answers(clock)
        self._server: Engines | None = None
        if url is not None:
            self._reach(url)
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; see `RevocationList.bind`.

        Raises:
            InvalidSettings: there is no address, or one that can't be read.
        """
        if self._server is None:
            if settings.revocation_url is None:
                raise InvalidSettings(
                    "SQLRevocationList has no database: set SESSION_REVOCATION_URL "
                    "(revocation_url), as in postgresql://user@localhost/shop, or give url=."
                )
            self._reach(settings.revocation_url)
        wanted = settings.max_staleness if self._max_staleness is None else self._max_staleness
        bound_before = self._answers.max_staleness if self._bindings else wanted
        self._answers.max_staleness = min(wanted, bound_before)
        super().bind(settings)

    # The calls, plain and awaitable.

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return self._reached.run(lambda: self._talk.lookup(tuple(scopes), checkpoint))

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """`lookup`, awaitable."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return await self._reached.arun(lambda: self._talk.lookup(tuple(scopes), checkpoint))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the server's clock); see `RevocationList.raise_epoch`."""
        return self._reached.run(lambda: self._talk.raise_to(scope))

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return await self._reached.arun(lambda: self._talk.raise_to(scope))

    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`.

        The entry keeps the nonce, so the answer is the same on every node until it is raised again.
        """
        epoch = LAST_EPOCH if last else value
        return self._reached.run(lambda: self._talk.compare(scope, expected, nonce, epoch))

    async def acompare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        """`compare_and_raise`, awaitable."""
        epoch = LAST_EPOCH if last else value
        return await self._reached.arun(lambda: self._talk.compare(scope, expected, nonce, epoch))

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        self._reached.run(lambda: self._talk.raise_to(scope, LAST_EPOCH))

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await self._reached.arun(lambda: self._talk.raise_to(scope, LAST_EPOCH))

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        nonce = secrets.token_bytes(16)
        return self._reached.run(lambda: self._talk.raise_if_forgotten(scope, witness, nonce))

    async def araise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """`raise_if_forgotten`, awaitable."""
        nonce = secrets.token_bytes(16)
        return await self._reached.arun(
            lambda: self._talk.raise_if_forgotten(scope, witness, nonce)
        )

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        return self._reached.run(lambda: self._talk.new_birth(prefix))

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many.

        In steps of 1,000 entries, which lock nothing but the entries that they remove.
        """
        looked_at = removed = 0
        for prefix in tuple(self._bindings):
            after: bytes | None = prefix
            while after is not None:
                after, looked, gone = self._reached.run(
                    partial(self._talk.sweep, prefix, after, _PURGED_AT_ONCE)
                )
                looked_at += looked
                removed += gone
                if progress is not None:
                    progress(looked_at)
        return removed

    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application."""
        try:
            return self._reached.run(lambda: self._talk.knows(prefix), looks=True)
        except NoTables:
            return False

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are those of both tables."""
        return self._reached.run(lambda: self._talk.survey(prefix))

    def durability(self) -> str:
        """The server's settings by which a raise is on its disk when it returns; for `check`.

        Raises:
            RevocationListUnavailable: they are others, or the server can't be asked.
        """
        return self._reached.run(self._talk.durability)

    def server_time(self) -> float:
        """The server's clock, seconds since 1970; makes nothing in the list. For `check`."""
        return self._reached.run(self._talk.server_time)

    def save(self) -> None:
        """Nothing to do: every raise was durable when it returned."""

    async def asave(self) -> None:
        """`save`, awaitable."""

    def close(self) -> None:
        """Close this process's connections; those of event loops are for `aclose()`."""
        if self._server is not None:
            self._server.close()
        self._answers.forget()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of `close()`."""
        if self._server is not None:
            await self._server.aclose()
        self.close()

    def before_fork(self) -> None:
        """Hold off other threads, so that no lock is copied while held."""
        self._answers.lock.acquire()
        if self._server is not None:
            self._server.lock.acquire()
            self._talk.lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child, which makes connections of its own."""
        if self._server is not None:
            self._talk.lock.release()
            self._server.lock.release()
        self._answers.lock.release()

    def _reach(self, url: str) -> None:
        server = Engines(url, self._timeout, self._answers.forget)
        self._talk = Talk(server.dialect, server.where, self._timeout, self._answers, self.binding)
        self._server = server

    @property
    def _reached(self) -> Engines:
        if self._server is None:
            raise InvalidArgument("SQLRevocationList has no address until it is bound: give url=.")
        return self._server
