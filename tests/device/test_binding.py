"""Sessions bound to a device, driven through the ASGI middleware by a browser in Python."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask

from duck_cookie_session import InvalidSettings, SessionStorageConnector
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.contrib.flask import CookieSessionInterface
from tests.helpers import OTHER_SECRET, SECRET, make_settings
from tests.helpers.clock import Clock
from tests.helpers.lists import SwitchableList

NAME = "__Host-session"
ROOT = "/.session-device"
CROSS = {"sec-fetch-mode": "navigate", "sec-fetch-site": "cross-site"}


async def application(scope: Any, receive: Any, send: Any) -> None:
    session, path = scope["session"], scope["path"]
    if path.startswith("/login/"):
        session["user"] = path[7:]
    elif path == "/logout":
        session.clear()
    elif path == "/cycle":
        session.cycle_key()
    elif path == "/exists":
        session["exists"] = await session.aexists() and session.exists()
    elif path == "/write":
        session["n"] = session.get("n", 0) + 1
    bound = session["exists"] if path == "/exists" else session.device_bound
    body = json.dumps([session.get("user"), bound]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Response:
    def __init__(self, messages: list[Any]) -> None:
        start, body = messages
        self.status: int = start["status"]
        self.headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
        self.body: str = body["body"].decode()

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)


class Browser:
    """A browser with a key of its own that knows Device Bound Session Credentials."""

    def __init__(self, app: Any, cookies: dict[str, str] | None = None) -> None:
        self.app = app
        self.jar: dict[str, str] = dict(cookies or {})
        self.key = generate_private_key(SECP256R1())
        self.binding = self.challenge = self.offered = ""

    def ask(self, path: str, method: str = "GET", **headers: str) -> Response:
        sent = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        sent += [(b"host", b"app.test")]
        sent += [(b"cookie", f"{name}={value}".encode()) for name, value in self.jar.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": sent}
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        asyncio.run(self.app(scope, None, send))
        response = Response(messages)
        for name, value in response.headers:
            if name == "set-cookie":
                pair, _, attributes = value.partition(";")
                cookie, _, text = pair.partition("=")
                if "Max-Age=0" in attributes:
                    self.jar.pop(cookie, None)
                else:
                    self.jar[cookie] = text
        offer = response.get("Secure-Session-Registration")
        if offer is not None:
            found = re.fullmatch(r'\(ES256\);path="(.+)";challenge="(.+)"', offer)
            assert found is not None
            assert found[1] == ROOT + "/registration"
            self.offered = found[2]
        given = response.get("Secure-Session-Challenge")
        if given is not None:
            found = re.fullmatch(r'"(.+)";id="(.+)"', given)
            assert found is not None
            self.challenge = found[1]
        return response

    def who(self, path: str = "/", **headers: str) -> list[Any]:
        response = self.ask(path, **headers)
        assert response.status == 200
        found: list[Any] = json.loads(response.body)
        return found

    def sign(self, challenge: str, alg: str = "ES256", *, with_key: bool = True) -> str:
        numbers = self.key.public_key().public_numbers()
        header: dict[str, Any] = {"typ": "dbsc+jwt", "alg": alg}
        if with_key:
            x, y = (base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
            header["jwk"] = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        parts = [base64url(json.dumps(part).encode()) for part in (header, {"jti": challenge})]
        text = ".".join(parts)
        r, s = decode_dss_signature(self.key.sign(text.encode(), ECDSA(SHA256())))
        return text + "." + base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def register(self, **headers: str) -> Response:
        return self.send_registration(self.sign(self.offered), **headers)

    def send_registration(self, signed: str, **headers: str) -> Response:
        own = {"origin": "https://app.test", "sec_fetch_site": "same-origin", **headers}
        response = self.ask(ROOT + "/registration", "POST", secure_session_response=signed, **own)
        if response.status == 200:
            self.binding = json.loads(response.body)["session_identifier"]
        return response

    def refresh(self, signed: str | None = None) -> Response:
        headers = {"sec_secure_session_id": self.binding}
        if signed is not None:
            headers["secure_session_response"] = signed
        return self.ask(ROOT + "/refresh", "POST", **headers)

    def renew(self) -> Response:
        """As a browser does: unsigned, then signed."""
        assert self.refresh().status == 403
        return self.refresh(self.sign(self.challenge, with_key=False))

    def lose_proof(self) -> None:
        self.jar = {name: value for name, value in self.jar.items() if "-proof-" not in name}


class Site:
    def __init__(self) -> None:
        self.clock = Clock()
        self.list = SwitchableList(self.clock)
        self.events: list[Any] = []
        self.app, self.connector = self.node()

    def node(self, *secrets: str, **changed: Any) -> tuple[Any, SessionStorageConnector]:
        settings = make_settings(
            cookie_name=NAME,
            secret_keys=secrets or (SECRET,),
            device_binding="offer",
            device_proof_age=60,
            on_event=self.events.append,
            **changed,
        )
        connector = SessionStorageConnector(lambda: self.list, settings=settings, clock=self.clock)
        return CookieSessionMiddleware(application, connector=connector), connector

    def bound_browser(self) -> Browser:
        """One that logged in as ada 31 seconds ago, registered and made its first request."""
        browser = Browser(self.app)
        assert browser.who("/login/ada") == ["ada", False]
        assert browser.register().status == 200
        assert browser.who() == ["ada", True]
        self.clock.now += 31
        return browser


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.connector.close()


def count(site: Site, name: str) -> Any:
    return site.connector.stats()[name]


# The life of a binding.


def test_a_login_offers_and_nothing_else_does(site: Site) -> None:
    browser = Browser(site.app)
    assert browser.ask("/").get("Secure-Session-Registration") is None
    assert browser.ask("/write").get("Secure-Session-Registration") is None
    assert browser.ask("/login/ada").get("Secure-Session-Registration") is not None
    assert browser.ask("/write").get("Secure-Session-Registration") is None
    assert browser.ask("/cycle").get("Secure-Session-Registration") is None


def test_registration_first_proof_and_renewal(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    token = browser.jar[NAME]
    response = browser.register()
    told = json.loads(response.body)
    name = next(name for name in browser.jar if "-proof-" in name)
    assert told == {
        "session_identifier": browser.binding,
        "refresh_url": ROOT + "/refresh",
        "scope": {"include_site": False},
        "credentials": [
            {
                "type": "cookie",
                "name": name,
                "attributes": "Path=/; Secure; HttpOnly; SameSite=Lax",
            }
        ],
    }
    assert name == f"{NAME}-proof-{browser.binding[:8]}"
    assert browser.jar[NAME] == token
    assert browser.who() == ["ada", True]
    assert [event.kind.value for event in site.events].count("bound") == 1
    for _ in range(5):
        site.clock.now += 50
        assert browser.renew().status == 200
        assert browser.who("/write") == ["ada", True]
    # With the challenge that came along it signs at once.
    assert browser.refresh(browser.sign(browser.challenge, with_key=False)).status == 200
    assert (count(site, "bound"), count(site, "device_registered")) == (1, 1)
    assert count(site, "device_refreshed") == 6


def test_a_bound_session_exists_beside_its_proof(site: Site) -> None:
    browser = site.bound_browser()
    assert browser.who("/exists") == ["ada", True]
    assert Browser(site.app, {NAME: browser.jar[NAME]}).who("/exists") == [None, False]


def test_a_browser_that_does_not_know_it_goes_on_as_before(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    site.clock.now += 3600
    assert browser.who("/write") == ["ada", False]


def test_requests_under_way_at_the_binding_have_30_seconds(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    copy = Browser(site.app, browser.jar)
    browser.register()
    browser.ask("/")
    site.clock.now += 29
    assert copy.who("/write") == ["ada", False]
    site.clock.now += 2
    assert copy.who() == [None, False]


def test_pages_may_rewrite_the_session_while_the_registration_is_under_way(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    signed = browser.sign(browser.offered)
    before = Browser(site.app, browser.jar)
    browser.ask("/write")  # its answer comes before that of the registration
    assert before.send_registration(signed).status == 200
    browser.jar |= {name: value for name, value in before.jar.items() if name != NAME}
    assert browser.who("/write") == ["ada", True]


def test_a_registration_whose_answer_is_lost_is_repeated(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    signed = browser.sign(browser.offered)
    lost = Browser(site.app, browser.jar)
    assert lost.send_registration(signed).status == 200
    assert browser.send_registration(signed).status == 200
    assert lost.binding == browser.binding
    assert browser.who() == ["ada", True]


def test_of_two_keys_the_first_that_brings_a_proof_counts(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    thief = Browser(site.app, browser.jar)
    thief.offered = browser.offered
    assert thief.register().status == 200
    assert browser.register().status == 200
    assert browser.who() == ["ada", True]
    assert thief.who() == ["ada", False]  # a request that may have been under way
    site.clock.now += 31
    assert thief.who() == [None, False]
    assert thief.refresh().status == 401
    assert browser.who() == ["ada", True]


def test_cycle_key_stays_bound_and_takes_key_and_proof_along(site: Site) -> None:
    browser = site.bound_browser()
    copy = Browser(site.app, browser.jar)
    assert browser.who("/cycle") == ["ada", True]
    site.clock.now += 31
    assert browser.renew().status == 200
    assert browser.who() == ["ada", True]
    alone = Browser(site.app, {NAME: browser.jar[NAME]})
    assert alone.who() == [None, False]
    assert copy.who() == [None, False]


def test_cycle_key_within_the_30_seconds_needs_the_proof(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    browser.register()
    browser.ask("/")
    copy = Browser(site.app, {NAME: browser.jar[NAME]})
    before = dict(copy.jar)
    copy.ask("/cycle")
    assert copy.jar == before
    assert browser.who() == ["ada", True]


def test_a_logout_deletes_the_pair_and_ends_the_session(site: Site) -> None:
    browser = site.bound_browser()
    copy = Browser(site.app, browser.jar)
    copy.binding, copy.key = browser.binding, browser.key
    browser.ask("/logout")
    assert browser.jar == {}
    assert copy.who() == [None, False]
    response = copy.refresh()
    assert response.status == 401
    assert response.get("Set-Cookie") is None


def test_another_login_gets_a_binding_of_its_own(site: Site) -> None:
    browser = site.bound_browser()
    old = browser.binding
    assert browser.who("/login/eve") == ["eve", False]
    assert list(browser.jar) == [NAME]
    assert browser.refresh().status == 401
    assert browser.register().status == 200
    assert browser.binding != old
    assert browser.who() == ["eve", True]


def test_a_browser_that_lost_its_key_logs_in_again_and_ends_the_old_session(site: Site) -> None:
    browser = site.bound_browser()
    thief = Browser(site.app, browser.jar)  # of all cookies, the proof still good
    browser.lose_proof()
    assert browser.who() == [None, False]
    assert browser.who("/login/ada") == ["ada", False]
    assert thief.who() == [None, False]
    browser.register()
    assert browser.who() == ["ada", True]


def test_a_logout_without_proof_still_ends_the_session(site: Site) -> None:
    browser = site.bound_browser()
    thief = Browser(site.app, browser.jar)
    browser.lose_proof()
    browser.ask("/logout")
    assert thief.who() == [None, False]


def test_a_second_node_and_a_rotated_secret(site: Site) -> None:
    browser = site.bound_browser()
    other, connector = site.node(OTHER_SECRET, SECRET)
    browser.app = other
    assert browser.who() == ["ada", True]
    site.clock.now += 60
    assert browser.renew().status == 200
    assert browser.who("/write") == ["ada", True]
    assert Browser(other, {NAME: browser.jar[NAME]}).who() == [None, False]
    connector.close()


# Without a proof.


def test_a_stolen_cookie_is_a_visitor(site: Site) -> None:
    browser = site.bound_browser()
    thief = Browser(site.app, {NAME: browser.jar[NAME]})
    assert thief.who() == [None, False]
    assert count(site, "refused")["no proof of its device"] == 1
    everything = Browser(site.app, browser.jar)
    site.clock.now += 30  # past the proof's end
    assert everything.who() == [None, False]
    assert everything.who("/cycle") == [None, False]
    assert browser.renew().status == 200
    assert browser.who() == ["ada", True]


def test_a_link_from_another_site_is_answered_by_a_page_that_loads_itself_again(
    site: Site,
) -> None:
    browser = site.bound_browser()
    browser.lose_proof()
    response = browser.ask("/", **{key.replace("-", "_"): text for key, text in CROSS.items()})
    assert response.status == 200
    assert '<meta http-equiv="refresh" content="0">' in response.body
    assert response.get("Cache-Control") == "no-store"
    assert response.get("Set-Cookie") is None
    assert browser.who(sec_fetch_mode="navigate", sec_fetch_site="same-origin") == [None, False]
    visitor = Browser(site.app)
    assert visitor.who(sec_fetch_mode="navigate", sec_fetch_site="cross-site") == [None, False]


def test_a_browser_that_could_not_renew_is_asked_to_come_again(site: Site) -> None:
    browser = site.bound_browser()
    browser.lose_proof()
    skipped = 'server_error;session_identifier="{}"'
    response = browser.ask("/write", "POST", secure_session_skipped=skipped.format(browser.binding))
    assert response.status == 503
    assert response.get("Retry-After") is not None
    assert response.get("Set-Cookie") is None
    another = skipped.format("A" * 22)
    assert browser.who(secure_session_skipped=another) == [None, False]


def test_a_list_that_does_not_answer_is_503_and_ends_nothing(site: Site) -> None:
    browser = site.bound_browser()
    site.list.down = True
    assert browser.refresh().status == 503
    assert browser.ask("/").status == 503
    site.list.down = False
    assert browser.renew().status == 200
    assert browser.who() == ["ada", True]


def test_served_unchecked_a_device_key_still_needs_its_proof(site: Site) -> None:
    browser = site.bound_browser()
    browser.app, connector = site.node(on_unreachable="accept")
    site.list.down = True
    assert browser.who() == ["ada", True]
    browser.lose_proof()
    assert browser.who() == [None, False]
    connector.close()


# Attacks on the endpoints.


def test_an_older_session_is_bound_to_no_key_of_a_thief(site: Site) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    site.clock.now += 3600
    thief = Browser(site.app, browser.jar)
    thief.offered = browser.offered
    assert thief.register().status == 403


def test_a_bound_session_takes_no_second_key(site: Site) -> None:
    browser = site.bound_browser()
    thief = Browser(site.app, browser.jar)
    thief.offered = browser.offered
    assert thief.register().status == 403


def test_challenges_are_for_one_session_one_purpose_and_five_minutes(site: Site) -> None:
    browser, other = site.bound_browser(), site.bound_browser()
    browser.refresh()
    other.refresh()
    # Another session's, one for a registration, and one made up.
    for challenge in (other.challenge, browser.offered, "made up"):
        assert browser.refresh(browser.sign(challenge, with_key=False)).status == 403
    assert browser.send_registration(browser.sign(browser.challenge)).status == 403
    browser.refresh()
    signed = browser.sign(browser.challenge, with_key=False)
    site.clock.now += 299
    assert browser.refresh(signed).status == 200
    site.clock.now += 2
    assert browser.refresh(signed).status == 403


def test_what_is_not_signed_by_the_key_renews_nothing(site: Site) -> None:
    browser = site.bound_browser()
    thief = Browser(site.app, browser.jar)
    thief.binding = browser.binding
    thief.refresh()
    for signed in (
        thief.sign(thief.challenge),  # with a key of its own in the header, which is ignored
        thief.sign(thief.challenge, "none"),
        thief.sign(thief.challenge, "HS256"),
        "not a JWS",
        "x" * 100_000,
    ):
        response = thief.refresh(signed)
        assert response.status == 403
        assert response.get("Set-Cookie") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://app.test"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_other_origins_are_refused(site: Site, headers: dict[str, str]) -> None:
    browser = Browser(site.app)
    browser.ask("/login/ada")
    assert browser.register(**headers).status == 403
    assert browser.register().status == 200


def test_cookies_of_one_session_prove_nothing_for_another(site: Site) -> None:
    browser, other = site.bound_browser(), site.bound_browser()
    stolen = {name: value for name, value in other.jar.items() if name != NAME}
    mixed = Browser(site.app, {NAME: browser.jar[NAME], **stolen})
    mixed.binding, mixed.key = other.binding, other.key
    assert mixed.who() == [None, False]
    assert mixed.refresh().status == 401
    # The proof of one binding under the name of the other.
    own = next(name for name in browser.jar if "-proof-" in name)
    assert Browser(
        site.app,
        {
            NAME: browser.jar[NAME],
            own: next(value for name, value in stolen.items() if "-proof-" in name),
        },
    ).who() == [None, False]


# Settings.


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cookie_name": "session"}, "a __Host- name"),
        ({"cookie_samesite": "None"}, "'Lax' or 'Strict'"),
        ({"cookie_samesite": None}, "'Lax' or 'Strict'"),
        ({"cookie_partitioned": True}, "partitioned"),
        ({"subject_key": None}, "without subject_key"),
        ({"cookie_secure": False}, "SESSION_COOKIE_SECURE"),
        ({"device_binding": "on"}, "SESSION_DEVICE_BINDING"),
        ({"device_binding_path": "relative"}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_binding_path": '/a"b'}, "SESSION_DEVICE_BINDING_PATH"),
        ({"device_proof_age": 9}, "SESSION_DEVICE_PROOF_AGE"),
    ],
)
def test_what_can_not_be_bound_is_refused_at_start(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        make_settings(**{"cookie_name": NAME, "device_binding": "offer", **changed})


def test_off_says_and_answers_nothing(site: Site) -> None:
    settings = make_settings(cookie_name=NAME)
    connector = SessionStorageConnector(lambda: site.list, settings=settings, clock=site.clock)
    browser = Browser(CookieSessionMiddleware(application, connector=connector))
    assert browser.ask("/login/ada").get("Secure-Session-Registration") is None
    assert browser.who(ROOT + "/refresh") == ["ada", False]
    connector.close()


def test_adapters_that_do_not_serve_it_refuse_it_at_start(site: Site) -> None:
    with pytest.raises(InvalidSettings, match="under Flask"):
        CookieSessionInterface(connector=site.connector)
    app = Flask("shop")
    app.config |= {
        "SECRET_KEY": SECRET,
        "SESSION_COOKIE_NAME": NAME,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_DEVICE_BINDING": "offer",
    }
    with pytest.raises(InvalidSettings, match="under Flask"):
        CookieSessionInterface(app)
