"""What a logout token has to be: OpenID Connect Back-Channel Logout 1.0, sections 2.4 to 2.6."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import Clock

pytest.importorskip("joserfc", reason="joserfc is missing (extra `oidc`)")

from duck_cookie_session.contrib._logout_token import (
    EVENT,
    MOST_TOKEN,
    Logout,
    LogoutRefused,
    judge,
    read_token,
    verify,
)
from duck_cookie_session.contrib._oidc_keys import keys_of
from duck_cookie_session.errors import LogoutReason
from tests.helpers.identity import CLIENT, ISSUER, IdentityProvider, ec, rsa

ALLOWED = ("RS256", "ES256")
DAY = 86_400


@pytest.fixture
def provider(clock: Clock) -> IdentityProvider:
    return IdentityProvider(clock)


def judged(claims: dict[str, Any], clock: Clock) -> Logout:
    return judge(claims, issuer=ISSUER, client_id=CLIENT, now=clock(), leeway=60, longest=30 * DAY)


def carried(provider: IdentityProvider, clock: Clock, token: str) -> Logout:
    """Read, verified and judged."""
    read = read_token(token, ALLOWED)
    wrong = verify(read, keys_of(provider.jwks))
    if wrong is not None:
        raise LogoutRefused(wrong)
    return judged(read.claims, clock)


def refusal(provider: IdentityProvider, clock: Clock, token: str) -> LogoutReason:
    with pytest.raises(LogoutRefused) as refused:
        carried(provider, clock, token)
    return refused.value.reason


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# What is good.


@pytest.mark.parametrize("key", [ec("one"), rsa("two")])
def test_a_good_token(provider: IdentityProvider, clock: Clock, key: Any) -> None:
    provider.keys = [ec("another"), key, rsa("a third")]
    token = provider.token(key=key, sid="s1", sub="alice", jti="j")
    assert carried(provider, clock, token) == Logout("j", "s1", "alice")


@pytest.mark.parametrize("claims", [{"sid": "s1"}, {"sub": "alice"}])
def test_sid_or_sub_will_do(
    provider: IdentityProvider, clock: Clock, claims: dict[str, str]
) -> None:
    logout = carried(provider, clock, provider.token(**claims))
    assert (logout.sid, logout.sub) == (claims.get("sid"), claims.get("sub"))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": None},
        {"typ": "LOGOUT+JWT"},
        {"typ": "application/logout+jwt"},
        {"typ": "JWT"},
        {"kid": None},
        {"of its own": [1]},
        {"jwk": ec("theirs").as_dict(private=False)},  # which a token may bring, and nobody reads
    ],
)
def test_headers_that_are_good(
    provider: IdentityProvider, clock: Clock, header: dict[str, Any]
) -> None:
    carried(provider, clock, provider.token(header=header, sid="s1"))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": ["another", CLIENT]},
        {"events": {EVENT: {"more": 1}, "https://other.example/event": {}}},
        {"more": {"of": "its own"}},
        {"iat": 1.5},
    ],
)
def test_claims_that_are_good(
    provider: IdentityProvider, clock: Clock, claims: dict[str, Any]
) -> None:
    carried(provider, clock, provider.token(sid="s1", **claims))


# Algorithms and signatures.


def test_no_algorithm_is_never_accepted(provider: IdentityProvider, clock: Clock) -> None:
    claims = encoded(provider.claims(sid="s1"))
    for name in ("none", "None", "NONE"):
        token = f"{encoded({'alg': name})}.{claims}."
        assert refusal(provider, clock, token) is LogoutReason.MALFORMED  # no signature
        token = f"{encoded({'alg': name})}.{claims}.AAAA"
        assert refusal(provider, clock, token) is LogoutReason.ALGORITHM


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_no_hmac_by_the_public_key(
    provider: IdentityProvider, clock: Clock, algorithm: str
) -> None:
    """The oldest trick: the public key as the shared one."""
    head = encoded({"alg": algorithm, "kid": "one"})
    signed = f"{head}.{encoded(provider.claims(sid='s1'))}"
    for public in (ec("one").as_pem(private=False), json.dumps(provider.jwks["keys"][0]).encode()):
        mac = hmac.digest(public, signed.encode(), algorithm.replace("HS", "SHA"))
        token = f"{signed}.{encoded(mac)}"
        assert refusal(provider, clock, token) is LogoutReason.ALGORITHM


@pytest.mark.parametrize("algorithm", [None, 1, ["ES256"], {"ES256": 1}, "es256", "ES384", "RS1"])
def test_other_algorithms(provider: IdentityProvider, clock: Clock, algorithm: Any) -> None:
    _, claims, signature = provider.token(sid="s1").split(".")
    token = f"{encoded({'alg': algorithm, 'kid': 'one'})}.{claims}.{signature}"
    assert refusal(provider, clock, token) is LogoutReason.ALGORITHM


def test_an_algorithm_of_another_kind_of_key(provider: IdentityProvider, clock: Clock) -> None:
    _, claims, signature = provider.token(sid="s1").split(".")
    token = f"{encoded({'alg': 'RS256', 'kid': 'one'})}.{claims}.{signature}"
    assert refusal(provider, clock, token) is LogoutReason.NO_KEY


def test_a_key_that_is_meant_for_another_algorithm(clock: Clock) -> None:
    provider = IdentityProvider(clock)
    provider.keys = [rsa("two")]
    token = read_token(provider.token(sid="s1"), ALLOWED)
    (key,) = provider.jwks["keys"]
    assert verify(token, keys_of({"keys": [{**key, "alg": "RS256"}]})) is None
    wrong = verify(token, keys_of({"keys": [{**key, "alg": "PS256"}]}))
    assert wrong is LogoutReason.NO_KEY


@pytest.mark.parametrize("key", [ec("one"), rsa("two")])
def test_any_change_of_the_token_is_noticed(
    provider: IdentityProvider, clock: Clock, key: Any
) -> None:
    provider.keys = [key]
    header, claims, signature = provider.token(key=key, sid="s1").split(".")
    changed = encoded(provider.claims(sid="s2"))
    assert refusal(provider, clock, f"{header}.{changed}.{signature}") is LogoutReason.SIGNATURE
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    assert refusal(provider, clock, f"{header}.{claims}.{flipped}") is LogoutReason.SIGNATURE
    assert refusal(provider, clock, f"{header}.{claims}.AAAA") is LogoutReason.SIGNATURE


def test_a_key_of_somebody_else_under_the_same_name(
    provider: IdentityProvider, clock: Clock
) -> None:
    token = provider.token(key=ec("theirs"), header={"kid": "one"}, sid="s1")
    assert refusal(provider, clock, token) is LogoutReason.SIGNATURE
    token = provider.token(key=ec("theirs"), header={"kid": None}, sid="s1")
    assert refusal(provider, clock, token) is LogoutReason.NO_KEY
    assert refusal(provider, clock, provider.token(key=ec("theirs"), sid="s1")) is (
        LogoutReason.NO_KEY
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"crit": ["b64"], "b64": False}, LogoutReason.MALFORMED),
        ({"crit": []}, LogoutReason.MALFORMED),
        ({"b64": True}, LogoutReason.MALFORMED),
        ({"kid": 7}, LogoutReason.MALFORMED),
        ({"kid": ["one"]}, LogoutReason.MALFORMED),
        ({"more": "x" * 600}, LogoutReason.MALFORMED),
        ({"typ": "at+jwt"}, LogoutReason.TYPE),
        ({"typ": ""}, LogoutReason.TYPE),
        ({"typ": ["logout+jwt"]}, LogoutReason.TYPE),
    ],
)
def test_headers_that_are_refused(
    provider: IdentityProvider, clock: Clock, header: dict[str, Any], reason: LogoutReason
) -> None:
    _, claims, signature = provider.token(sid="s1").split(".")
    head = encoded({"alg": "ES256", "kid": "one", **header})
    assert refusal(provider, clock, f"{head}.{claims}.{signature}") is reason


# Claims.


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": None}, LogoutReason.ISSUER),
        ({"iss": ISSUER + "/"}, LogoutReason.ISSUER),
        ({"iss": [ISSUER]}, LogoutReason.ISSUER),
        ({"aud": None}, LogoutReason.AUDIENCE),
        ({"aud": "another"}, LogoutReason.AUDIENCE),
        ({"aud": CLIENT.upper()}, LogoutReason.AUDIENCE),
        ({"aud": []}, LogoutReason.AUDIENCE),
        ({"aud": ["another"]}, LogoutReason.AUDIENCE),
        ({"aud": [CLIENT, 1]}, LogoutReason.AUDIENCE),
        ({"aud": [[CLIENT]]}, LogoutReason.AUDIENCE),
        ({"aud": {CLIENT: 1}}, LogoutReason.AUDIENCE),
        ({"iat": None}, LogoutReason.MALFORMED),
        ({"iat": "1"}, LogoutReason.MALFORMED),
        ({"iat": True}, LogoutReason.MALFORMED),
        ({"exp": None}, LogoutReason.MALFORMED),
        ({"exp": [1]}, LogoutReason.MALFORMED),
        ({"exp": False}, LogoutReason.MALFORMED),
        ({"exp": -1}, LogoutReason.TIME),
        ({"exp": 10**400}, LogoutReason.TIME),
        ({"iat": 10**400}, LogoutReason.TIME),
        ({"events": None}, LogoutReason.EVENT),
        ({"events": {}}, LogoutReason.EVENT),
        ({"events": [EVENT]}, LogoutReason.EVENT),
        ({"events": EVENT}, LogoutReason.EVENT),
        ({"events": {EVENT: []}}, LogoutReason.EVENT),
        ({"events": {EVENT: True}}, LogoutReason.EVENT),
        ({"events": {EVENT.upper(): {}}}, LogoutReason.EVENT),
        ({"nonce": "n"}, LogoutReason.EVENT),
        ({"nonce": ""}, LogoutReason.EVENT),
        ({"nonce": False}, LogoutReason.EVENT),
        ({"jti": None}, LogoutReason.MALFORMED),
        ({"jti": ""}, LogoutReason.MALFORMED),
        ({"jti": 7}, LogoutReason.MALFORMED),
        ({"sid": None}, LogoutReason.MALFORMED),
        ({"sid": ""}, LogoutReason.MALFORMED),
        ({"sid": 7}, LogoutReason.MALFORMED),
        ({"sid": ["s1"]}, LogoutReason.MALFORMED),
        ({"sub": ""}, LogoutReason.MALFORMED),
        ({"sub": {}}, LogoutReason.MALFORMED),
    ],
)
def test_claims_that_are_refused(
    provider: IdentityProvider, clock: Clock, claims: dict[str, Any], reason: LogoutReason
) -> None:
    token = provider.token(**{"sid": "s1", **claims})
    assert refusal(provider, clock, token) is reason


@pytest.mark.parametrize("name", ["nonce", "sid", "sub", "jti", "iss", "exp"])
def test_null_is_no_way_to_leave_a_claim_out(
    provider: IdentityProvider, clock: Clock, name: str
) -> None:
    claims = {**provider.claims(sid="s1", sub="alice"), name: None}
    with pytest.raises(LogoutRefused):
        judged(claims, clock)


@pytest.mark.parametrize(
    ("issued", "expires", "good"),
    [
        (60, 120, True),
        (60.5, 120, False),
        (-DAY, -59.5, True),
        (-DAY, -60, False),
        (0, 30 * DAY, True),
        (0, 30 * DAY + 1, False),
    ],
)
def test_times_at_their_edges(
    provider: IdentityProvider, clock: Clock, issued: float, expires: float, good: bool
) -> None:
    claims = provider.claims(sid="s1", iat=clock() + issued, exp=clock() + expires)
    if good:
        judged(claims, clock)
    else:
        with pytest.raises(LogoutRefused, match="time"):
            judged(claims, clock)


# JSON and its spelling.


@pytest.mark.parametrize(
    "claims",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"\xff",
        b"[" * 5_000,
        b'{"a":' * 1_000,
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"iss": "a", "iss": "b"}',
        b'{"exp": ' + b"9" * 5_000 + b"}",
    ],
)
def test_claims_that_are_no_object(provider: IdentityProvider, clock: Clock, claims: bytes) -> None:
    head = provider.token(sid="s1").partition(".")[0]
    assert refusal(provider, clock, f"{head}.{encoded(claims)}.AAAA") is LogoutReason.MALFORMED
    assert refusal(provider, clock, f"{encoded(claims)}.e30.AAAA") is LogoutReason.MALFORMED


def test_an_infinite_time(provider: IdentityProvider, clock: Clock) -> None:
    """JSON's 1e999 is one for Python."""
    claims = json.loads(json.dumps(provider.claims(sid="s1")).replace('"iss"', '"z": 1e999, "iss"'))
    for name in ("iat", "exp"):
        with pytest.raises(LogoutRefused, match="malformed"):
            judged({**claims, name: claims["z"]}, clock)


def test_one_spelling_only(provider: IdentityProvider, clock: Clock) -> None:
    token = provider.token(sid="s1")
    for other in (token + "=", token + "\n", " " + token, token + ".", token.replace(".", "..", 1)):
        assert refusal(provider, clock, other) is LogoutReason.MALFORMED


def test_a_token_that_is_too_long(provider: IdentityProvider, clock: Clock) -> None:
    token = provider.token(sid="s1", more="x" * 5_700)
    assert MOST_TOKEN - 250 < len(token) < MOST_TOKEN
    carried(provider, clock, token)
    assert refusal(provider, clock, provider.token(sid="s1", more="x" * 6_200)) is (
        LogoutReason.MALFORMED
    )


PART = st.text("AZaz09-_", max_size=12)


@given(st.text(max_size=30) | st.lists(PART, max_size=4).map(".".join))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(LogoutRefused):
        read_token(text, ALLOWED)


VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    *(st.lists(st.text(max_size=3), max_size=2), st.just({}), st.just({EVENT: None})),
)
NAMES = st.sampled_from(["iss", "aud", "iat", "exp", "events", "nonce", "jti", "sid", "sub"])


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=2))
def test_whatever_stands_in_a_claim_is_judged(changed: dict[str, Any]) -> None:
    clock = Clock()
    claims = {**IdentityProvider(clock).claims(sid="s1", sub="alice"), **changed}
    try:
        logout = judged(claims, clock)
    except LogoutRefused:
        return
    assert changed.keys() <= {"iat", "exp", "jti", "sid", "sub"}
    assert all(isinstance(part, str) and part for part in logout)
