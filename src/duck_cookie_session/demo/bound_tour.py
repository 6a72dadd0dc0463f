"""The part of `demo --https --check` about a session that is bound to its device."""

from __future__ import annotations

import time
from collections.abc import Callable

from .client import Browser
from .device import BindingBrowser
from .expecting import expect
from .nodes import Nodes

GRACE = 31
"""Seconds after its binding from which a session needs a proof on every node, and one more."""

Step = tuple[str, Callable[[], str]]


class BoundTour:
    """Somebody whose browser binds the session, and a thief of its cookies."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.one: int = nodes.ports[0]
        self.two: int = nodes.ports[1]
        self.browser: BindingBrowser = BindingBrowser(trusted=nodes.trusted)
        self.alone: Browser = nodes.browser()
        self.bound_at: float = 0.0

    def first(self) -> list[Step]:
        """What comes before the rest of the tour, which takes a while."""
        return [
            ("log in and register a key", self.bind),
            ("register another key over it", self.over),
            ("renew the proof", self.renew),
            ("present a copy of the cookie at once", self.at_once),
        ]

    def last(self) -> list[Step]:
        """What comes after it."""
        return [
            ("present it 30 seconds after the binding", self.refused),
            ("log out", self.log_out),
        ]

    def bind(self) -> str:
        answer = self.browser.post(self.one, "/login", {"name": "ada"})
        status = self.browser.register(self.one, answer)
        expect(status == 200, f"registration: {status or 'none was offered'}")
        expect(self.browser.state(self.one)["device_bound"], "it is not bound")
        self.bound_at = time.monotonic()
        page = self.browser.get(self.one, "/").text
        expect('id="device">bound to it' in page, "the page does not say so")
        return "bound; the page says so"

    def over(self) -> str:
        again = self.browser.post(self.one, "/login", {"name": "ada"})
        expect(not again.all("Secure-Session-Registration"), "the same login is offered again")
        thief = BindingBrowser(dict(self.browser.cookies), self.nodes.trusted)
        thief.instructions = self.browser.instructions
        _, status = thief.renew(self.one)
        expect(status == 403, f"a signature by another key was answered {status}")
        return "refused: no other key counts for the session"

    def renew(self) -> str:
        unsigned, status = self.browser.renew(self.one)
        expect(unsigned == 403, f"without a signature: {unsigned}")
        expect(status == 200, f"with a signature: {status}")
        return "403 without a signature, renewed with one"

    def at_once(self) -> str:
        name = self.nodes.cookie
        self.alone = self.nodes.browser({name: self.browser.cookies[name]})
        expect(self.alone.state(self.two)["user"] == "ada", "node 2 refused it")
        return "node 2 accepts it: requests under way at the binding have 30 seconds"

    def refused(self) -> str:
        time.sleep(max(0.0, self.bound_at + GRACE - time.monotonic()))
        for port in (self.two, self.one):
            expect(self.alone.state(port)["session_id"] is None, "the copy was accepted")
            expect(self.browser.state(port)["user"] == "ada", "ada is logged out")
        self.browser.post(self.one, "/copy", {})
        page = self.browser.get(self.one, "/presented").text
        expect("You are still logged in" in page, "the page says something else")
        return "both nodes refuse it, and ada is still logged in"

    def log_out(self) -> str:
        self.browser.post(self.one, "/logout", {})
        kept = [name for name in self.browser.cookies if name.startswith(self.nodes.cookie)]
        expect(not kept, f"left in the browser: {', '.join(kept)}")
        return "session, device key and proof are deleted"
