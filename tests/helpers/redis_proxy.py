"""Proxies before a Redis server: one that loses answers only, and one with every fault."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
import time
from collections import Counter

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


FAULTS = ("delay", "reset before", "reset after", "partial", "half-open")


class Faulty:
    """Passes requests on, but for some: a delay, a reset before or after delivery, a part of the
    answer, or none at all while the connection stays open.

    Args:
        server: to pass on to.
        share: of all requests that a fault befalls.
        seed: of the choice.
    """

    def __init__(self, server: RedisServer, share: float, seed: int) -> None:
        self.faults: Counter[str] = Counter()
        self._server = server
        self._share = share
        self._random = random.Random(seed)
        self._held: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and let go of those that hang."""
        self._listening.close()
        for one in self._held:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):  # also where the server is away
            held = self._pass_on(client)
            if held:
                self._held.append(client)
                return
        client.close()

    def _pass_on(self, client: socket.socket) -> bool:
        """Until either side closes, or a fault ends it; whether the client is left hanging."""
        with socket.create_connection(("127.0.0.1", self._server.port)) as server:
            while request := client.recv(65_536):
                fault = self._choose()
                if fault == "reset before":
                    break
                if fault == "delay":
                    time.sleep(self._random.random() * 0.05)
                server.sendall(request)
                answer = server.recv(65_536)
                if fault == "reset after":
                    break
                if fault == "half-open":
                    return True
                client.sendall(answer[: len(answer) // 2] if fault == "partial" else answer)
                if fault == "partial":
                    break
        return False

    def _choose(self) -> str:
        if self._random.random() >= self._share:
            return ""
        fault = self._random.choice(FAULTS)
        self.faults[fault] += 1
        return fault
