"""What `check` looks at in a Redis or Valkey server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import redis

from .findings import Finding, bad, good, note

TIMEOUT = 5
FULL = 0.8
"""Part of maxmemory above which the server counts as nearly full."""


def check_redis(url: str, clock_skew: float) -> Iterator[Finding]:
    """Whether the server is durable and does not evict, its room, its role and its clock.

    Args:
        url: as in SESSION_REVOCATION_URL.
        clock_skew: seconds that clocks may differ by.
    """
    try:
        with contextlib.closing(_client(url)) as client:
            info = client.info()
            yield _check_role(info)
            yield _check_durable(info, _configured(client, "appendfsync"))
            yield _check_eviction(info)
            yield _check_room(info)
            yield _check_clock(client, clock_skew)
    except redis.RedisError as error:
        # Its class alone: the text may hold the address with its password.
        yield bad("server", f"could not be examined ({type(error).__name__}): is INFO allowed?")


def _client(url: str) -> Any:
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)


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
    after = time.time()
    off = abs(seconds + micros / 1e6 - (before + after) / 2) - (after - before) / 2
    off = max(off, 0.0)
    text = f"{off:.3f} s apart from this machine's"
    if off > clock_skew:
        return bad("clock", f"{text}, clock_skew allows {clock_skew:g} s: set both by NTP")
    return good("clock", text)
