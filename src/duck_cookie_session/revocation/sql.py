"""SQLRevocationList: one list for many nodes, in a PostgreSQL or MariaDB that is there anyway.

`_network` has the calls, `_sql_texts` says what is kept there, `_sql_talk` what is said to the
server, `_sql_engines` and `_sql_drivers` by which connections, `_answers` what a node may reuse.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import cast

from ..errors import InvalidSettings
from ._network import NetworkList
from ._sql_engines import Engines, NoTables
from ._sql_talk import Talk

_PURGED_AT_ONCE = 1_000


class SQLRevocationList(NetworkList):
    """A list in two tables of a PostgreSQL (13 or newer) or MariaDB (10.6 or newer) database.

    For any number of nodes. MySQL 8 should work as MariaDB does; it is not tested. The tables are
    made if they are missing and the user may make them; `duck-cookie-session sql-schema` prints
    them for whoever runs migrations.

    A check is one round trip. A raise is a transaction of its own, by connections of its own, so a
    request that the application rolls back never takes its logout back. It goes by the server's
    clock and is on the server's disk when it returns: where the server is set to report a commit
    before that, or is a replica, `RevocationListUnavailable` says what to change.

    Safe for threads, forks and event loops: each process, and each event loop, has a pool of
    20 connections of its own at most. Those of a loop are closed when it ends as `asyncio.run` ends
    one, or by `aclose()`. Awaitable calls to MariaDB use asyncmy or aiomysql, whichever is
    installed, or else threads.

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

    _talk: Talk
    _no_address = (
        "database: set SESSION_REVOCATION_URL (revocation_url), as in "
        "postgresql://user@localhost/shop, or give url=."
    )

    def __init__(
        self,
        url: str | None = None,
        *,
        max_staleness: float | None = None,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_staleness, clock)
        if not 0.05 <= timeout <= 60:
            raise InvalidSettings(f"timeout is {timeout!r}; allowed: 0.05 to 60 seconds.")
        self._timeout = timeout
        if url is not None:
            self._reach(url)

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Remove entries older than their retention; returns how many.

        In steps of 1,000 entries, which lock nothing but the entries that they remove.
        """
        looked_at = removed = 0
        for prefix in tuple(self._bindings):
            after: bytes | None = prefix
            while after is not None:
                after, looked, gone = self._reached.run(
                    prefix, partial(self._talk.sweep, prefix, after, _PURGED_AT_ONCE)
                )
                looked_at += looked
                removed += gone
                if progress is not None:
                    progress(looked_at)
        return removed

    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application."""
        try:
            return cast(Engines, self._reached).run(
                prefix, lambda: self._talk.knows(prefix), looks=True
            )
        except NoTables:
            return False

    def durability(self) -> str:
        """The server's settings by which a raise is on its disk when it returns; for `check`.

        Raises:
            RevocationListUnavailable: they are others, or the server can't be asked.
        """
        return self._reached.run(b"", self._talk.durability)

    def server_time(self) -> float:
        """The server's clock, seconds since 1970; makes nothing in the list. For `check`."""
        return self._reached.run(b"", self._talk.server_time)

    def _locks(self) -> list[threading.RLock]:
        return super()._locks() + ([] if self._server is None else [self._talk.lock])

    def _reach(self, url: str) -> None:
        server = Engines(url, self._timeout, self._answers.forget, self.timings.waited)
        self._talk = Talk(server.dialect, server.where, self._timeout, self._answers, self.binding)
        self._server = server
