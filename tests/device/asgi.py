"""A small site under the ASGI middleware, in this process, for the browsers of these tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from duck_cookie_session import RevocationList, SessionStorageConnector
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.testing import Clock
from tests.helpers import make_settings
from tests.helpers.device_browser import Answer, DeviceBrowser

NAME = "__Host-session"
REGISTRATION, REFRESH = "/.session-device/registration", "/.session-device/refresh"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """/login/NAME, /logout, /write, ...; anything else tells who is logged in, and if bound."""
    session, path = scope["session"], scope["path"]
    await session.aload()
    if path.startswith("/login/"):
        session["user"] = path[7:]
    elif path == "/logout":
        await session.aclear()
    elif path == "/write":
        session["n"] = session.get("n", 0) + 1
    elif path == "/supersede":
        await session.asupersede()
    elif path == "/others":
        await session.adelete_other_sessions()
    body = json.dumps([session.get("user"), session.device_bound]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def who(answer: Answer) -> Any:
    """What the application said."""
    assert answer.status == 200
    return json.loads(answer.body)


async def answer(app: Any, method: str, path: str, headers: dict[str, str]) -> Answer:
    """What an ASGI application answers to one request, as `DeviceBrowser` sends it."""
    sent = [(name.lower().encode(), text.encode("latin-1")) for name, text in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": sent}
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, None, send)
    start, *rest = messages
    found = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer(start["status"], found, b"".join(part.get("body", b"") for part in rest))


class Node:
    """One process of the site.

    Args:
        revocations: its list.
        changed: settings that differ from the usual ones.
    """

    def __init__(
        self, revocations: RevocationList, clock: Clock, runner: asyncio.Runner, **changed: Any
    ) -> None:
        self._runner = runner
        self.events: list[Any] = []
        settings = make_settings(
            cookie_name=NAME,
            device_binding="offer",
            device_proof_age=60,
            on_event=self.events.append,
            **changed,
        )
        self.connector = SessionStorageConnector(
            lambda: revocations, settings=settings, clock=clock
        )
        self._app = CookieSessionMiddleware(application, connector=self.connector)

    def ask(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """One request, as `DeviceBrowser` sends it."""
        (only,) = self.ask_at_once([(method, path, headers)])
        return only

    def ask_at_once(self, requests: Sequence[tuple[str, str, dict[str, str]]]) -> list[Answer]:
        """Several requests, in one event loop."""

        async def all_of_them() -> list[Answer]:
            return await asyncio.gather(*(answer(self._app, *request) for request in requests))

        return self._runner.run(all_of_them())

    def told(self, kind: str) -> int:
        """How many events of a kind were told."""
        return [event.kind.value for event in self.events].count(kind)

    def refused(self) -> dict[str, int]:
        """Refused registrations and renewals by their reasons, but zeros."""
        counts: Any = self.connector.stats()["device_refused"]
        return {reason: number for reason, number in counts.items() if number}


class Site:
    """Nodes that share a list, each with an opening of its own, and their visitors.

    Args:
        open_list: opens it.
        settings: of every node.
    """

    def __init__(
        self, open_list: Callable[[], RevocationList], clock: Clock, **settings: Any
    ) -> None:
        self.open_list, self.clock, self._settings = open_list, clock, settings
        self._runner = asyncio.Runner()
        self._nodes: list[Node] = []

    def node(self, **changed: Any) -> Node:
        """Another process, with settings of its own."""
        changed = {**self._settings, **changed}
        self._nodes.append(Node(self.open_list(), self.clock, self._runner, **changed))
        return self._nodes[-1]

    def browser(self, node: Node, user: str = "ada", *, register: bool = True) -> DeviceBrowser:
        """One that has logged in at a node and asked for a page; bound, where it registers."""
        browser = DeviceBrowser(node.ask, self.clock)
        browser.open(f"/login/{user}", register=register)
        browser.open("/", register=register)
        return browser

    def close(self) -> None:
        """Close the nodes and their loop."""
        for node in self._nodes:
            self._runner.run(node.connector.revocations.aclose())
            node.connector.close()
        self._runner.close()
