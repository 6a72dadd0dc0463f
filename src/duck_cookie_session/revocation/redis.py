"""RedisRevocationList: one list for many nodes, on a Redis or Valkey server.

`_redis_format` says what is kept in the server, `_redis_scripts` how it is changed, `_answers` what
a node may reuse.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

from .._forks import watch_forks
from .._log import logger
from ..errors import InvalidSettings, RevocationListUnavailable
from ..settings import SessionSettings
from ._answers import Answers
from ._history import random_name, warn_made_anew
from ._redis_client import Connections, NoScriptError, Steps, check_url
from ._redis_format import (
    checkpoint_key,
    entry_of,
    entry_pattern,
    key_of,
    nonce_key,
    own_keys,
    standing_of,
)
from ._redis_scripts import (
    BEGIN,
    CHECKPOINT_IS_DUE,
    NEW_BIRTH,
    RAISE,
    RAISE_IF_FORGOTTEN,
    Script,
)
from .base import LAST_EPOCH, PREFIX_BYTES, RevocationList, Standing, Survey, Witness, is_everything

_SCANNED_AT_ONCE = 1_000
_VERIFIED_FOR = 1.0  # seconds
_TRIES = 3


class _Verified(NamedTuple):
    """What was learned of a server that may be believed.

    Attributes:
        until: when it has to be asked again, seconds of the list's clock.
        ahead: microseconds since 1970 of the server's clock, less those of the list's clock.
    """

    until: float
    ahead: int


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
        self._verified: dict[bytes, _Verified] = {}
        self._told: set[bytes] = set()  # applications that the server knows of by this process
        self._warned_of_eviction = False
        self._server = Connections(url, client, async_client, timeout, self._forget)
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

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """What stands now; see `RevocationList.lookup`."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return self._server.run(scopes[0], self._lookup(scopes, checkpoint))

    async def alookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        """`lookup`, awaitable."""
        if not fresh and self._answers.max_staleness:
            reused = self._answers.reuse(scopes, checkpoint)
            if reused is not None:
                return reused
        return await self._server.arun(scopes[0], self._lookup(scopes, checkpoint))

    def raise_epoch(self, scope: bytes) -> int:
        """Raise to max(standing + 1, the server's clock); see `RevocationList.raise_epoch`."""
        return cast(int, self._server.run(scope, self._raise(scope)))

    async def araise_epoch(self, scope: bytes) -> int:
        """`raise_epoch`, awaitable."""
        return cast(int, await self._server.arun(scope, self._raise(scope)))

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

        The server keeps the answer for a minute, so that it is the same for every node.
        """
        steps = self._raise(scope, LAST_EPOCH if last else value, expected=expected, nonce=nonce)
        return self._server.run(scope, steps)

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
        steps = self._raise(scope, LAST_EPOCH if last else value, expected=expected, nonce=nonce)
        return await self._server.arun(scope, steps)

    def end(self, scope: bytes) -> None:
        """Give a session or a group its last epoch."""
        self._server.run(scope, self._raise(scope, LAST_EPOCH))

    async def aend(self, scope: bytes) -> None:
        """`end`, awaitable."""
        await self._server.arun(scope, self._raise(scope, LAST_EPOCH))

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """Raise everything if a token proves that the list forgot."""
        return self._server.run(scope, self._raise_if_forgotten(scope, witness))

    async def araise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        """`raise_if_forgotten`, awaitable."""
        return await self._server.arun(scope, self._raise_if_forgotten(scope, witness))

    def new_birth(self, prefix: bytes) -> int:
        """Draw a new birth for one application; see `RevocationList.new_birth`."""
        return cast(int, self._server.run(prefix, self._change(NEW_BIRTH, prefix + b"*", b"")))

    def purge(self, progress: Callable[[int], None] | None = None) -> int:
        """Nothing to do: the server drops entries when they expire. Gives 0."""
        return 0

    async def apurge(self) -> int:
        """`purge`, awaitable."""
        return 0

    def knows(self, prefix: bytes) -> bool:
        """Whether any process has used this list for an application; makes nothing."""
        return self._server.run(prefix, self._knows(prefix))

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
        self._forget()
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

    def _lookup(self, scopes: Sequence[bytes], checkpoint: int) -> Steps[Standing]:
        prefix = scopes[0][:PREFIX_BYTES]
        at, verified = self._clock(), self._verified.get(prefix)
        if verified is None or at >= verified.until:
            verified = yield from self._verify(prefix)
        answers = self._answers
        asked = answers.asking() if answers.max_staleness else None
        keys = ["MGET", *map(key_of, scopes), own_keys(prefix)[0]]
        if checkpoint:
            keys.append(checkpoint_key(prefix, checkpoint))
        keeps_birth = self._bindings[prefix].keeps_birth
        for _ in range(_TRIES):
            values = yield keys
            now = int(self._clock() * 1_000_000) + verified.ahead
            standing = standing_of(values, len(scopes), checkpoint, now, keeps_birth=keeps_birth)
            if standing is not None:
                if asked is not None:
                    answers.keep(asked, scopes, checkpoint, standing)
                return standing
            yield from self._begin(prefix)
        raise RevocationListUnavailable(
            f"The server of the revocation list ({self._server.where}) does not keep what is "
            "written to it: it is being emptied again and again."
        )

    def _begin(self, prefix: bytes) -> Steps[None]:
        """Have the server know the application, and how long this node needs its entries."""
        yield from self._run(BEGIN, prefix + b"*", b"")
        self._told.add(prefix)

    def _raise(
        self,
        scope: bytes,
        value: int | None = None,
        *,
        expected: int | None = None,
        nonce: bytes = b"",
    ) -> Steps[int | None]:
        """Raise to the clock, or to `value`; None where the epoch was not `expected`."""
        return (
            yield from self._change(
                RAISE,
                scope,
                nonce,
                "0" if is_everything(scope) else "1",
                "" if expected is None else expected,
                "" if value is None else value,
            )
        )

    def _raise_if_forgotten(self, scope: bytes, witness: Witness) -> Steps[int | None]:
        # A nonce of its own: whoever raised must be told so, or nobody logs why all were ended.
        nonce = secrets.token_bytes(16)
        key = checkpoint_key(scope[:PREFIX_BYTES], witness.checkpoint)
        return (yield from self._change(RAISE_IF_FORGOTTEN, scope, nonce, *witness, also=key))

    def _change(
        self, script: Script, scope: bytes, nonce: bytes, *arguments: object, also: bytes = b""
    ) -> Steps[int | None]:
        """Run a script that may raise; the epoch that it gives, if any."""
        try:
            if not self._is_verified(scope):
                yield from self._verify(scope[:PREFIX_BYTES])
            return (yield from self._run(script, scope, nonce, *arguments, also=also))
        finally:  # also where it failed or was cancelled: it may have been carried out
            self._answers.revoked(scope)

    def _run(
        self, script: Script, scope: bytes, nonce: bytes, *arguments: object, also: bytes = b""
    ) -> Steps[int | None]:
        prefix, binding = scope[:PREFIX_BYTES], self.binding(scope)
        lives, keeps_birth = int(binding.retention * 1_000), "1" if binding.keeps_birth else "0"
        rest = [nonce_key(prefix, nonce)] if nonce else []
        rest += [also] if also else []
        replaced = 0
        for _ in range(_TRIES):
            keys = (key_of(scope), *own_keys(prefix), checkpoint_key(prefix, replaced), *rest)
            epoch, begun, *newest = yield from _call(
                script, keys, random_name(), lives, keeps_birth, replaced, *arguments
            )
            if begun:
                warn_made_anew(binding, self._server.where)
            if epoch != CHECKPOINT_IS_DUE:
                return epoch or None
            replaced = int(newest[0])
        raise RevocationListUnavailable(
            f"The server of the revocation list ({self._server.where}) changes again and again, "
            "or its clock jumps: nothing can be revoked on it."
        )

    def _knows(self, prefix: bytes) -> Steps[bool]:
        yield from self._examine()
        return (yield ("GET", own_keys(prefix)[0])) is not None

    def _survey(self, prefix: bytes) -> Steps[Survey]:
        yield from self._examine()
        entries, oldest, cursor = 0, None, None
        while cursor != 0:
            cursor, keys = yield (
                "SCAN", cursor or 0, "MATCH", entry_pattern(prefix), "COUNT", _SCANNED_AT_ONCE
            )  # fmt: skip
            if isinstance(cursor, dict):  # a Cluster client: by node, here only one
                (cursor,) = cursor.values()
            values = (yield ("MGET", *keys)) if keys else ()
            made = [entry_of(value)[1] for value in values if value is not None]
            entries += len(made)
            oldest = min([*made, oldest or made[0]]) if made else oldest
        used = (yield ("INFO",)).get("used_memory")
        if oldest is None:
            return Survey(0, used, None, None)
        kept = int((yield ("GET", own_keys(prefix)[1])) or 0) / 1_000
        retention = max(kept, self.binding(prefix).retention)
        return Survey(entries, used, oldest / 1e6, oldest / 1e6 + retention)

    def _is_verified(self, scope: bytes) -> bool:
        verified = self._verified.get(scope[:PREFIX_BYTES])
        return verified is not None and self._clock() < verified.until

    def _verify(self, prefix: bytes) -> Steps[_Verified]:
        """Whether the server may be believed: asked once a second and after each error."""
        until = self._clock() + _VERIFIED_FOR
        yield from self._examine()
        seconds, micros = yield ("TIME",)
        ahead = seconds * 1_000_000 + micros - int(self._clock() * 1_000_000)
        if prefix not in self._told:
            # Once, so that what others revoke lives as long as this node needs it.
            yield from self._begin(prefix)
        verified = self._verified[prefix] = _Verified(until, ahead)
        return verified

    def _examine(self) -> Steps[None]:
        info = yield ("INFO",)
        if info.get("role") != "master":
            raise RevocationListUnavailable(
                f"The server of the revocation list ({self._server.where}) is a replica, which may "
                "lag behind: use the address of the primary, or a Sentinel or Cluster client."
            )
        policy = info.get("maxmemory_policy")
        if int(info.get("maxmemory") or 0) > 0 and policy != "noeviction":
            self._may_evict(str(policy))

    def _forget(self) -> None:
        """What was learned of the server: it may be another one by now."""
        self._verified.clear()
        self._told.clear()

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


def _call(script: Script, keys: Sequence[bytes], *arguments: object) -> Steps[Any]:
    """Run a script by its digest, and by its text if the server does not know it (any more)."""
    rest = (len(keys), *keys, *arguments)
    try:
        reply = yield ("EVALSHA", script.sha, *rest)
    except NoScriptError:
        reply = yield ("EVAL", script.source, *rest)
    return reply
