"""What RedisRevocationList says to the server for each of its calls, as steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from .._log import logger
from ..errors import RevocationListUnavailable
from ._answers import Answers
from ._history import random_name, warn_made_anew
from ._redis_client import Locate, NoScriptError, Replicated
from ._redis_format import (
    checkpoint_key,
    entry_of,
    entry_pattern,
    key_of,
    keys_of,
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
from ._steps import Steps
from .base import PREFIX_BYTES, Binding, Standing, Survey, Witness, is_everything

_SCANNED_AT_ONCE = 1_000
_VERIFIED_FOR = 1.0  # seconds
_RENEWED_AFTER = 0.75
_TRIES = 3
_MOST_LAG = 2
"""Whole seconds since a replica last told the primary that it lives, which it does once a second.
With the second for which a server stays verified, that is how long one that was cut off from its
replicas goes on being believed: under five seconds."""


class _Verified(NamedTuple):
    """What was learned of a server that may be believed.

    Attributes:
        until: how long that holds, seconds of the list's clock.
        renew: when somebody has to ask again; the others go by what is known meanwhile.
        ahead: microseconds since 1970 of the server's clock, less those of the list's clock.
    """

    until: float
    renew: float
    ahead: int


class Asking:
    """The steps of each call, and what is known of the server by now.

    Args:
        bindings: of each application, by its prefix.
        answers: where those that may be reused are kept.
        clock: seconds, never going back.
        allow_eviction: whether a server that may evict is accepted, with a warning.
    """

    def __init__(
        self,
        bindings: Mapping[bytes, Binding],
        answers: Answers,
        clock: Callable[[], float],
        *,
        allow_eviction: bool,
    ) -> None:
        self.where = ""  # the server, as messages show it
        self.min_replicas = 0
        self._bindings = bindings
        self._answers = answers
        self._clock = clock
        self._allow_eviction = allow_eviction
        self._verified: dict[bytes, _Verified] = {}
        self._told: set[bytes] = set()  # applications that the server knows of by this process
        self._warned_of_eviction = False

    def lookup(self, scopes: Sequence[bytes], checkpoint: int) -> Steps[Standing]:
        """What stands now; one round trip where the server was verified lately."""
        prefix = scopes[0][:PREFIX_BYTES]
        at, verified = self._clock(), self._verified.get(prefix)
        if verified is None or at >= verified.renew:
            verified = yield from self._verify(prefix)
        answers = self._answers
        asked = answers.asking() if answers.max_staleness else None
        command = ("MGET", *keys_of(scopes, checkpoint))
        keeps_birth = self._bindings[prefix].keeps_birth
        for _ in range(_TRIES):
            values = yield command
            now = int(self._clock() * 1_000_000) + verified.ahead
            standing = standing_of(values, scopes, checkpoint, now, keeps_birth=keeps_birth)
            if standing is not None:
                if asked is not None:
                    answers.keep(asked, scopes, checkpoint, standing)
                return standing
            yield from self._begin(prefix)
        raise RevocationListUnavailable(
            f"The server of the revocation list ({self.where}) does not keep what is "
            "written to it: it is being emptied again and again."
        )

    def _begin(self, prefix: bytes) -> Steps[None]:
        """Have the server know the application, and how long this node needs its entries."""
        yield from self._run(BEGIN, prefix + b"*", b"")
        self._told.add(prefix)

    def raise_to(self, scope: bytes, value: int | None = None) -> Steps[int]:
        """Raise to the clock, or to `value`."""
        return cast(Steps[int], self._raise(scope, b"", "", value))

    def compare(
        self, scope: bytes, expected: int, nonce: bytes, value: int | None
    ) -> Steps[int | None]:
        """Raise to the clock, or to `value`; None where the epoch was not `expected`."""
        return self._raise(scope, nonce, expected, value)

    def _raise(
        self, scope: bytes, nonce: bytes, expected: int | str, value: int | None
    ) -> Steps[int | None]:
        everything = "1" if is_everything(scope) else "0"
        to = "" if value is None else value
        return self._change(RAISE, scope, nonce, everything, expected, to)

    def raise_if_forgotten(self, scope: bytes, witness: Witness, nonce: bytes) -> Steps[int | None]:
        """Raise everything if that is proven; the new epoch, or None."""
        key = checkpoint_key(scope[:PREFIX_BYTES], witness.checkpoint)
        return self._change(RAISE_IF_FORGOTTEN, scope, nonce, *witness, also=key)

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
        prefix, binding = scope[:PREFIX_BYTES], self._binding(scope)
        lives, keeps_birth = int(binding.retention * 1_000), "1" if binding.keeps_birth else "0"
        rest = [nonce_key(prefix, nonce)] if nonce else []
        rest += [also] if also else []
        replaced = 0
        for _ in range(_TRIES):
            keys = (key_of(scope), *own_keys(prefix), checkpoint_key(prefix, replaced), *rest)
            epoch, begun, *newest = yield from self._call(
                script, keys, random_name(), lives, keeps_birth, replaced, *arguments
            )
            if begun:
                warn_made_anew(binding, self.where)
            if epoch != CHECKPOINT_IS_DUE:
                return epoch or None
            replaced = int(newest[0])
        raise RevocationListUnavailable(
            f"The server of the revocation list ({self.where}) changes again and again, "
            "or its clock jumps: nothing can be revoked on it."
        )

    def new_birth(self, prefix: bytes) -> Steps[int]:
        """Draw a new birth, and give it."""
        return cast(Steps[int], self._change(NEW_BIRTH, prefix + b"*", b""))

    def knows(self, prefix: bytes) -> Steps[bool]:
        """Whether any process has used the list for this application."""
        yield from self._examine()
        return (yield ("GET", own_keys(prefix)[0])) is not None

    def survey(self, prefix: bytes) -> Steps[Survey]:
        """Count the entries, by a scan."""
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
        retention = max(kept, self._binding(prefix).retention)
        return Survey(entries, used, oldest / 1e6, oldest / 1e6 + retention)

    def _is_verified(self, scope: bytes) -> bool:
        verified = self._verified.get(scope[:PREFIX_BYTES])
        return verified is not None and self._clock() < verified.renew

    def _verify(self, prefix: bytes) -> Steps[_Verified]:
        """Whether the server may be believed: asked once a second and after each error."""
        at, known = self._clock(), self._verified.get(prefix)
        if known is not None:
            self._verified[prefix] = known._replace(renew=known.until)
        yield from self._examine()
        seconds, micros = yield ("TIME",)
        ahead = seconds * 1_000_000 + micros - int(self._clock() * 1_000_000)
        if prefix not in self._told:
            # Once, so that what others revoke lives as long as this node needs it.
            yield from self._begin(prefix)
        verified = self._verified[prefix] = _Verified(
            at + _VERIFIED_FOR, at + _RENEWED_AFTER, ahead
        )
        return verified

    def _examine(self) -> Steps[None]:
        yield Locate.PRIMARY
        info = yield ("INFO",)
        if info.get("role") != "master":
            yield Locate.NODES  # a Cluster's may have changed places
            info = yield ("INFO",)
        if info.get("role") != "master":
            raise RevocationListUnavailable(
                f"The server of the revocation list ({self.where}) is a replica, which may "
                "lag behind: use the address of the primary, or one of redis+sentinel:// or "
                "redis+cluster://."
            )
        if self.min_replicas and (replicas := _replicas_of(info)) < self.min_replicas:
            raise RevocationListUnavailable(
                f"The primary of the revocation list ({self.where}) has {replicas} replicas that "
                f"keep up, min_replicas (SESSION_MIN_REPLICAS) asks for {self.min_replicas}: it "
                "may be cut off from the others, which may have another primary by now. Bring the "
                "replicas back, or lower min_replicas."
            )
        policy = info.get("maxmemory_policy")
        if int(info.get("maxmemory") or 0) > 0 and policy != "noeviction":
            self._may_evict(str(policy))

    def forget(self) -> None:
        """What was learned of the server: it may be another one by now."""
        self._verified.clear()
        self._told.clear()

    def _binding(self, scope: bytes) -> Binding:
        return self._bindings[scope[:PREFIX_BYTES]]

    def _may_evict(self, policy: str) -> None:
        what = (
            f"The server of the revocation list ({self.where}) may evict entries "
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

    def _call(self, script: Script, keys: Sequence[bytes], *arguments: object) -> Steps[Any]:
        """Run a script by its digest, and by its text if the server does not know it (any more).

        Raises:
            RevocationListUnavailable: too few replicas confirmed in time that they have it.
        """
        rest = (len(keys), *keys, *arguments)
        try:
            reply = yield from self._changing("EVALSHA", script.sha, *rest)
        except NoScriptError:
            reply = yield from self._changing("EVAL", script.source, *rest)
        return reply

    def _changing(self, *command: Any) -> Steps[Any]:
        if not self.min_replicas:
            return (yield command)
        reply, confirmed = yield Replicated(command, self.min_replicas)
        if confirmed < self.min_replicas:
            self.forget()
            raise RevocationListUnavailable(
                f"Only {confirmed} of the {self.min_replicas} replicas that min_replicas "
                f"(SESSION_MIN_REPLICAS) asks for confirmed in time a change to the revocation "
                f"list ({self.where}). What came of it is not known: the primary has it, and may "
                "keep it or lose it to another primary. Repeat a logout until it returns."
            )
        return reply


def _replicas_of(info: Mapping[str, Any]) -> int:
    """How many replicas the primary has heard of lately, by its INFO."""
    found = 0
    for number in range(int(info.get("connected_slaves") or 0)):
        replica = info.get(f"slave{number}")
        if isinstance(replica, dict) and replica.get("state") == "online":
            found += int(replica.get("lag", _MOST_LAG + 1)) <= _MOST_LAG
    return found
