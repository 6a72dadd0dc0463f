"""A browser in Python that keeps sessions bound to its device, as Chromium does (DBSC).

It does what Chromium 156 was seen to do; `tests/browser/test_device_in_browser.py` holds the two
to the same answers. Its clock is given; it knows one origin, and links that lead there from others.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urljoin

from cryptography.hazmat.primitives.asymmetric import ec

from duck_cookie_session.demo.device import signed as signed

RENEWED_BEFORE = 120
"""Seconds before its end from which a proof is renewed."""
MOST_REFUSALS = 5
"""Answers 403 in a row after which a renewal is given up."""

_OFFER = re.compile(r'\(ES256\);path="([^"]*)";challenge="([^"]*)"')
_CHALLENGE = re.compile(r'"([^"]*)";id="([^"]*)"')
_RELOADS = re.compile(rb'<meta http-equiv="refresh" content="0">')


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def one(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


Send = Callable[[str, str, dict[str, str]], Answer]
"""Method, path and headers to an answer; OSError where the answer is lost."""


def over_http(port: int, context: ssl.SSLContext | None = None) -> Send:
    """To a server on this machine: by https with a context, else as a proxy that ends TLS does."""

    def send(method: str, path: str, headers: dict[str, str]) -> Answer:
        connection = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            if context is None
            else http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        )
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    return send


class Offer(NamedTuple):
    """A registration that was offered, and the key that the browser made for it."""

    path: str
    challenge: str
    private: ec.EllipticCurvePrivateKey


@dataclass
class Bound:
    """A session that the browser keeps bound: what it was told at the registration."""

    identifier: str
    refresh_url: str
    cookie: str
    private: ec.EllipticCurvePrivateKey
    challenge: str | None = None


@dataclass
class DeviceBrowser:
    """One browser, on one origin.

    Attributes:
        send: carries a request out.
        clock: seconds since 1970, by which its cookies end.
        origin: what it takes the server for.
        cookies: of name, the value and when it ends, None with the browser.
        bound: its bound sessions by their identifiers.
        offers: the registrations that it has still to make.
    """

    send: Send
    clock: Callable[[], float]
    origin: str = "https://app.test"
    cookies: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    bound: dict[str, Bound] = field(default_factory=dict)
    offers: list[Offer] = field(default_factory=list)

    def open(self, path: str, *, method: str = "GET", register: bool = True) -> Answer:
        """Load a page as its user does, to the end of its redirects, and register where asked to.

        Args:
            register: whether registrations that were offered are made at the end; otherwise they
                wait in `offers` for `register()`.
        """
        return self._load(path, "same-origin", method, register=register)

    def follow_link(self, path: str, *, site: str = "cross-site") -> Answer:
        """Follow a link from another site: nothing is renewed before it."""
        return self._load(path, site, "GET", register=True)

    def register(self) -> None:
        """Make the registrations that were offered; one whose answer is lost once more, alike."""
        while self.offers:
            offer = self.offers.pop(0)
            try:
                answer = self.send_registration(offer)
            except OSError:
                answer = self.send_registration(offer)
            self.registered(offer, answer)

    def send_registration(self, offer: Offer, headers: dict[str, str] | None = None) -> Answer:
        """Ask for a registration, and leave the answer on its way: `registered()` takes it."""
        response = signed(offer.private, offer.challenge, with_key=True)
        return self._post(
            offer.path, {"Secure-Session-Response": response, **(headers or {})}, take=False
        )

    def registered(self, offer: Offer, answer: Answer) -> None:
        """The answer to a registration has arrived."""
        self.take(answer)
        if answer.status == 200:
            told = json.loads(answer.body)
            (credential,) = told["credentials"]
            bound = Bound(
                told["session_identifier"], told["refresh_url"], credential["name"], offer.private
            )
            self.bound[bound.identifier] = bound
            self.take(answer)  # again: its challenge is for the session that it began

    def renew(self, bound: Bound) -> str | None:
        """Renew the proof of a session.

        Returns:
            What it is to say of it in `Secure-Session-Skipped`, if it could not.
        """
        for _ in range(MOST_REFUSALS):
            response = None
            if bound.challenge is not None:
                response = signed(bound.private, bound.challenge, with_key=False)
            try:
                answer = self.send_refresh(bound, response)
            except OSError:
                return "unreachable"
            if answer.status == 403:
                continue
            if answer.status == 401:
                self.bound.pop(bound.identifier, None)
                return None
            return None if answer.status < 400 else "server_error"
        self.bound.pop(bound.identifier, None)
        return None

    def send_refresh(self, bound: Bound, response: str | None, *, take: bool = True) -> Answer:
        """One request for a new proof.

        Args:
            response: what is signed; None for a first one, without.
            take: whether its answer arrives at once; else it is on its way.
        """
        headers = {"Sec-Secure-Session-Id": bound.identifier}
        if response is not None:
            headers["Secure-Session-Response"] = response
        return self._post(bound.refresh_url, headers, take=take)

    def cookie_header(self) -> str:
        """What it sends now."""
        now = self.clock()
        kept = {n: v for n, (v, end) in self.cookies.items() if end is None or end > now}
        return "; ".join(f"{name}={value}" for name, value in kept.items())

    def copied(self, send: Send | None = None) -> DeviceBrowser:
        """Another browser, which has all cookies of this one and none of its keys."""
        return DeviceBrowser(send or self.send, self.clock, self.origin, dict(self.cookies))

    def _load(self, path: str, site: str, method: str, *, register: bool) -> Answer:
        for _ in range(10):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
            if method == "POST":
                headers["Origin"] = self.origin
            skipped = self._renew_due() if site in ("same-origin", "none") else []
            if skipped:
                headers["Secure-Session-Skipped"] = ", ".join(skipped)
            answer = self.ask(path, headers, method=method)
            location = answer.one("Location")
            if answer.status in (301, 302, 303) and location is not None:
                path, method = urljoin(self.origin + path, location), "GET"
                path = path.removeprefix(self.origin)
            elif method == "GET" and _RELOADS.search(answer.body):
                site = "same-origin"
            else:
                break
        else:
            raise AssertionError("a page that leads to itself for ever")
        if register:
            self.register()
        return answer

    def _renew_due(self) -> list[str]:
        """Renew what is due; for each session that stays without proof, why."""
        skipped = []
        for bound in list(self.bound.values()):
            if self._left(bound) <= RENEWED_BEFORE:
                why = self.renew(bound)
                if why is not None and self._left(bound) <= 0:
                    skipped.append(f'{why};session_identifier="{bound.identifier}"')
        return skipped

    def _left(self, bound: Bound) -> float:
        """Seconds that its proof has left, 0 where it has none."""
        end = self.cookies.get(bound.cookie, ("", 0.0))[1]
        return RENEWED_BEFORE + 1 if end is None else max(end - self.clock(), 0)

    def _post(self, path: str, headers: dict[str, str], *, take: bool = True) -> Answer:
        more = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Content-Length": "0"}
        return self.ask(path, {**more, **headers}, method="POST", take=take)

    def ask(
        self,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        method: str = "GET",
        take: bool = True,
    ) -> Answer:
        """One bare request with its cookies; nothing is renewed before it.

        Args:
            take: whether its answer arrives at once; else it is on its way: `take()` takes it.
        """
        headers = {"Host": self.origin.partition("://")[2], **(headers or {})}
        cookies = self.cookie_header()
        answer = self.send(method, path, {**headers, "Cookie": cookies} if cookies else headers)
        if take:
            self.take(answer)
        return answer

    def take(self, answer: Answer) -> None:
        """What a response brings: cookies, challenges, and offers of a registration."""
        for line in answer.all("Set-Cookie"):
            self._take_cookie(line)
        for value in answer.all("Secure-Session-Challenge"):
            for challenge, identifier in _CHALLENGE.findall(value):
                if identifier in self.bound:
                    self.bound[identifier].challenge = challenge
        for value in answer.all("Secure-Session-Registration"):
            for path, challenge in _OFFER.findall(value):
                private = ec.generate_private_key(ec.SECP256R1())
                self.offers.append(Offer(path, challenge, private))

    def _take_cookie(self, line: str) -> None:
        first, *rest = (part.strip() for part in line.split(";"))
        name, _, value = first.partition("=")
        attributes = {n.lower(): v for n, _, v in (part.partition("=") for part in rest)}
        age = attributes.get("max-age")
        if age is not None and int(age) <= 0:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = (value, None if age is None else self.clock() + int(age))
