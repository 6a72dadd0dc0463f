"""Each refusal of a registration or renewal: its reason in log and counters, not in the answer."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from duck_cookie_session.device.jws import MAX_JWS
from duck_cookie_session.errors import DeviceReason
from tests.device.asgi import NAME, REFRESH, REGISTRATION, Site, who
from tests.helpers import Clock, SwitchableList
from tests.helpers.device_browser import Answer, Bound, DeviceBrowser, Offer, signed


class OneNode(Site):
    """A site of one node over a list that can fail."""

    def __init__(self, revocations: SwitchableList, clock: Clock) -> None:
        super().__init__(lambda: revocations, clock)
        self.list = revocations
        self.one = self.node()

    def bound(self, user: str = "ada", *, register: bool = True) -> DeviceBrowser:
        return self.browser(self.one, user, register=register)


@pytest.fixture
def site(revocations: SwitchableList, clock: Clock) -> Iterator[OneNode]:
    site = OneNode(revocations, clock)
    yield site
    site.close()


def post(
    site: OneNode, browser: DeviceBrowser, path: str, response: str | None = None, **more: str
) -> Answer:
    headers = {
        "Host": "app.test",
        "Origin": "https://app.test",
        "Sec-Fetch-Site": "same-origin",
        "Cookie": browser.cookie_header(),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    if response is not None:
        headers["Secure-Session-Response"] = response
    return site.one.ask("POST", path, headers)


def bound(browser: DeviceBrowser) -> Bound:
    (only,) = browser.bound.values()
    return only


def register(
    site: OneNode, change: Callable[[str], str] = str, private: Any = None, **more: Any
) -> Answer:
    """A registration of somebody who has just logged in."""
    browser = site.bound(register=False)
    ((_, challenge, own),) = browser.offers
    text = signed(private or own, challenge, with_key=True, **more.pop("jws", {}))
    return post(site, browser, REGISTRATION, change(text), **more)


def renew(site: OneNode, make: Callable[[Bound], str], **more: str) -> Answer:
    """A renewal of a browser that is bound and has a challenge."""
    browser = site.bound()
    one = bound(browser)
    more = {"Sec_Secure_Session_Id": one.identifier, **more}
    return post(site, browser, REFRESH, make(one), **more)


def signs(one: Bound) -> str:
    assert one.challenge is not None
    return signed(one.private, one.challenge, with_key=False)


def header(text: str, **changed: Any) -> str:
    """A JWS with another header, signed as before."""
    first, rest = text.split(".", 1)
    told = json.loads(base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)))
    told = {**told, **changed}
    again = base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()
    return f"{again}.{rest}"


def of_another_session(site: OneNode, path: str) -> Answer:
    browser, other = site.bound(register=False), site.bound("eve", register=False)
    ((_, _, private),) = browser.offers
    ((_, foreign, _),) = other.offers
    return post(site, browser, path, signed(private, foreign, with_key=True))


def an_hour_later(site: OneNode) -> Answer:
    browser = site.bound(register=False)
    ((_, challenge, _),) = browser.offers
    site.clock.tick(3600)
    own = ec.generate_private_key(ec.SECP256R1())
    return post(site, browser, REGISTRATION, signed(own, challenge, with_key=True))


def over_the_victims(site: OneNode) -> Answer:
    browser = site.bound(register=False)
    ((_, challenge, _),) = browser.offers
    browser.register()
    browser.open("/")
    own = ec.generate_private_key(ec.SECP256R1())
    return post(site, browser, REGISTRATION, signed(own, challenge, with_key=True))


def after_the_logout(site: OneNode) -> Answer:
    browser = site.bound()
    one, copy = bound(browser), browser.copied()
    browser.open("/logout")
    site.clock.now += 31  # until then it might be one that was moved meanwhile
    return post(site, copy, REFRESH, signs(one), Sec_Secure_Session_Id=one.identifier)


def with_the_key_of_another(site: OneNode) -> Answer:
    browser, other = site.bound(), site.bound("eve")
    one = bound(other)
    browser.cookies |= {name: kept for name, kept in other.cookies.items() if name != NAME}
    return post(site, browser, REFRESH, signs(one), Sec_Secure_Session_Id=one.identifier)


def with_a_key_registered_beside(site: OneNode) -> Answer:
    browser = site.bound(register=False)
    thief = browser.copied()
    ((path, challenge, _),) = browser.offers
    thief.offers = [Offer(path, challenge, ec.generate_private_key(ec.SECP256R1()))]
    thief.register()
    browser.register()
    browser.open("/")
    one = bound(thief)
    return post(site, thief, REFRESH, signs(one), Sec_Secure_Session_Id=one.identifier)


def five_minutes_later(site: OneNode) -> Answer:
    browser = site.bound()
    one = bound(browser)
    site.clock.tick(301)
    return post(site, browser, REFRESH, signs(one), Sec_Secure_Session_Id=one.identifier)


def challenge_of_another_session(site: OneNode) -> Answer:
    browser, other = site.bound(), site.bound("eve")
    one = bound(browser)
    foreign = bound(other).challenge or ""
    text = signed(one.private, foreign, with_key=False)
    return post(site, browser, REFRESH, text, Sec_Secure_Session_Id=one.identifier)


def for_the_other_purpose(site: OneNode) -> Answer:
    browser = site.bound(register=False)
    ((_, challenge, private),) = browser.offers
    browser.register()
    browser.open("/")
    text = signed(private, challenge, with_key=False)
    return post(site, browser, REFRESH, text, Sec_Secure_Session_Id=bound(browser).identifier)


def registered_by_a_renewals_challenge(site: OneNode) -> Answer:
    browser = site.bound()
    return post(
        site,
        browser,
        REGISTRATION,
        signed(bound(browser).private, bound(browser).challenge or "", with_key=True),
    )


def unanswered(site: OneNode) -> Answer:
    browser = site.bound()
    site.list.down = True
    one = bound(browser)
    return post(site, browser, REFRESH, signs(one), Sec_Secure_Session_Id=one.identifier)


OFF_THE_CURVE = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
P384 = {"kty": "EC", "crv": "P-384", "x": "A" * 43, "y": "A" * 43}
OTHER = ec.derive_private_key(5, ec.SECP256R1())

R = DeviceReason
Attack = tuple[Callable[[OneNode], Answer], DeviceReason]

AT_THE_REGISTRATION: dict[str, Attack] = {
    "nothing signed": (lambda s: register(s, lambda _: ""), R.MALFORMED),
    "wrong signature": (lambda s: register(s, lambda t: t[:-40] + "A" * 40), R.SIGNATURE),
    "no algorithm": (lambda s: register(s, lambda t: header(t, alg="none")), R.ALGORITHM),
    "RS256": (lambda s: register(s, lambda t: header(t, alg="RS256")), R.ALGORITHM),
    "another type": (lambda s: register(s, jws={"typ": "JWT"}), R.TYPE),
    "no key": (lambda s: register(s, lambda t: header(t, jwk=None)), R.NO_KEY),
    "off the curve": (lambda s: register(s, lambda t: header(t, jwk=OFF_THE_CURVE)), R.NO_KEY),
    "another curve": (lambda s: register(s, lambda t: header(t, jwk=P384)), R.NO_KEY),
    "another spelling": (lambda s: register(s, lambda t: "B" + t), R.SPELLING),
    "padded": (lambda s: register(s, lambda t: t + "="), R.MALFORMED),
    "oversized": (lambda s: register(s, lambda t: t + "A" * MAX_JWS), R.TOO_LONG),
    "another site": (lambda s: register(s, Sec_Fetch_Site="cross-site"), R.OTHER_SITE),
    "another origin": (lambda s: register(s, Origin="https://evil.test"), R.OTHER_SITE),
    "no session": (lambda s: register(s, Cookie=""), R.NO_SESSION),
    "challenge of another session": (
        lambda s: of_another_session(s, REGISTRATION),
        R.OTHER_CHALLENGE,
    ),
    "challenge of a renewal": (registered_by_a_renewals_challenge, R.OTHER_PURPOSE),
    "an hour after the login": (an_hour_later, R.OLD_CHALLENGE),
    "over the victim's key": (over_the_victims, R.OTHER_KEY),
}
AT_THE_RENEWAL: dict[str, Attack] = {
    "no such binding": (lambda s: renew(s, signs, Sec_Secure_Session_Id="A" * 22), R.NO_BINDING),
    "a long name": (lambda s: renew(s, signs, Sec_Secure_Session_Id="A" * 100_000), R.NO_BINDING),
    "no name": (lambda s: renew(s, signs, Sec_Secure_Session_Id=""), R.NO_BINDING),
    "after the logout": (after_the_logout, R.NO_SESSION),
    "key of another session": (with_the_key_of_another, R.OTHER_SESSION),
    "a key registered beside": (with_a_key_registered_beside, R.OTHER_KEY),
}
BY_THE_SIGNATURE: dict[str, Attack] = {
    "of another key, which it brings along": (
        lambda s: renew(s, lambda one: signed(OTHER, one.challenge or "", with_key=True)),
        R.SIGNATURE,
    ),
    "no algorithm": (lambda s: renew(s, lambda one: header(signs(one), alg="none")), R.ALGORITHM),
    "HMAC": (lambda s: renew(s, lambda one: header(signs(one), alg="HS256")), R.ALGORITHM),
    "another type": (lambda s: renew(s, lambda one: header(signs(one), typ="JWT")), R.TYPE),
    "what it does not know": (
        lambda s: renew(s, lambda one: header(signs(one), crit=["b64"])),
        R.TYPE,
    ),
    "no JWS": (lambda s: renew(s, lambda one: "not a JWS"), R.MALFORMED),
    "oversized": (lambda s: renew(s, lambda one: signs(one) * 20), R.TOO_LONG),
    "made up": (
        lambda s: renew(s, lambda one: signed(one.private, "made up", with_key=False)),
        R.NO_CHALLENGE,
    ),
    "of another session": (challenge_of_another_session, R.OTHER_CHALLENGE),
    "of the registration": (for_the_other_purpose, R.OTHER_PURPOSE),
    "five minutes later": (five_minutes_later, R.OLD_CHALLENGE),
}


def look(answer: Answer) -> tuple[int, list[str], bytes]:
    """What a client can tell one refusal from another by; a challenge is random."""
    told = [value for name, value in answer.headers if name.lower() != "secure-session-challenge"]
    return answer.status, [*(name.lower() for name, _ in answer.headers), *told], answer.body


def refuse(
    site: OneNode,
    caplog: pytest.LogCaptureFixture,
    attack: Callable[[OneNode], Answer],
    reason: DeviceReason,
) -> Answer:
    with caplog.at_level(logging.INFO, "duck_cookie_session"):
        answer = attack(site)
    assert site.one.refused() == {reason.value: 1}
    (line,) = [one for one in caplog.records if "Device binding refused" in one.getMessage()]
    assert line.levelno == logging.INFO
    assert f"refused: {reason.value}" in line.getMessage()
    assert len(line.getMessage()) < 110  # a few words of ours and the start of an id
    return answer


@pytest.mark.parametrize("attack", AT_THE_REGISTRATION)
def test_a_refused_registration(
    site: OneNode, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    answer = refuse(site, caplog, *AT_THE_REGISTRATION[attack])
    assert look(answer) == (403, ["cache-control", "no-store"], b"")


@pytest.mark.parametrize("attack", AT_THE_RENEWAL)
def test_a_refused_renewal(site: OneNode, caplog: pytest.LogCaptureFixture, attack: str) -> None:
    answer = refuse(site, caplog, *AT_THE_RENEWAL[attack])
    assert look(answer) == (401, ["cache-control", "no-store"], b"")


@pytest.mark.parametrize("attack", BY_THE_SIGNATURE)
def test_a_refused_signature_looks_as_if_none_had_come(
    site: OneNode, caplog: pytest.LogCaptureFixture, attack: str
) -> None:
    answer = refuse(site, caplog, *BY_THE_SIGNATURE[attack])
    browser = site.bound("eve")
    name = {"Sec_Secure_Session_Id": bound(browser).identifier}
    assert look(answer) == look(post(site, browser, REFRESH, **name))
    assert answer.status == 403
    assert len(site.one.refused()) == 1  # to be asked for a signature is no refusal


def test_a_list_that_does_not_answer_is_a_reason_too(
    site: OneNode, caplog: pytest.LogCaptureFixture
) -> None:
    answer = unanswered(site)
    assert answer.status == 503
    assert answer.one("Retry-After") is not None
    assert site.one.refused() == {"list did not answer": 1}
    assert [one.levelname for one in caplog.records] == ["ERROR"]


def test_every_reason_is_tested() -> None:
    tested = {
        reason
        for table in (AT_THE_REGISTRATION, AT_THE_RENEWAL, BY_THE_SIGNATURE)
        for _, reason in table.values()
    }
    assert tested == {*DeviceReason} - {DeviceReason.NO_LIST}


def test_a_request_without_proof_is_counted_among_the_refused_tokens(
    site: OneNode, caplog: pytest.LogCaptureFixture
) -> None:
    thief = site.bound().copied()
    site.clock.tick(61)
    with caplog.at_level(logging.INFO, "duck_cookie_session"):
        answer = thief.open("/")
    assert who(answer) == [None, False]
    refused: Any = site.one.connector.stats()["refused"]
    assert refused["no proof of its device"] == 1
    assert site.one.refused() == {}
    assert "no proof of its device" in caplog.text
    token, _ = thief.cookies[NAME]
    assert token not in caplog.text


def test_of_requests_at_once_one_tells_of_the_binding(site: OneNode) -> None:
    browser = site.bound(register=False)
    browser.register()
    headers = {"Cookie": browser.cookie_header(), "Host": "app.test"}
    answers = site.one.ask_at_once([("GET", "/", headers)] * 5)
    assert [who(answer) for answer in answers] == [["ada", True]] * 5
    browser.open("/write")
    site.clock.tick(50)
    browser.open("/write")
    assert site.one.told("bound") == 1
    assert site.one.connector.stats()["bound"] == 1


def test_a_replayed_signature_beside_all_cookies_is_worth_one_proof_more(site: OneNode) -> None:
    browser = site.bound()
    one, thief = bound(browser), browser.copied()
    replayed = signs(one)
    name = {"Sec_Secure_Session_Id": one.identifier}
    site.clock.tick(299)
    thief.take(post(site, thief, REFRESH, replayed, **name))
    assert who(thief.open("/")) == ["ada", True]
    site.clock.tick(61)
    assert who(thief.open("/")) == [None, False]
    assert post(site, thief, REFRESH, replayed, **name).status == 403
