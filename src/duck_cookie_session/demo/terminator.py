"""TLS in front of a plain server of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Any


class Terminator:
    """Takes TLS connections and passes on what they carry to a plain port of this machine.

    Args:
        port: the plain one.
        certificate: PEM, what it shows, and the key of it.

    Attributes:
        port: where it listens.
    """

    def __init__(self, port: int, certificate: Path) -> None:
        self._target = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._server = self._loop.run_until_complete(starting)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, with every connection."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for _ in range(5):  # an aborted connection is closed in a later round of the loop
            await asyncio.sleep(0)

    async def _serve(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._connections.add(task)
        try:
            with contextlib.suppress(
                OSError
            ):  # nobody listens there (yet): the client sees the end
                await self._between(from_client, to_client)
        finally:
            to_client.close()
            self._connections.discard(task)

    async def _between(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        passing = [
            asyncio.create_task(_pass_on(from_client, to_server)),
            asyncio.create_task(_pass_on(from_server, to_client)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in passing:
                one.cancel()
            to_server.close()
            await asyncio.gather(*passing, return_exceptions=True)


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
