"""A proxy before a Redis server that loses answers, but only after what was asked was done."""

from __future__ import annotations

import itertools
import socket
import threading

from .redis_server import RedisServer


class LosesAnswers:
    """Passes requests on, and closes the client's connection instead of every n-th answer.

    Args:
        server: to pass on to.
        every: how many answers make one that is lost.
    """

    def __init__(self, server: RedisServer, every: int) -> None:
        self.every = every
        self.lost = 0
        self._server = server
        self._count = itertools.count(1)
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are there end with their clients."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server.port)) as server:
            try:
                while request := client.recv(65_536):
                    server.sendall(request)
                    answer = server.recv(65_536)  # one command at a time, so this is its answer
                    # What only looks is passed on, so that it is the changes which are hit.
                    if b"EVAL" in request and self._is_lost():
                        return
                    client.sendall(answer)
            except OSError:
                return

    def _is_lost(self) -> bool:
        with self._lock:
            lost = next(self._count) % self.every == 0
            self.lost += lost
            return lost
