"""Starts the demo's two nodes in a temporary folder, and takes everything away again."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .certificate import make_certificates
from .client import Browser, ask
from .terminator import Terminator

START = 60
"""Seconds that the nodes may take to start."""

STOP = 5
"""Seconds that a node may take to stop by itself."""

STALENESS = 2
"""Seconds of `max_staleness` of node 2, with Redis."""


class NodeFailed(Exception):
    """A node did not start; the message ends with what it printed last."""


@dataclass(frozen=True)
class Nodes:
    """Two running nodes.

    Attributes:
        ports: on 127.0.0.1, of node 1 and node 2.
        folder: where they keep what they write.
        processes: their process ids.
        staleness: seconds that node 2 may believe an older answer of the list.
        trusted: what trusts their certificate; None where they speak plain HTTP.
    """

    ports: tuple[int, ...]
    folder: Path
    processes: tuple[int, ...]
    staleness: float
    trusted: ssl.SSLContext | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where a browser finds them."""
        return tuple(map(self.browser().origin, self.ports))

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return "session_id" if self.trusted is None else "__Host-session_id"

    def browser(self, cookies: dict[str, str] | None = None) -> Browser:
        """A browser that talks to them as they do."""
        return Browser(cookies or {}, self.trusted)

    def output(self, number: int) -> str:
        """What node 1 or 2 has printed so far."""
        return _output(self.folder / f"node{number}")


@contextlib.contextmanager
def started(redis: str | None = None, *, https: bool = False) -> Iterator[Nodes]:
    """Two nodes with one secret and one list, running until the block is left.

    Args:
        redis: address of a Redis for the list, in place of SQLite; node 2 then has
            `max_staleness`.
        https: whether they speak https, with a certificate made now, and bind sessions.

    Raises:
        NodeFailed: one of them did not start.
    """
    with _folder() as folder, contextlib.ExitStack() as stack:
        listening = ports = _free_ports()
        trusted, authority = None, ""
        if https:
            root, server = make_certificates(folder, ["localhost"])
            trusted, authority = ssl.create_default_context(cafile=root), str(root)
            before = [Terminator(port, server) for port in listening]
            for terminator in before:
                stack.callback(terminator.close)
            ports = before[0].port, before[1].port
        environment = {
            **os.environ,
            "DEMO_PORTS": ",".join(map(str, ports)),
            "DEMO_SECRET": secrets.token_urlsafe(24),
            "DEMO_SESSIONS": str(folder / "sessions"),
            "DEMO_REDIS": redis or "",
            "DEMO_AUTHORITY": authority,
        }
        processes: list[subprocess.Popen[bytes]] = []
        for number, port in enumerate(listening, 1):
            staleness = str(STALENESS if number == 2 else 0)
            own = {"DEMO_NODE": str(number), "DEMO_LISTEN": str(port), "DEMO_STALENESS": staleness}
            processes.append(_start(folder / f"node{number}", environment | own))
            stack.callback(_stop, processes[-1])
        for number, process in enumerate(processes, 1):
            _wait(process, ports[number - 1], folder / f"node{number}", trusted)
        pids = tuple(process.pid for process in processes)
        yield Nodes(ports, folder, pids, STALENESS if redis else 0, trusted)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is removed at the end, with the profile of a browser that may be in it."""
    folder = Path(tempfile.mkdtemp(prefix="duck-cookie-session-"))
    try:
        yield folder
    finally:
        until = time.monotonic() + STOP
        while folder.exists() and time.monotonic() < until:
            shutil.rmtree(folder, ignore_errors=True)  # again, while a browser is still closing
        if folder.exists():
            print(f"Close the browser that uses {folder}, and remove that folder.", file=sys.stderr)


def _free_ports() -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for found in sockets:
            found.bind(("127.0.0.1", 0))
        return tuple(found.getsockname()[1] for found in sockets)


def _start(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # Duck writes next to the folder of its settings module, so that has to be here.
    project = folder / "web"
    project.mkdir(parents=True)
    (project / "__init__.py").touch()
    (project / "settings.py").write_text("from duck_cookie_session.demo.settings import *\n")
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "duck_cookie_session.demo.node"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the parent, which stops them in order
        )


def _wait(
    process: subprocess.Popen[bytes], port: int, folder: Path, trusted: ssl.SSLContext | None
) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            ask(port, "GET", "/icon.svg", {}, timeout=START, trusted=trusted)
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    said = _output(folder)[-2000:]
    raise NodeFailed(f"{folder.name} did not start on port {port}. It said last:\n{said}")


def _output(folder: Path) -> str:
    return (folder / "output.txt").read_text("utf-8", "replace").strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
