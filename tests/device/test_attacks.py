"""What thieves of cookies and of signatures try, the same under every adapter."""

from __future__ import annotations

import base64
import hmac
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.device.conftest import World
from tests.device.stories import (
    KEY,
    PROOF,
    PROOF_AGE,
    ROOT,
    SESSION,
    VISITOR,
    kind_of,
    nothing_set,
    only,
    shown,
    stolen,
    who,
)
from tests.helpers.device_browser import DeviceBrowser, Offer, signed


def offer_to(thief: DeviceBrowser, offer: Offer) -> Offer:
    """The same challenge for a key of the thief's."""
    return offer._replace(private=ec.generate_private_key(ec.SECP256R1()))


def test_the_session_cookie_alone_is_worth_nothing(world: World) -> None:
    browser = world.bound()
    for kinds in [(SESSION,), (SESSION, KEY)]:
        thief = stolen(browser, *kinds)
        for path in ("/", "/write", "/cycle"):
            assert who(thief, path) == VISITOR
    assert world.node.count("refused")["no proof of its device"] >= 2
    assert who(browser) == ("ada", True)


def test_all_cookies_are_worth_nothing_after_the_proofs_end(world: World) -> None:
    browser = world.bound()
    thief = stolen(browser)
    world.pass_by(PROOF_AGE - 32)  # 31 since the login
    assert who(thief) == ("ada", True)
    world.pass_by(2)
    assert who(thief) == VISITOR
    assert who(thief, "/cycle") == VISITOR
    assert thief.send_refresh(only(browser), None).status == 403
    assert who(browser) == ("ada", True)


def test_a_copy_from_the_login_is_refused_30_seconds_after_the_binding(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    thief = stolen(browser)
    browser.register()
    browser.open("/")
    before = dict(thief.cookies)
    thief.ask("/cycle")  # it may not move
    assert thief.cookies == before
    world.pass_by(31)
    assert who(thief) == VISITOR
    assert who(browser) == ("ada", True)


def test_a_copy_from_the_login_that_moves_the_session_first_is_never_bound(world: World) -> None:
    """A limit that the documents name: nothing tells it from a browser that binds nothing."""
    browser = world.browser()
    browser.open("/login/ada", register=False)
    thief = stolen(browser)
    assert who(thief, "/cycle") == ("ada", False)
    browser.register()
    world.pass_by(31)
    assert who(thief) == ("ada", False)
    assert who(browser) == VISITOR


def test_the_key_of_a_thief_is_registered_neither_over_nor_long_after(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    offer = offer_to(browser, browser.offers[0])
    late = browser.copied()
    browser.register()
    browser.open("/")
    assert stolen(browser).send_registration(offer).status == 403
    browser.open("/login/eve", register=False)
    late, offer = stolen(browser), offer_to(late, browser.offers[0])
    world.pass_by(3600)
    assert late.send_registration(offer).status == 403
    assert who(browser) == ("eve", False)


def test_of_two_keys_the_first_that_brings_a_proof_counts(world: World) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    thief = stolen(browser)
    thief.offers = [offer_to(thief, browser.offers[0])]
    thief.register()
    browser.register()
    assert who(browser) == ("ada", True)
    assert shown(thief.ask("/")) == ("ada", False)  # a request that may have been under way
    world.pass_by(31)
    refused = thief.send_refresh(only(thief), None)
    assert refused.status == 401
    assert shown(thief.ask("/")) == VISITOR
    assert who(browser) == ("ada", True)


def test_cycle_key_takes_no_thief_along(world: World) -> None:
    browser = world.bound()
    thief = stolen(browser)
    world.pass_by(PROOF_AGE)
    assert who(thief, "/cycle") == VISITOR
    assert who(browser) == ("ada", True)
    thief = stolen(browser)
    browser.open("/cycle")
    world.pass_by(31)
    assert who(thief) == VISITOR
    assert who(browser) == ("ada", True)


def test_a_signature_is_for_one_session_one_purpose_and_five_minutes(world: World) -> None:
    browser, other = world.bound(), world.bound()
    bound, foreign = only(browser), only(other)
    assert bound.challenge is not None
    assert foreign.challenge is not None
    for challenge in (foreign.challenge, "made up", ""):
        answer = browser.send_refresh(bound, signed(bound.private, challenge, with_key=False))
        assert (answer.status, nothing_set(answer)) == (403, True)
    replayed = signed(foreign.private, foreign.challenge, with_key=False)
    assert browser.send_refresh(bound, replayed).status == 403
    # At the registration's path, and a registration's challenge at a renewal's.
    answer = browser.send_registration(
        Offer(ROOT + "/registration", bound.challenge, bound.private)
    )
    assert answer.status == 403
    browser.open("/login/eve", register=False)
    (offer,) = browser.offers
    browser.register()
    bound = next(reversed(browser.bound.values()))
    assert bound.challenge is not None
    answer = browser.send_refresh(bound, signed(bound.private, offer.challenge, with_key=False))
    assert answer.status == 403
    browser.send_refresh(bound, None)
    response = signed(bound.private, bound.challenge, with_key=False)
    world.pass_by(299)
    assert browser.send_refresh(bound, response).status == 200
    world.pass_by(2)
    assert browser.send_refresh(bound, response).status == 403


def forged(
    thief: ec.EllipticCurvePrivateKey, victim: ec.EllipticCurvePublicKey, challenge: str
) -> list[str]:
    """Signatures by anything but the key of the victim."""

    def parts(alg: str) -> str:
        header = {"alg": alg, "typ": "dbsc+jwt"}
        return ".".join(text(json.dumps(part).encode()) for part in (header, {"jti": challenge}))

    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    numbers = victim.public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    pem = victim.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    by_rsa = rsa.generate_private_key(65537, 2048).sign(
        parts("RS256").encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    return [
        signed(thief, challenge, with_key=True),  # a key of its own in the header
        signed(thief, challenge, with_key=False),
        signed(thief, challenge, with_key=False, alg="none"),
        parts("none") + ".",
        f"{parts('RS256')}.{text(by_rsa)}",
        *(
            f"{parts('HS256')}.{text(hmac.digest(key, parts('HS256').encode(), 'sha256'))}"
            for key in (point, b"\4" + point, pem)
        ),
        "not a JWS",
        "x" * 100_000,
    ]


def test_what_is_not_signed_by_the_key_renews_nothing(world: World) -> None:
    browser = world.bound()
    thief, bound = stolen(browser), only(browser)
    assert bound.challenge is not None
    own = ec.generate_private_key(ec.SECP256R1())
    answers = set()
    for response in forged(own, bound.private.public_key(), bound.challenge):
        answer = thief.send_refresh(bound, response)
        assert nothing_set(answer)
        answers.add((answer.status, answer.body))
    assert answers == {(403, b"")}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://app.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_origins_are_refused(world: World, headers: dict[str, str]) -> None:
    browser = world.browser()
    browser.open("/login/ada", register=False)
    (offer,) = browser.offers
    answer = browser.send_registration(offer, headers)
    assert (answer.status, nothing_set(answer)) == (403, True)
    assert browser.send_registration(offer).status == 200


def test_cookies_of_one_session_prove_nothing_for_another(world: World) -> None:
    browser, other = world.bound(), world.bound()
    mixed = stolen(browser, SESSION)
    mixed.cookies |= stolen(other, KEY, PROOF).cookies
    assert who(mixed) == VISITOR
    assert mixed.send_refresh(only(other), None).status == 401
    # The proof of the one under the name of the other's.
    named = next(name for name in browser.cookies if kind_of(name) == PROOF)
    (proof,) = stolen(other, PROOF).cookies.values()
    renamed = stolen(browser, SESSION, KEY)
    renamed.cookies[named] = proof
    assert who(renamed) == VISITOR


def test_the_proof_of_a_thief_binds_no_session_but_his_own(world: World) -> None:
    mine, browser = world.bound("eve"), world.browser()
    browser.open("/login/ada")  # and registered, but not bound yet
    thief = stolen(browser, SESSION, KEY)
    thief.cookies |= stolen(mine, PROOF).cookies
    assert who(thief) == ("ada", False)
    assert world.site.events().count("bound") == 1
    assert who(browser) == ("ada", True)
    world.pass_by(31)
    assert who(thief) == VISITOR
    assert who(browser) == ("ada", True)


def test_a_proof_after_the_logout_is_worth_nothing(world: World) -> None:
    browser = world.bound()
    thief, bound = stolen(browser), only(browser)
    assert bound.challenge is not None
    response = signed(bound.private, bound.challenge, with_key=False)
    browser.open("/logout")
    assert who(thief) == VISITOR
    for status in (503, 401):  # within 30 s of its end, and then
        answer = thief.send_refresh(bound, response)
        assert (answer.status, nothing_set(answer)) == (status, True)
        world.pass_by(31)


def test_late_answers_of_an_old_binding_leave_the_new_one_as_it_is(world: World) -> None:
    browser = world.bound()
    old = only(browser)
    assert old.challenge is not None
    response = signed(old.private, old.challenge, with_key=False)
    refresh = browser.send_refresh(old, response, take=False)
    assert refresh.status == 200
    browser.open("/login/eve", register=False)
    (offer,) = browser.offers
    registration = browser.send_registration(offer)
    browser.offers.clear()
    browser.registered(offer, registration)
    browser.take(refresh)
    assert who(browser) == ("eve", True)
    browser.open("/login/bob")
    browser.registered(offer, registration)
    assert who(browser) == ("bob", True)
    world.pass_by(PROOF_AGE)
    assert who(browser) == ("bob", True)
