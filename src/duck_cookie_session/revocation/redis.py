"""RedisRevocationList: one list for many nodes, on a Redis or Valkey server.

`redis_format` says what is kept in the server, `staleness` what a node may reuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from .._forks import watch_forks
from .._log import logger
from ..errors import InvalidSettings, RevocationListUnavailable
from ..settings import SessionSettings
from ._answers import Answers
from ._counting import warn_made_anew
from ._redis_client import Connections, NoScriptError, Steps, check_url
from ._redis_format import (
    AGE,
    KEEP_RETENTION,
    MAKE_EVERYTHING,
    RAISE,
    Script,
    entry_pattern,
    epoch_of,
    key_of,
    made_of,
    script_keys,
)
from .base import PREFIX_BYTES, RevocationList, Survey, is_everything

_SCANNED_AT_ONCE = 1_000
_VERIFIED_FOR = 1.0  # seconds


class RedisRevocationList(RevocationList):
    """A list on one Redis (6 or newer) or Valkey server, for any number of nodes.

    A check is one round trip. A raise is one script in the server, by the server's clock. How
    much of it a crash of the server loses is for the server's settings to say (`appendonly`,
    `appendfsync`); a list that was lost whole is noticed.

    Safe for threads, forks and event loops: each process, and each event loop, has connections of
    its own. Before its loop ends, a program calls `aclose()`.

    Once a second, and after any error, the server is asked whether it is a primary and whether
    it may evict entries; where it is not, or may, `RevocationListUnavailable` says what to change.

    Args:
        url: redis://, rediss:// or unix://; without it, and without a client, the setting
            SESSION_REVOCATION_URL.
        client: a ready client instead (Sentinel, Cluster), with time-outs and retries of its own;
            it stays open at `close()`.
        async_client: the same of redis.asyncio, for one event loop. Without it, awaitable calls
            run `client` in threads.
        max_staleness: seconds that lookups which allow it may reuse an answer; None takes the
            setting. Weakens: a revocation made on another node is seen that much later.
        allow_eviction: accept a server that may evict entries, with a warning. Weakens: what it
            evicts are revocations, so sessions that were ended come back.
        timeout: seconds that connecting may take, waiting for a free connection, and each answer.
        clock: seconds, never going back; what `max_staleness` is measured by.
    """

    persistent = True
    local = False

    def __init__(
        self,
        url: str | None = None,
        *,
        client: Any = None,
        async_client: Any = None,
        max_staleness: float | None = None,
        allow_eviction: bool = False,
        timeout: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if max_staleness is not None and not 0 <= max_staleness <= 3600:
            raise InvalidSettings(
                f"max_staleness is {max_staleness!r}; allowed: a number of seconds from 0 to 3,600."
            )
        self._max_staleness = max_staleness
        self._allow_eviction = allow_eviction
        self._clock = clock
        self._answers = Answers(clock)
        self._verified: dict[bytes, float] = {}
        self._warned_of_eviction = False
        self._server = Connections(url, client, async_client, timeout, self._verified.clear)
        watch_forks(self)

    def bind(self, settings: SessionSettings) -> None:
        """Tell the list of an application; see `RevocationList.bind`.

        Raises:
            InvalidSettings: there is no address, or one that can't be read.
        """
        if self._server.need_address:
            if settings.revocation_url is None:
                raise InvalidSettings(
                    "RedisRevocationList has no server: set SESSION_REVOCATION_URL "
                    "(revocation_url), as in redis://localhost:6379/0, or give url= or client=."
                )
            check_url(settings.revocation_url)
            self._server.url = settings.revocation_url
        wanted = settings.max_staleness if self._max_staleness is None else self._max_staleness
        bound_before = self._answers.max_staleness if self._bindings else wanted
        self._answers.max_staleness = min(wanted, bound_before)
        super().bind(settings)

    # The calls, plain and awaitable.

    def lookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        """The epochs that stand now; see `RevocationList.lookup`."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes)
            if reused is not None:
                return reused
        return self._server.run(scopes[0], self._lookup(scopes))

    async def alookup(self, scopes: Sequence[bytes], *, fresh: bool = True) -> tuple[int, ...]:
        """`lookup`, awaitable."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes)
            if reused is not None:
                return reused
        return await self._server.arun(scopes[0], self._lookup(scopes))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the server's clock); see `RevocationList.raise_epoch`."""
        return self._server.run(scope, self._raise_any(scope))

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return await self._server.arun(scope, self._raise_any(scope))

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        """Raise if the epoch is `expected`; see `RevocationList.compare_and_raise`."""
        return self._server.run(scope, self._raise(scope, expected=expected, last=last))

    async def acompare_and_raise(
        self, scope: bytes, expected: int, *, last: bool = False
    ) -> int | None:
        """`compare_and_raise`, awaitable."""
        return await self._server.arun(scope, self._raise(scope, expected=expected, last=last))

    def end(self, scope: bytes) -> None:
        """Give a session its last epoch."""
        self._server.run(scope, self._raise(scope, last=True))

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await self._server.arun(scope, self._raise(scope, last=True))

    def age(self, scope: bytes) -> float | None:
        """Seconds since the entry was made or last raised, by the server; None without it."""
        return self._server.run(scope, self._age(scope))

    async def aage(self, scope: bytes) -> float | None:
        """`age`, awaitable."""
        return await self._server.arun(scope, self._age(scope))

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Nothing to do: the server drops entries when they expire. Gives 0."""
        return 0

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return 0

    def survey(self, prefix: bytes) -> Survey:
        """Count what is there for one application; the bytes are all that the server uses."""
        return self._server.run(prefix, self._survey(prefix))

    def save(self) -> None:
        """Nothing to do: when it writes to disk is for the server's settings to say."""

    async def asave(self) -> None:
        """`save`, awaitable."""

    def close(self) -> None:
        """Close this process's connections; those of event loops are for `aclose()`."""
        self._server.close()
        self._verified.clear()
        self._answers.forget()

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and those of `close()`."""
        await self._server.aclose()
        self.close()

    def before_fork(self) -> None:
        """Hold off other threads, so that no lock is copied while held."""
        self._server.lock.acquire()
        self._answers.lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child; redis-py gives the child connections of its own."""
        self._answers.lock.release()
        self._server.lock.release()

    # What each call says to the server, in steps.

    def _lookup(self, scopes: Sequence[bytes]) -> Steps[tuple[int, ...]]:
        if not self._is_verified(scopes[0]):
            yield from self._verify(scopes[0])
        answers = self._answers
        asked = answers.asking() if answers.max_staleness else None
        values = yield ("MGET", *map(key_of, scopes))
        epochs = [0 if value is None else epoch_of(value) for value in values]
        if None in values:
            for place, scope in enumerate(scopes):
                if values[place] is None and is_everything(scope):
                    epochs[place] = yield from self._make_everything(scope)
        if asked is not None:
            answers.keep(asked, scopes, epochs)
        return tuple(epochs)

    def _make_everything(self, scope: bytes) -> Steps[int]:
        binding = self.binding(scope)
        at_zero = "1" if binding.first_epoch_zero else "0"
        epoch, made = yield from _call(MAKE_EVERYTHING, scope, at_zero)
        if made:
            warn_made_anew(binding, self._server.where)
        return int(epoch)

    def _raise(
        self, scope: bytes, *, expected: int | None = None, last: bool = False
    ) -> Steps[int | None]:
        lives = 0 if is_everything(scope) else self._lives(scope)
        try:
            yield from self._verify(scope)
            epoch: int | None = yield from _call(
                RAISE, scope, lives, "" if expected is None else expected, "1" if last else "0"
            )
        finally:  # also where it failed or was cancelled: it may have been carried out
            self._answers.revoked(scope)
        return epoch

    def _raise_any(self, scope: bytes) -> Steps[int]:
        return (yield from self._raise(scope)) or 0  # never nil where nothing was expected

    def _age(self, scope: bytes) -> Steps[float | None]:
        yield from self._verify(scope)
        age: int | None = yield from _call(AGE, scope)
        return None if age is None else age / 1_000_000

    def _survey(self, prefix: bytes) -> Steps[Survey]:
        yield from self._verify(prefix)
        entries, oldest, cursor = 0, None, None
        while cursor != 0:
            cursor, keys = yield (
                "SCAN", cursor or 0, "MATCH", entry_pattern(prefix), "COUNT", _SCANNED_AT_ONCE
            )  # fmt: skip
            if isinstance(cursor, dict):  # a Cluster client: by node, here only one
                (cursor,) = cursor.values()
            values = (yield ("MGET", *keys)) if keys else ()
            made = [made_of(value) for value in values if value is not None]
            entries += len(made)
            oldest = min([*made, oldest or made[0]]) if made else oldest
        used = (yield ("INFO",)).get("used_memory")
        if oldest is None:
            return Survey(0, used, None, None)
        retention = (yield from _call(KEEP_RETENTION, prefix, self._lives(prefix))) / 1_000
        return Survey(entries, used, oldest / 1e6, oldest / 1e6 + retention)

    def _is_verified(self, scope: bytes) -> bool:
        until = self._verified.get(scope[:PREFIX_BYTES])
        return until is not None and self._clock() < until

    def _verify(self, scope: bytes) -> Steps[None]:
        """Whether the server may be believed: asked once a second and after each error."""
        if self._is_verified(scope):
            return
        until = self._clock() + _VERIFIED_FOR
        info = yield ("INFO",)
        if info.get("role") != "master":
            raise RevocationListUnavailable(
                f"The server of the revocation list ({self._server.where}) is a replica, which may "
                "lag behind: use the address of the primary, or a Sentinel or Cluster client."
            )
        policy = info.get("maxmemory_policy")
        if int(info.get("maxmemory") or 0) > 0 and policy != "noeviction":
            self._may_evict(str(policy))
        prefix = scope[:PREFIX_BYTES]
        if prefix not in self._verified:
            # Once, so that what others revoke lives as long as this node needs it.
            yield from _call(KEEP_RETENTION, scope, self._lives(scope))
        self._verified[prefix] = until

    def _lives(self, scope: bytes) -> int:
        return int(self.binding(scope).retention * 1_000)

    def _may_evict(self, policy: str) -> None:
        what = (
            f"The server of the revocation list ({self._server.where}) may evict entries "
            f"(maxmemory-policy {policy}), which would bring ended sessions back"
        )
        if not self._allow_eviction:
            raise RevocationListUnavailable(
                f"{what}: set maxmemory-policy to noeviction, or give the list a server of its "
                "own. RedisRevocationList(allow_eviction=True) accepts the risk."
            )
        if not self._warned_of_eviction:
            self._warned_of_eviction = True
            logger.warning("%s; allow_eviction=True accepts it.", what)


def _call(script: Script, scope: bytes, *arguments: object) -> Steps[Any]:
    """Run a script by its digest, and by its text if the server does not know it (any more)."""
    keys = script_keys(scope)
    rest = (len(keys), *keys, *arguments)
    try:
        reply = yield ("EVALSHA", script.sha, *rest)
    except NoScriptError:
        reply = yield ("EVAL", script.source, *rest)
    return reply
