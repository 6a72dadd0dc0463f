"""Addresses of a Redis list, and the clients that are made from them.

    redis://user:password@host:6379/0                       one server (rediss:// with TLS)
    unix:///path/to/socket?db=0                             one server, on this machine
    redis+sentinel://user:password@host:26379,host2/service/0     the primary that Sentinels name
    redis+cluster://user:password@host:6379,host2           the nodes of a Cluster

`rediss+sentinel` and `rediss+cluster` are the same with TLS. User and password are those of the
server; `?sentinel_username=` and `?sentinel_password=` those of the Sentinels. Other options are
redis-py's, as in `?ssl_ca_certs=/path`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, parse_url
from redis.exceptions import ConnectionError as NotConnected
from redis.retry import Retry

from .._checks import REDIS_SCHEMES
from ..errors import InvalidSettings

# Classes of redis-py without types.
_Node: Any = redis.cluster.ClusterNode
_Sentinel: Any = redis.sentinel.Sentinel
_SentinelPool: Any = redis.sentinel.SentinelConnectionPool
_AsyncSentinel: Any = redis.asyncio.sentinel.Sentinel
_parse_url: Any = parse_url

CONNECTIONS = 64
"""Of one event loop, to one server."""
_THREADS = 10_000
_DEFAULT_TIMEOUT = inspect.signature(AbstractConnection.__init__).parameters["socket_timeout"]


@dataclass(frozen=True)
class Address:
    """An address that was read.

    Attributes:
        where: as messages show it: without a password.
        kind: "", "sentinel" or "cluster".
        url: of one server.
        hosts: of the Sentinels, or of some nodes of the Cluster.
        service: the name that the Sentinels know the primary by.
        options: of redis-py, for each connection to a server.
        sentinel: of redis-py, for each connection to a Sentinel.
    """

    where: str
    kind: str = ""
    url: str = field(default="", repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    sentinel: dict[str, Any] = field(default_factory=dict, repr=False)

    def connect(self, timeout: float) -> Any:
        """A client for the threads of this process; asks nothing yet, but of a Cluster.

        Args:
            timeout: seconds for connecting, and for each answer.
        """
        times = _times(timeout)
        options = {**self.options, **times, "retry": _once(Retry)}
        if self.kind == "cluster":
            nodes = [_Node(host, port) for host, port in self.hosts]
            return redis.cluster.RedisCluster(
                startup_nodes=nodes, require_full_coverage=False, **options
            )
        # As many connections as threads ask at once.
        if self.kind == "sentinel":
            asked = _Sentinel(
                self.hosts, sentinel_kwargs={**self.sentinel, **times, "retry": _once(Retry)}
            )
            pool: Any = _SentinelPool(self.service, asked, max_connections=_THREADS, **options)
        else:
            pool = redis.ConnectionPool.from_url(self.url, max_connections=_THREADS, **options)
        return redis.Redis(connection_pool=pool)

    def connect_async(self, timeout: float) -> Any:
        """A client for the tasks of one event loop; asks nothing yet.

        Args:
            timeout: seconds for connecting, and for each answer.
        """
        times = _times(timeout)
        options = {**self.options, **times, "retry": _once(AsyncRetry)}
        if self.kind == "cluster":
            nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in self.hosts]
            return redis.asyncio.RedisCluster(
                startup_nodes=nodes,
                require_full_coverage=False,
                max_connections=CONNECTIONS,
                **options,
            )
        if self.kind == "sentinel":
            asked = _AsyncSentinel(
                self.hosts, sentinel_kwargs={**self.sentinel, **times, "retry": _once(AsyncRetry)}
            )
            pool: Any = _PrimaryPool(self.service, asked, max_connections=CONNECTIONS, **options)
        else:
            pool = redis.asyncio.ConnectionPool.from_url(
                self.url, max_connections=CONNECTIONS, **options
            )
        return redis.asyncio.Redis(connection_pool=pool)


class _PrimaryPool(redis.asyncio.sentinel.SentinelConnectionPool):
    """Drops connections to a server that is the primary no more, also those that were in use."""

    def __init__(self, service: str, asked: Any, **options: Any) -> None:
        super().__init__(service, asked, **options)  # type: ignore[no-untyped-call]  # redis-py's

    async def release(self, connection: Any) -> None:
        if (connection.host, connection.port) != self.master_address:
            await connection.disconnect()
        await super().release(connection)


def _times(timeout: float) -> dict[str, Any]:
    # Protocol 2 needs no greeting.
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "protocol": 2}


def _once(retry: Any) -> Any:
    """Again for a connection that the server had dropped; a time-out is not tried again."""
    return retry(NoBackoff(), 1, (NotConnected,))


def read_address(url: str) -> Address:
    """Read an address.

    Raises:
        InvalidSettings: it is of another kind or can't be read; it is not shown, as it may hold a
            password.
    """
    if not isinstance(url, str) or not url.startswith(REDIS_SCHEMES):
        raise InvalidSettings(
            "url (SESSION_REVOCATION_URL) has another scheme; allowed: "
            + ", ".join(REDIS_SCHEMES)
            + "."
        )
    try:
        address = _read(url)
        _try(address)
    except (ValueError, TypeError):
        raise InvalidSettings(
            "url (SESSION_REVOCATION_URL) can't be read: its port is a number, its options are "
            "those of redis-py, and in a password / ? # @ are written %2F %3F %23 %40. With "
            "Sentinel it is redis+sentinel://host,host/service/0, with a Cluster "
            "redis+cluster://host,host."
        ) from None
    return address


def _read(url: str) -> Address:
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    where = f"{parts.scheme}://{hosts}{parts.path}"
    scheme, _, kind = parts.scheme.partition("+")
    if not kind:
        return Address(where, url=url)
    service, _, database = parts.path.lstrip("/").partition("/")
    if kind == "cluster":
        service, database = "", service
        if database not in ("", "0"):
            raise ValueError("a Cluster has database 0 only")
    elif not service:
        raise ValueError("no service is named")
    if database and not database.isdecimal():
        raise ValueError("the database is no number")
    options: dict[str, Any] = _parse_url(f"{scheme}://{user}{at}host/{database}?{parts.query}")
    del options["host"]
    if kind == "cluster":
        options.pop("db", None)
    with_tls = {"ssl": True} if options.pop("connection_class", None) else {}
    of_sentinel = {
        name: options.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    of_tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    port = 26379 if kind == "sentinel" else 6379
    return Address(
        where,
        kind,
        hosts=tuple(_host(host, port) for host in hosts.split(",")),
        service=service,
        options={**options, **with_tls},
        sentinel={**of_sentinel, **of_tls, **with_tls},
    )


def _host(text: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError("a host is empty")
    return parts.hostname, parts.port or port


def _try(address: Address) -> None:
    """Have redis-py refuse options that it does not know; connects to nothing.

    Raises:
        ValueError, TypeError.
    """
    if not address.kind:
        redis.ConnectionPool.from_url(address.url).make_connection()
        return
    for options in (address.options, address.sentinel):
        redis.Redis(**options).connection_pool.make_connection()


def check_client(client: Any) -> None:
    """Refuse a ready client that would read from replicas, or wait for ever.

    Raises:
        InvalidSettings: with the line to add.
    """
    if getattr(client, "read_from_replicas", False) or getattr(
        client, "load_balancing_strategy", None
    ):
        raise InvalidSettings(
            "The client given to RedisRevocationList reads from replicas, which lag "
            "behind; make it without read_from_replicas and load_balancing_strategy."
        )
    if client is not None and timeout_of(client) is None:
        raise InvalidSettings(
            "The client given to RedisRevocationList has no time-out, so that a server which hangs "
            "would hang every request; make it with "
            "socket_timeout=0.25, socket_connect_timeout=0.25."
        )


def timeout_of(client: Any) -> float | None:
    """Seconds that a ready client waits for an answer; None if for ever."""
    owner = getattr(client, "nodes_manager", None) or getattr(client, "connection_pool", None)
    options = getattr(owner, "connection_kwargs", None)
    if options is None:
        return 1.0  # no client of redis-py's
    timeout: float | None = options.get("socket_timeout", _DEFAULT_TIMEOUT.default)
    return timeout


def is_cluster(client: Any) -> bool:
    """Whether it is a client of a Cluster."""
    return hasattr(client, "nodes_manager")


def pools_of(client: Any) -> list[Any]:
    """The pools of a client: to each node, or to the server and to each Sentinel."""
    if is_cluster(client):
        of_nodes, known = client.nodes_manager, {}
        known.update(of_nodes.startup_nodes)
        known.update(of_nodes.nodes_cache)
        clients = [node.redis_connection for node in known.values()]
    else:
        asked = getattr(client.connection_pool, "sentinel_manager", None)
        clients = [client, *(asked.sentinels if asked else ())]
    return [one.connection_pool for one in clients if one is not None]
