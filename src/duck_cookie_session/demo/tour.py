"""`demo --check`: the tour of a visitor, walked by a program, each step with what was seen."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

from .client import Answer, Browser
from .nodes import Nodes

COOKIE = "session_id"
RACES = 10
SPREAD = 0.001
"""Seconds by which the second tab is later in each race than in the one before."""
GRACE = 1.0
"""Seconds beyond `max_staleness` in which node 2 has to know of a revocation."""


class Unexpected(Exception):
    """A step saw something else than it should have."""


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise Unexpected(what)


class Tour:
    """One visitor's way over both nodes; each step builds on those before it."""

    def __init__(self, nodes: Nodes) -> None:
        self.one: int = nodes.ports[0]
        self.two: int = nodes.ports[1]
        self.nodes = nodes
        self.browser: Browser = Browser()
        self.visitor_cookie: str = ""
        self.stolen: str = ""

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """What is done, and the function that does it and says what was seen."""
        return [
            ("look at the page as a visitor", self.visit),
            ("add to the cart on node 1", self.add),
            ("see the cart on node 2", self.other_node),
            ("show markup as text", self.escaped),
            ("log in on node 2", self.log_in),
            ("send the form from another site", self.other_site),
            ("present a copy while logged in", self.copy),
            ("log out on node 1", self.log_out),
            ("present the copy after logout", self.present),
            (f"race logout against adding, {RACES} times", self.race),
            ("present junk", self.junk),
            ("read what the nodes printed", self.printed),
        ]

    def visit(self) -> str:
        answer = self.browser.get(self.one, "/")
        _expect(answer.status == 200, f"status {answer.status}")
        _expect(not answer.all("Set-Cookie"), "a visitor was given a cookie")
        _expect(answer.all("Vary") != [], "no Vary header")
        policy = " ".join(answer.all("Content-Security-Policy"))
        _expect("default-src 'none'" in policy, f"Content-Security-Policy: {policy}")
        return "200, no cookie, no scripts allowed"

    def add(self) -> str:
        answer = self.browser.post(self.one, "/cart", {"item": "Rubber duck"})
        _expect(answer.status == 303, f"status {answer.status}")
        cookie = " ".join(answer.all("Set-Cookie"))
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"):
            _expect(attribute in cookie, f"the cookie has no {attribute}")
        _expect("no-store" in answer.all("Cache-Control"), "the cookie may be cached")
        self.visitor_cookie = self.browser.cookies[COOKIE]
        state = self.browser.state(self.one)
        _expect(state["cart"] == ["Rubber duck"], f"cart {state['cart']}")
        return f"a cookie of {state['bytes']} of {state['limit']} bytes, HttpOnly, SameSite=Lax"

    def other_node(self) -> str:
        here, there = self.browser.state(self.one), self.browser.state(self.two)
        _expect(here["process"] != there["process"], "both nodes are one process")
        _expect(there["cart"] == ["Rubber duck"], f"cart {there['cart']}")
        _expect(here["session_id"] == there["session_id"], "another session id")
        return f"the same session, served by process {there['process']}"

    def escaped(self) -> str:
        item = "<script>alert('&')</script>"
        self.browser.post(self.two, "/cart", {"item": item})
        page = self.browser.get(self.one, "/").text
        _expect("<script>" not in page, "markup came through")
        _expect("&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in page, "it is not there")
        self.visitor_cookie = self.browser.cookies[COOKIE]
        return "escaped"

    def log_in(self) -> str:
        before = self.browser.state(self.one)
        self.browser.post(self.two, "/login", {"name": "alice"})
        after = self.browser.state(self.one)
        _expect(after["user"] == "alice", f"node 1 sees {after['user']}")
        _expect(after["cart"] == before["cart"], "the cart was lost")
        _expect(after["session_id"] != before["session_id"], "the session id did not change")
        waited = self._refused_everywhere(self.visitor_cookie, "the visitor's cookie")
        return f"alice on both nodes, a new session id, the visitor's cookie refused{waited}"

    def other_site(self) -> str:
        answer = self.browser.post(self.one, "/logout", {}, origin="https://attacker.example")
        _expect(answer.status == 403, f"status {answer.status}")
        _expect(self.browser.state(self.two)["user"] == "alice", "alice was logged out")
        return "403, alice still logged in"

    def copy(self) -> str:
        self.browser.post(self.one, "/copy", {})
        self.stolen = self.browser.cookies[COOKIE]
        page = self.browser.get(self.one, "/presented").text
        _expect("Node 2 accepted the copy: alice" in page, "node 2 did not accept the copy")
        return "node 2 accepts it: a stolen cookie is good until it is revoked"

    def log_out(self) -> str:
        answer = self.browser.post(self.one, "/logout", {})
        _expect(COOKIE not in self.browser.cookies, "the cookie was not deleted")
        _expect("no-store" in answer.all("Cache-Control"), "the answer may be cached")
        for port in self.nodes.ports:
            _expect(self.browser.state(port)["user"] is None, "still logged in")
        return "the cookie is deleted, both nodes see a visitor"

    def present(self) -> str:
        waited = self._refused_everywhere(self.stolen, "the copy")
        page = self.browser.get(self.one, "/presented").text
        _expect("Node 2 refused the copy" in page, "the page of node 1 says something else")
        return f"both nodes refuse it{waited}"

    def race(self) -> str:
        seen: Counter[str] = Counter()
        for number in range(RACES):
            seen[self._one_race(number)] += 1
        outcomes = ", ".join(f"{text} {count} times" for text, count in sorted(seen.items()))
        return f"{outcomes}; no cookie of an ended session lived on"

    def _one_race(self, number: int) -> str:
        first, second = self.nodes.ports if number % 2 else self.nodes.ports[::-1]
        self.browser.post(first, "/login", {"name": f"racer {number}"})
        before = self.browser.cookies[COOKIE]
        tabs = Browser(dict(self.browser.cookies)), Browser(dict(self.browser.cookies))
        answers: dict[str, Answer] = {}
        barrier = Barrier(2)

        def press(tab: Browser, port: int, path: str, form: dict[str, str], after: float) -> None:
            barrier.wait()
            time.sleep(after)
            answers[path] = tab.post(port, path, form)

        threads = [
            Thread(target=press, args=(tabs[0], first, "/logout", {}, 0)),
            Thread(
                target=press, args=(tabs[1], second, "/cart", {"item": "late"}, number * SPREAD)
            ),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        _expect(len(answers) == 2, "a tab got no answer")
        _expect(COOKIE not in tabs[0].cookies, "logout did not delete the cookie")
        _expect(answers["/cart"].status == 303, f"the cart said {answers['/cart'].status}")
        self._refused_everywhere(before, "the cookie from before the race")
        late = tabs[1].cookies[COOKIE]
        self._refused_everywhere(late, "the cookie of the second tab")
        # Whichever answer the browser saw last, nobody is logged in.
        self.browser.cookies.pop(COOKIE, None)
        return "the cart came first" if late != before else "the logout came first"

    def junk(self) -> str:
        for value in ("junk", "A" * 4000, self.stolen[:-1], self.stolen[::-1], "\xc3\xa9"):
            answer = Browser({COOKIE: value}).get(self.two, "/")
            _expect(answer.status == 200, f"status {answer.status}")
            _expect(not answer.all("Set-Cookie"), "junk was answered with a cookie")
        return "200 as for a visitor, no cookie sent"

    def printed(self) -> str:
        for number in (1, 2):
            output = self.nodes.output(number)
            _expect("Traceback" not in output, f"node {number} printed an error:\n{output}")
        return "no error"

    def _refused_everywhere(self, token: str, what: str) -> str:
        """Node 1 at once, node 2 within its `max_staleness`; says how long it took, if it did."""
        _expect(Browser({COOKIE: token}).state(self.one)["user"] is None, f"node 1 took {what}")
        start = time.monotonic()
        while Browser({COOKIE: token}).state(self.two)["session_id"] is not None:
            waited = time.monotonic() - start
            allowed = self.nodes.staleness and self.nodes.staleness + GRACE
            _expect(waited < allowed, f"node 2 took {what} {waited:.1f} s after its end")
            time.sleep(0.05)
        waited = time.monotonic() - start
        if not self.nodes.staleness:
            return " at once"
        return f", by node 2 within {waited:.1f} s (max_staleness {self.nodes.staleness:g} s)"


def walk(nodes: Nodes) -> bool:
    """Walk the tour and print each step; whether all held."""
    for number, (title, step) in enumerate(Tour(nodes).steps(), 1):
        try:
            seen = step()
        except Unexpected as wrong:
            print(f"{number:2}. FAILED  {title}: {wrong}", file=sys.stderr)
            return False
        print(f"{number:2}. ok  {title}: {seen}", flush=True)
    print("All steps hold.")
    return True
