"""Real fleets of Redis processes on the loopback: a primary with replicas, Sentinels, a Cluster.

A partition is made by a `Link`, a proxy that a replica and the Sentinels reach the primary through
and that can be cut, while its clients still reach it: the primary cut off from all but them.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import redis

from .redis_server import RedisServer, bare_client, free_port, redis_binary, tls_settings

AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A primary that passes on what it has as soon as a replica asks, not five seconds later."""

WAIT = 30.0
"""Seconds that a fleet may take to come to what was asked of it, on a busy machine."""


def wait_until(what: Callable[[], object], why: str) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + WAIT
    while True:
        try:
            if what():
                return
        except redis.RedisError:
            pass
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


class Link:
    """A way to a server that can be cut, half-open: what is sent is swallowed, nothing is closed.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._whole = threading.Event()
        self._whole.set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes, either way."""
        self._whole.clear()

    def mend(self) -> None:
        """Connections made from now on pass again; those that were cut are closed."""
        for one in self._open:
            one.close()
        self._open.clear()
        self._whole.set()

    def close(self) -> None:
        self._listening.close()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(client)
            if not self._whole.is_set():
                continue  # accepted, and never answered
            try:
                server = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                client.close()
                continue
            self._open.append(server)
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while found := source.recv(65_536):
                if self._whole.is_set():
                    target.sendall(found)
        except OSError:
            pass
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def sentinel_command(kind: str | None = None) -> list[str] | None:
    """What starts a Sentinel, before the path of its configuration; None where there is none."""
    found = shutil.which("redis-sentinel") or shutil.which("valkey-sentinel")
    if found and kind is None:
        return [found]
    binary = redis_binary(kind)
    return None if binary is None else [binary]


class Sentinels:
    """A primary with replicas, and three Sentinels that watch them.

    Args:
        make_server: starts a server with these arguments.
        directory: where the Sentinels keep their configuration.
        replicas: how many.
        behind_links: whether replicas and Sentinels reach the primary by a `Link`.
        arguments: of every server.
    """

    SERVICE = "list"

    def __init__(
        self,
        make_server: Callable[..., RedisServer],
        directory: Path,
        *,
        replicas: int = 1,
        arguments: tuple[str, ...] = (),
    ) -> None:
        arguments = (*AT_ONCE, *arguments)
        self.primary = make_server(*arguments)
        self.replicas = [
            make_server("--replicaof", "127.0.0.1", str(self.primary.port), *arguments)
            for _ in range(replicas)
        ]
        for replica in self.replicas:
            wait_for_replica(replica)
        self.ports = [free_port() for _ in range(3)]
        self.certificate = self.primary.certificate
        self._directory = directory
        self.processes = [self._start(port) for port in self.ports]
        wait_until(self._complete, "the Sentinels do not know each other")

    @property
    def servers(self) -> list[RedisServer]:
        return [self.primary, *self.replicas]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"{self.primary.scheme}+sentinel://{hosts}/{self.SERVICE}/0"

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def fail_over(self) -> None:
        """Kill the primary, and wait until the Sentinels name another."""
        before = self.named()
        next(one for one in self.servers if one.port == before).kill()
        wait_until(lambda: self.named() != before, "the Sentinels name no other primary")

    def mend(self) -> None:
        """Start what was killed, and wait until the primary has all its replicas again."""
        for server in self.servers:
            if server.process is None:
                server.start()
        wait_until(self._whole, "the primary that was killed does not join as a replica")

    def named(self) -> int:
        """The port of the primary that the first Sentinel names."""
        with self._client(self.ports[0]) as client:
            return int(client.sentinel_get_master_addr_by_name(self.SERVICE)[1])

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        path = self._directory / f"sentinel-{port}.conf"
        listening = f"port {port}"
        if self.certificate is not None:
            listening = "\n".join(tls_settings(port, self.certificate))
        path.write_text(
            f"{listening}\nbind 127.0.0.1\ndir {self._directory}\n"
            f"sentinel monitor {self.SERVICE} 127.0.0.1 {self.primary.port} 2\n"
            f"sentinel down-after-milliseconds {self.SERVICE} 1000\n"
            f"sentinel failover-timeout {self.SERVICE} 3000\n"
        )
        command = sentinel_command(self.primary.kind)
        assert command is not None
        return subprocess.Popen([*command, str(path), "--sentinel"], stdout=subprocess.DEVNULL)

    def _client(self, port: int) -> redis.Redis:
        return bare_client(port, self.certificate, timeout=1)

    def _whole(self) -> bool:
        with self._client(self.named()) as client:
            info = client.info("replication")
        online = [info.get(f"slave{n}", {}).get("state") for n in range(len(self.replicas))]
        return info["role"] == "master" and online == ["online"] * len(self.replicas)

    def _complete(self) -> bool:
        for port in self.ports:
            with self._client(port) as client:
                state = client.sentinel_masters()[self.SERVICE]
                if state["num-other-sentinels"] != 2 or state["num-slaves"] != len(self.replicas):
                    return False
        return True


def wait_for_replica(replica: RedisServer) -> None:
    """Until it has all that its primary has, and the primary knows so."""

    def joined() -> bool:
        with replica.client() as client:
            info = client.info("replication")
        return info["master_link_status"] == "up"

    wait_until(joined, "the replica does not join")


class Cluster:
    """Three primaries with a replica each, all of them real processes.

    Args:
        make_server: starts a server with these arguments.
        arguments: of every server.
    """

    def __init__(
        self, make_server: Callable[..., RedisServer], arguments: tuple[str, ...] = ()
    ) -> None:
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            *AT_ONCE,
            *arguments,
        )
        self.servers = [make_server(*options, "--cluster-config-file", f"n{n}") for n in range(6)]
        first = self.servers[0]
        ids = []
        for number, server in enumerate(self.servers):
            with server.client() as client:
                ids.append(_text(client.execute_command("CLUSTER", "MYID")))
                if number < 3:
                    slots = range(number * 5462, min((number + 1) * 5462, 16384))
                    client.execute_command("CLUSTER", "ADDSLOTS", *slots)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                if server is not first:
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        for number, server in enumerate(self.servers[3:]):

            def follows(server: RedisServer = server, number: int = number) -> bool:
                with server.client() as client:
                    client.execute_command("CLUSTER", "REPLICATE", ids[number])
                return True

            wait_until(follows, "a node does not follow another")
        for server in self.servers:
            wait_until(lambda server=server: self._whole(server), "the Cluster is not whole")

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.servers)
        return f"{self.servers[0].scheme}+cluster://{hosts}"

    def keeper(self, key: bytes) -> RedisServer:
        """The primary that keeps a key, by what its nodes say now."""
        slot = redis.cluster.key_slot(key)
        for server in self.servers:
            if server.process is None:
                continue
            with server.client() as client:
                for first, last, primary, *_ in client.execute_command("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        port = primary[1]
                        return next(one for one in self.servers if one.port == port)
        raise AssertionError("nobody keeps it")

    def replica_of(self, primary: RedisServer) -> RedisServer:
        """A server that follows this one."""
        for server in self.servers:
            with server.client() as client:
                info = client.info("replication")
            if info["role"] == "slave" and info["master_port"] == primary.port:
                return server
        raise AssertionError("nobody follows it")

    def passed_on(self, primary: RedisServer) -> bool:
        """Whether its replica has all that a server has."""
        with primary.client() as client:
            return client.wait(1, 1_000) == 1

    def _whole(self, server: RedisServer) -> bool:
        with server.client() as client:
            if "cluster_state:ok" not in _text(client.execute_command("CLUSTER", "INFO")):
                return False
            if client.info("replication")["role"] == "slave":
                return client.info("replication")["master_link_status"] == "up"
            slots = client.execute_command("CLUSTER", "SLOTS")
            # Of each: first and last slot, the primary, its replica.
            return len(slots) == 3 and all(len(one) == 4 for one in slots)


def _text(found: object) -> str:
    """A reply as text: releases of redis-py differ in what they make of it."""
    if isinstance(found, dict):
        return " ".join(f"{key}:{value}" for key, value in found.items())
    return found.decode() if isinstance(found, bytes) else str(found)
