"""`demo --check`: the tour of a visitor, walked by a program, each step with what was seen."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread

from .bound_tour import BoundTour
from .client import Answer, Browser
from .expecting import Unexpected, expect
from .nodes import Nodes

RACES = 10
SPREAD = 0.001
"""Seconds by which the second tab is later in each race than in the one before."""
GRACE = 1.0
"""Seconds beyond `max_staleness` in which node 2 has to know of a revocation."""


class Tour:
    """One visitor's way over both nodes; each step builds on those before it."""

    def __init__(self, nodes: Nodes) -> None:
        self.one: int = nodes.ports[0]
        self.two: int = nodes.ports[1]
        self.nodes = nodes
        self.cookie: str = nodes.cookie
        self.browser: Browser = nodes.browser()
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
        expect(answer.status == 200, f"status {answer.status}")
        expect(not answer.all("Set-Cookie"), "a visitor was given a cookie")
        expect(answer.all("Vary") != [], "no Vary header")
        policy = " ".join(answer.all("Content-Security-Policy"))
        expect("default-src 'none'" in policy, f"Content-Security-Policy: {policy}")
        return "200, no cookie, no scripts allowed"

    def add(self) -> str:
        answer = self.browser.post(self.one, "/cart", {"item": "Rubber duck"})
        expect(answer.status == 303, f"status {answer.status}")
        cookie = " ".join(answer.all("Set-Cookie"))
        for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"):
            expect(attribute in cookie, f"the cookie has no {attribute}")
        expect("no-store" in answer.all("Cache-Control"), "the cookie may be cached")
        self.visitor_cookie = self.browser.cookies[self.cookie]
        state = self.browser.state(self.one)
        expect(state["cart"] == ["Rubber duck"], f"cart {state['cart']}")
        return f"a cookie of {state['bytes']} of {state['limit']} bytes, HttpOnly, SameSite=Lax"

    def other_node(self) -> str:
        here, there = self.browser.state(self.one), self.browser.state(self.two)
        expect(here["process"] != there["process"], "both nodes are one process")
        expect(there["cart"] == ["Rubber duck"], f"cart {there['cart']}")
        expect(here["session_id"] == there["session_id"], "another session id")
        return f"the same session, served by process {there['process']}"

    def escaped(self) -> str:
        item = "<script>alert('&')</script>"
        self.browser.post(self.two, "/cart", {"item": item})
        page = self.browser.get(self.one, "/").text
        expect("<script>" not in page, "markup came through")
        expect("&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in page, "it is not there")
        self.visitor_cookie = self.browser.cookies[self.cookie]
        return "escaped"

    def log_in(self) -> str:
        before = self.browser.state(self.one)
        self.browser.post(self.two, "/login", {"name": "alice"})
        after = self.browser.state(self.one)
        expect(after["user"] == "alice", f"node 1 sees {after['user']}")
        expect(after["cart"] == before["cart"], "the cart was lost")
        expect(after["session_id"] != before["session_id"], "the session id did not change")
        waited = self._refused_everywhere(self.visitor_cookie, "the visitor's cookie")
        return f"alice on both nodes, a new session id, the visitor's cookie refused{waited}"

    def other_site(self) -> str:
        answer = self.browser.post(self.one, "/logout", {}, origin="https://attacker.example")
        expect(answer.status == 403, f"status {answer.status}")
        expect(self.browser.state(self.two)["user"] == "alice", "alice was logged out")
        return "403, alice still logged in"

    def copy(self) -> str:
        self.browser.post(self.one, "/copy", {})
        self.stolen = self.browser.cookies[self.cookie]
        page = self.browser.get(self.one, "/presented").text
        expect("Node 2 accepted the copy: alice" in page, "node 2 did not accept the copy")
        return "node 2 accepts it: a stolen cookie is good until it is revoked"

    def log_out(self) -> str:
        answer = self.browser.post(self.one, "/logout", {})
        expect(self.cookie not in self.browser.cookies, "the cookie was not deleted")
        expect("no-store" in answer.all("Cache-Control"), "the answer may be cached")
        for port in self.nodes.ports:
            expect(self.browser.state(port)["user"] is None, "still logged in")
        return "the cookie is deleted, both nodes see a visitor"

    def present(self) -> str:
        waited = self._refused_everywhere(self.stolen, "the copy")
        page = self.browser.get(self.one, "/presented").text
        expect("Node 2 refused the copy" in page, "the page of node 1 says something else")
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
        before = self.browser.cookies[self.cookie]
        tabs = self._again(), self._again()
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
        expect(len(answers) == 2, "a tab got no answer")
        expect(self.cookie not in tabs[0].cookies, "logout did not delete the cookie")
        expect(answers["/cart"].status == 303, f"the cart said {answers['/cart'].status}")
        self._refused_everywhere(before, "the cookie from before the race")
        late = tabs[1].cookies[self.cookie]
        self._refused_everywhere(late, "the cookie of the second tab")
        # Whichever answer the browser saw last, nobody is logged in.
        self.browser.cookies.pop(self.cookie, None)
        return "the cart came first" if late != before else "the logout came first"

    def junk(self) -> str:
        for value in ("junk", "A" * 4000, self.stolen[:-1], self.stolen[::-1], "\xc3\xa9"):
            answer = self._with(value).get(self.two, "/")
            expect(answer.status == 200, f"status {answer.status}")
            expect(not answer.all("Set-Cookie"), "junk was answered with a cookie")
        return "200 as for a visitor, no cookie sent"

    def printed(self) -> str:
        for number in (1, 2):
            output = self.nodes.output(number)
            expect("Traceback" not in output, f"node {number} printed an error:\n{output}")
        return "no error"

    def _with(self, token: str) -> Browser:
        """Somebody who has nothing but this cookie."""
        return self.nodes.browser({self.cookie: token})

    def _again(self) -> Browser:
        """Another tab: a browser with the same cookies."""
        return self.nodes.browser(dict(self.browser.cookies))

    def _refused_everywhere(self, token: str, what: str) -> str:
        """Node 1 at once, node 2 within its `max_staleness`; says how long it took, if it did."""
        expect(self._with(token).state(self.one)["user"] is None, f"node 1 took {what}")
        start = time.monotonic()
        while self._with(token).state(self.two)["session_id"] is not None:
            waited = time.monotonic() - start
            allowed = self.nodes.staleness and self.nodes.staleness + GRACE
            expect(waited < allowed, f"node 2 took {what} {waited:.1f} s after its end")
            time.sleep(0.05)
        waited = time.monotonic() - start
        if not self.nodes.staleness:
            return " at once"
        return f", by node 2 within {waited:.1f} s (max_staleness {self.nodes.staleness:g} s)"


def walk(nodes: Nodes) -> bool:
    """Walk the tour and print each step; whether all held."""
    steps = Tour(nodes).steps()
    if nodes.trusted is not None:
        bound = BoundTour(nodes)
        steps = [*bound.first(), *steps, *bound.last()]
    for number, (title, step) in enumerate(steps, 1):
        try:
            seen = step()
        except Unexpected as wrong:
            print(f"{number:2}. FAILED  {title}: {wrong}", file=sys.stderr)
            return False
        print(f"{number:2}. ok  {title}: {seen}", flush=True)
    print("All steps hold.")
    return True
