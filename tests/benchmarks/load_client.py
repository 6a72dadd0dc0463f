"""A load client on the standard library: keep-alive connections, request after answer.

`python -m tests.benchmarks.load_client HOST PORT PATH CONNECTIONS SECONDS` with the Cookie header
on stdin prints one line of JSON: requests a second, and latencies in microseconds. It runs in a
process of its own, so that the server has a processor to itself.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from time import perf_counter

END = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, notes how long it took, sends again."""

    def __init__(self, request: bytes, latencies: list[float], failures: list[str]) -> None:
        self._request = request
        self._latencies = latencies
        self._failures = failures
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._sent = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._buffer = b""
        self._sent = perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(END)
        if not found:
            return
        start = head.lower().find(LENGTH) + len(LENGTH)
        if len(body) < int(head[start:].partition(b"\r")[0]):
            return
        self._latencies.append(perf_counter() - self._sent)
        if not head.startswith(b"HTTP/1.1 200"):
            self._failures.append(head.partition(b"\r")[0].decode("latin-1"))
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def load(
    host: str, port: int, request: bytes, connections: int, seconds: float
) -> dict[str, float]:
    """Requests a second and latencies over that time."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures: list[str] = []

    async def keep_open() -> None:
        while True:
            transport, protocol = await loop.create_connection(
                lambda: Connection(request, latencies, failures), host, port
            )
            try:
                await protocol.closed
            finally:
                transport.abort()

    tasks = [loop.create_task(keep_open()) for _ in range(connections)]
    await asyncio.sleep(seconds / 10)
    latencies.clear()
    start = perf_counter()
    await asyncio.sleep(seconds)
    taken = perf_counter() - start
    found = sorted(latencies)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if failures or len(found) < 2:
        raise RuntimeError(f"{len(failures)} failed answers of {len(found)}: {failures[:1]}")
    return {
        "rate": len(found) / taken,
        "p50": statistics.median(found) * 1e6,
        "p99": found[int(len(found) * 0.99)] * 1e6,
    }


def main() -> None:
    """Run one load and print its figures."""
    host, port, path, connections, seconds = sys.argv[1:]
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Accept: text/html"]
    cookie = sys.stdin.read().strip()
    if cookie:
        lines.append(f"Cookie: {cookie}")
    request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    print(json.dumps(asyncio.run(load(host, int(port), request, int(connections), float(seconds)))))


if __name__ == "__main__":
    main()
