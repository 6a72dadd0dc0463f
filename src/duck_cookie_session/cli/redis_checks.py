"""What `check` looks at in a Redis or Valkey server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import redis

from ..revocation._redis_address import pools_of, read_address
from ..revocation._redis_format import key_of
from .findings import Finding, bad, check_clock, good, note

TIMEOUT = 5
FULL = 0.8
"""Part of maxmemory above which the server counts as nearly full."""


LOOKUPS = 20
"""Questions that the latency is measured by."""

SLOW = 0.5
"""Part of the list's time-out above which the slowest answer counts as too slow."""


def check_redis(
    url: str,
    clock_skew: float,
    *,
    scope: bytes = bytes(8) + b"*",
    min_replicas: int = 0,
    timeout: float = 0.25,
) -> Iterator[Finding]:
    """Whether the server is durable and does not evict, its replicas, room, role, clock and speed.

    Args:
        url: as in SESSION_REVOCATION_URL; behind Sentinels the primary is looked at, of a Cluster
            the node that keeps this application's list.
        clock_skew: seconds that clocks may differ by.
        scope: one of the application's.
        min_replicas: as in SESSION_MIN_REPLICAS.
        timeout: seconds that the list waits for an answer.
    """
    try:
        with contextlib.ExitStack() as stack:
            client = whole = read_address(url).connect(TIMEOUT)
            stack.callback(_disconnect, whole)
            if hasattr(whole, "get_node_from_key"):
                client = whole.get_redis_connection(whole.get_node_from_key(key_of(scope)))
            info = client.info()
            yield _check_role(info)
            yield _check_durable(info, _configured(client, "appendfsync"))
            yield _check_replicas(
                info, _configured(client, "min-replicas-to-write"), min_replicas, "+" in url[:16]
            )
            yield _check_eviction(info)
            yield _check_room(info)
            yield _check_clock(client, clock_skew)
            yield _check_latency(client, key_of(scope), timeout)
    except (redis.RedisError, redis.exceptions.RedisClusterException) as error:
        # Its class alone: the text may hold the address with its password.
        yield bad("server", f"could not be examined ({type(error).__name__}): is INFO allowed?")


def _disconnect(client: Any) -> None:
    for pool in pools_of(client):
        pool.disconnect()


def _configured(client: Any, name: str) -> str | None:
    """A setting of the server; None where CONFIG is not allowed, as on some hosted ones."""
    try:
        value = next(iter(client.config_get(name).values()), None)
    except redis.ResponseError:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _check_role(info: dict[str, Any]) -> Finding:
    if info.get("role") == "master":
        return good("role", "primary")
    return bad("role", "a replica, which lags behind: give the address of the primary")


def _check_durable(info: dict[str, Any], fsync: str | None) -> Finding:
    if not info.get("aof_enabled"):
        return bad("durable", "appendonly is off: a restart loses revocations; appendonly yes")
    if fsync == "always":
        return good("durable", "appendonly, appendfsync always")
    if fsync == "no":
        return bad("durable", "appendfsync no: a crash loses up to half a minute; everysec")
    if fsync == "everysec":
        return note("durable", "appendfsync everysec: a crash of the machine loses up to 1 s")
    return note("durable", "appendonly is on; appendfsync can't be seen here (CONFIG not allowed)")


def _check_replicas(
    info: dict[str, Any], to_write: str | None, min_replicas: int, may_fail_over: bool
) -> Finding:
    """Whether another server that takes over would have what was acknowledged."""
    replicas = int(info.get("connected_slaves") or 0)
    text = f"{replicas} replicas, min_replicas {min_replicas}"
    if not replicas and not may_fail_over and not min_replicas:
        return good("replicas", "none: no other server takes over")
    if not min_replicas:
        return bad("replicas", f"{text}: a failover loses what they lack; SESSION_MIN_REPLICAS")
    if replicas < min_replicas:
        return bad("replicas", f"{text}: the list refuses to answer until they are back")
    if to_write == "0":
        return bad("replicas", f"{text}, but min-replicas-to-write 0; set it to {min_replicas}")
    if replicas > min_replicas:
        return note("replicas", f"{text}: one without the newest revocations could take over")
    return good("replicas", text)


def _check_eviction(info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        return good("eviction", "noeviction")
    return bad("eviction", f"{policy}: revocations could be dropped; maxmemory-policy noeviction")


def _check_room(info: dict[str, Any]) -> Finding:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    if not most:
        return note("room", f"{used:,} bytes used, no maxmemory: the machine's memory is the limit")
    text = f"{used:,} of {most:,} bytes used"
    if used > FULL * most:
        return bad("room", f"{text}: a full server refuses revocations; raise maxmemory")
    return good("room", text)


def _check_clock(client: Any, clock_skew: float) -> Finding:
    before = time.time()
    seconds, micros = client.time()
    return check_clock(before, seconds + micros / 1e6, time.time(), clock_skew)


def _check_latency(client: Any, key: bytes, timeout: float) -> Finding:
    took = []
    for _ in range(LOOKUPS):
        began = time.perf_counter()
        client.execute_command("MGET", key)
        took.append(time.perf_counter() - began)
    took.sort()
    text = (
        f"{took[len(took) // 2] * 1_000:.1f} ms, at most {took[-1] * 1_000:.1f} ms "
        f"in {LOOKUPS} questions; time-out {timeout * 1_000:.0f} ms"
    )
    if took[-1] > SLOW * timeout:
        return bad("latency", f"{text}: too near; a nearer server or a longer timeout=")
    return good("latency", text)
