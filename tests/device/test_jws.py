"""A browser's signature: what is accepted, and that nothing else is, nor raises anything else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from duck_cookie_session.device.jws import (
    DeviceKey,
    ProofRefused,
    claimed_challenge,
    verify_refresh,
    verify_registration,
)

CHALLENGE = "a-challenge_of.ours"
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_private = ec.derive_private_key(123456789, ec.SECP256R1())
_other = ec.derive_private_key(987654321, ec.SECP256R1())


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(private: ec.EllipticCurvePrivateKey = _private) -> bytes:
    numbers = private.public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def jwk(private: ec.EllipticCurvePrivateKey = _private, **changed: Any) -> dict[str, Any]:
    x, y = point(private)[:32], point(private)[32:]
    return {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y), **changed}


def es256(signed: bytes, private: ec.EllipticCurvePrivateKey = _private) -> bytes:
    r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def jws(
    header: Any = None,
    payload: Any = None,
    sign: Callable[[bytes], bytes] = es256,
    **changed: Any,
) -> str:
    """A JWS that is good where nothing is changed; bytes are taken as they are."""
    if header is None:
        header = {"alg": "ES256", "typ": "dbsc+jwt", "jwk": jwk(), **changed}
        header = {name: value for name, value in header.items() if value is not ...}
    if payload is None:
        payload = {"jti": CHALLENGE}
    parts = [
        b64(part if isinstance(part, bytes) else json.dumps(part).encode())
        for part in (header, payload)
    ]
    signed = ".".join(parts)
    return f"{signed}.{b64(sign(signed.encode()))}"


def test_a_good_one_registers_its_key_and_refreshes() -> None:
    key = verify_registration(jws(), challenge=CHALLENGE)
    assert key == DeviceKey(point())
    verify_refresh(jws(jwk=...), key=key, challenge=CHALLENGE)
    assert claimed_challenge(jws()) == CHALLENGE


REGISTERED = (
    "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImJubTE2QklrdVdINmFL"
    "ZlJ6TVpjMVFmM1A4ZVpuWjhPQ0lPOU5NYnRvU1EiLCJ5IjoicUJwdzBEemYtanlfNWxiS0RDc0FyWHFfcW9RYVp5"
    "RzNzQzFYRXY2RHNPNCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJjMSJ9.ZA13PxHrUkunybGN6fjf1VA3UG"
    "FGKfB5yHFPJcyNMzTnDg-09yuOO7_oJ5T-nB5cjEaqOJQWZ2hiOvd5tTZJyA"
)
REFRESHED = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiJjMiJ9.Wjh7KvKh-uFV6FBG0XUmEtuH2gY"
    "yB8qMSM0PqXpLsWBlf_ATbZU0WzQdtiF4mTyYGml0DESQd422DJSUA5J1uw"
)
AGAIN = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiJjMyJ9.NMVYmZSD6G-hV84pLaHOIoX1ejl"
    "J491TKM1tnf6tM7FRB-Y3sq3RhLLsNu2_GD4OsvHyRsu7Xz42G_HKOmOZLw"
)


def test_what_chromium_156_signed() -> None:
    """A registration and two refreshes of one session, challenges c1, c2 and c3."""
    key = verify_registration(REGISTERED, challenge="c1")
    verify_refresh(REFRESHED, key=key, challenge="c2")
    verify_refresh(AGAIN, key=key, challenge="c3")
    for text, other in ((REGISTERED, "c2"), (REFRESHED, "c3"), (AGAIN, "c2")):
        with pytest.raises(ProofRefused, match="other challenge"):
            verify_refresh(text, key=key, challenge=other)
    for text, own in ((REFRESHED, "c2"), (AGAIN, "c3")):
        with pytest.raises(ProofRefused, match="wrong signature"):
            verify_refresh(text, key=DeviceKey(point()), challenge=own)


def test_known_digest() -> None:
    # The key of RFC 7515, appendix A.3.
    x = unb64("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
    y = unb64("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    assert DeviceKey(x + y).digest() == int(hashlib.sha256(x + y).hexdigest()[:13], 16)


@pytest.mark.parametrize("number", [0, 1, 16, 2**52 - 1])
def test_a_digest_is_never_absent_and_fits_the_list(number: int) -> None:
    assert 0 < DeviceKey(number.to_bytes(64, "big")).digest() < 2**52


HEADERS: dict[str, dict[str, Any]] = {
    "no algorithm": {"alg": "none"},
    "no algorithm, spelled otherwise": {"alg": "nOnE"},
    "algorithm missing": {"alg": ...},
    "a list of algorithms": {"alg": ["ES256"]},
    "RS256": {"alg": "RS256"},
    "ES384": {"alg": "ES384"},
    "ES256K": {"alg": "ES256K"},
    "type missing": {"typ": ...},
    "another type": {"typ": "JWT"},
    "another case": {"typ": "DBSC+JWT"},
    "critical": {"crit": ["b64"], "b64": False},
    "critical, of nothing": {"crit": []},
}
KEYS: dict[str, Any] = {
    "none": ...,
    "null": None,
    "text": "key",
    "RSA": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    "symmetric": {"kty": "oct", "k": b64(b"k" * 32)},
    "another curve": jwk(crv="P-384"),
    "x too short": jwk(x=b64(b"x" * 31)),
    "y too long": jwk(y=b64(b"y" * 33)),
    "y missing": {"kty": "EC", "crv": "P-256", "x": jwk()["x"]},
    "x a number": jwk(x=5),
    "x padded": jwk(x=jwk()["x"] + "="),
    "x in another alphabet": jwk(x="+" + jwk()["x"][1:]),
    "x not ASCII": jwk(x="\u00e4" + jwk()["x"][1:]),
    "off the curve": jwk(y=jwk()["x"]),
    "the point at infinity": jwk(x=b64(bytes(32)), y=b64(bytes(32))),
    "x beyond the field": jwk(x=b64((P + 5).to_bytes(32, "big"))),
    "private": jwk(d=b64(b"d" * 32)),
}


@pytest.mark.parametrize("what", HEADERS)
def test_another_header_is_refused(what: str) -> None:
    text = jws(**HEADERS[what])
    for verify in (
        lambda: verify_registration(text, challenge=CHALLENGE),
        lambda: verify_refresh(text, key=DeviceKey(point()), challenge=CHALLENGE),
        lambda: claimed_challenge(text),
    ):
        with pytest.raises(ProofRefused):
            verify()


@pytest.mark.parametrize("what", KEYS)
def test_a_key_that_is_none_of_the_curve_is_refused_and_a_refresh_ignores_it(what: str) -> None:
    text = jws(jwk=KEYS[what])
    with pytest.raises(ProofRefused):
        verify_registration(text, challenge=CHALLENGE)
    verify_refresh(text, key=DeviceKey(point()), challenge=CHALLENGE)


@pytest.mark.parametrize("small", [5, 6, 8, 9])
def test_a_coordinate_not_reduced_is_refused(small: int) -> None:
    """x + p names the same point to whoever reduces it: one key would have two digests."""
    y = pow(small**3 - 3 * small + B, (P + 1) // 4, P)
    reduced = small.to_bytes(32, "big") + y.to_bytes(32, "big")
    with pytest.raises(ProofRefused, match="wrong signature"):  # it lies on the curve
        verify_refresh(jws(), key=DeviceKey(reduced), challenge=CHALLENGE)
    beyond = (small + P).to_bytes(32, "big") + y.to_bytes(32, "big")
    with pytest.raises(ProofRefused, match="no key on P-256"):
        verify_refresh(jws(), key=DeviceKey(beyond), challenge=CHALLENGE)


def _hmac(signed: bytes) -> bytes:
    public = _private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hmac.digest(public, signed, "sha256")


def _rs256(signed: bytes) -> bytes:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def _der(signed: bytes) -> bytes:
    return _private.sign(signed, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("alg", ["ES256", "HS256", "RS256", "none"])
@pytest.mark.parametrize(
    "sign",
    [
        _hmac,
        _rs256,
        _der,
        lambda signed: _hmac(signed) * 2,
        lambda signed: es256(signed, _other),
        lambda signed: es256(signed + b"."),
        lambda signed: es256(signed) + b"\0",
        lambda signed: es256(signed)[:63],
        lambda signed: bytes(64),
        lambda signed: es256(signed)[:32] + bytes(32),
        lambda signed: bytes(32) + es256(signed)[32:],
        lambda signed: N.to_bytes(32, "big") * 2,
        lambda signed: b"\xff" * 64,
        lambda signed: b"",
    ],
)
def test_another_signature_is_refused(alg: str, sign: Callable[[bytes], bytes]) -> None:
    text = jws(alg=alg, sign=sign)
    with pytest.raises(ProofRefused):
        verify_registration(text, challenge=CHALLENGE)
    with pytest.raises(ProofRefused):
        verify_refresh(text, key=DeviceKey(point()), challenge=CHALLENGE)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"jti": None},
        {"jti": 5},
        {"jti": [CHALLENGE]},
        {"jti": ""},
        {"jti": "c" * 1025},
        {"jti": "\u00e4"},
        {"jti": "\ud800"},
        [CHALLENGE],
        CHALLENGE,
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        json.dumps({"jti": CHALLENGE}).encode("utf-16"),
        b'{"jti": "a-challenge_of.ours", "jti": "a-challenge_of.ours"}',
        b'{"jti": "a-challenge_of.ours", "x": {"a": 1, "a": 1}}',
        b'{"jti": "a-challenge_of.ours", "x": NaN}',
        b'{"jti": "a-challenge_of.ours", "x": ' + b"9" * 2000 + b"} {",
        b'{"jti": "a-challenge_of.ours"} x',
        b"[" * 2900,
        b'{"a":' * 550,
    ],
)
def test_a_payload_without_a_challenge_is_refused(payload: Any) -> None:
    text = jws(payload=payload, jwk=...)
    for verify in (
        lambda: verify_refresh(text, key=DeviceKey(point()), challenge=CHALLENGE),
        lambda: claimed_challenge(text),
    ):
        with pytest.raises(ProofRefused):
            verify()


@pytest.mark.parametrize("challenge", ["", "other", CHALLENGE + "x", CHALLENGE[:-1], "\u00e4"])
def test_another_challenge_is_refused(challenge: str) -> None:
    with pytest.raises(ProofRefused, match="other challenge"):
        verify_registration(jws(), challenge=challenge)
    with pytest.raises(ProofRefused, match="other challenge"):
        verify_refresh(jws(), key=DeviceKey(point()), challenge=challenge)


def test_a_signature_of_one_key_is_none_of_another() -> None:
    with pytest.raises(ProofRefused, match="wrong signature"):
        verify_refresh(jws(), key=DeviceKey(point(_other)), challenge=CHALLENGE)
    with pytest.raises(ProofRefused, match="wrong signature"):
        verify_registration(jws(jwk=jwk(_other)), challenge=CHALLENGE)
    with pytest.raises(ProofRefused, match="P-256"):
        verify_refresh(jws(), key=DeviceKey(b"short"), challenge=CHALLENGE)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: f'"{text}"',
        lambda text: text + ".",
        lambda text: "." + text,
        lambda text: text.replace(".", "..", 1),
        lambda text: text.rpartition(".")[0],
        lambda text: text.rpartition(".")[0] + ".",
        lambda text: text.replace(".", "\uff0e"),
        lambda text: "\u0661" + text[1:],
        lambda text: "",
        lambda text: "a" * 4097,
        lambda text: text + "." + text,
        lambda text: json.dumps({"payload": text}),
    ],
)
def test_another_form_is_refused(edit: Callable[[str], str]) -> None:
    with pytest.raises(ProofRefused):
        verify_registration(edit(jws()), challenge=CHALLENGE)


def test_each_part_has_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for payload in ({"jti": CHALLENGE}, {"jti": CHALLENGE, "a": 1}, {"jti": CHALLENGE, "a": 12}):
        parts = jws(payload=payload).split(".")
        for number, part in enumerate(parts):
            for char in set(alphabet) - {part[-1]}:
                changed = [*parts]
                changed[number] = part[:-1] + char
                with pytest.raises(ProofRefused):
                    verify_registration(".".join(changed), challenge=CHALLENGE)


@settings(deadline=None)
@given(st.text(max_size=64), st.text(max_size=64), st.binary(max_size=70))
def test_whatever_arrives_is_refused_by_name(header: str, payload: str, signature: bytes) -> None:
    for text in (
        header,
        f"{header}.{payload}.{b64(signature)}",
        f"{b64(header.encode('utf-8', 'surrogatepass'))}.{b64(signature)}.{b64(signature)}",
    ):
        with pytest.raises(ProofRefused) as refused:
            verify_registration(text, challenge=CHALLENGE)
        assert refused.value.reason.value == str(refused.value)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "jwk", "crit", "kid"]), _json),
    st.dictionaries(st.sampled_from(["jti", "iat", "sub"]), _json),
)
def test_other_members_are_ignored_or_refused(header: Any, payload: Any) -> None:
    good = {"alg": "ES256", "typ": "dbsc+jwt", "jwk": jwk()}
    text = jws({**good, **header}, {"jti": CHALLENGE, **payload})
    if {*header} <= {"kid"} and "jti" not in payload:
        assert verify_registration(text, challenge=CHALLENGE) == DeviceKey(point())
    else:
        with pytest.raises(ProofRefused):
            verify_registration(text, challenge=CHALLENGE)


@settings(deadline=None)
@given(st.integers(0, 511), st.integers(1, 255))
def test_one_byte_of_signature_or_key_changed_is_refused(at: int, by: int) -> None:
    signed, _, signature = jws().rpartition(".")
    raw = bytearray(unb64(signature))
    raw[at % 64] ^= by
    with pytest.raises(ProofRefused):
        verify_registration(f"{signed}.{b64(bytes(raw))}", challenge=CHALLENGE)
    moved = bytearray(point())
    moved[at % 64] ^= by
    with pytest.raises(ProofRefused):
        verify_refresh(jws(), key=DeviceKey(bytes(moved)), challenge=CHALLENGE)
