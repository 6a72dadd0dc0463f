"""What a browser signs to show that it still has its private key: a JWS, ES256 and nothing else.

DBSC ("DBSC proofs" in https://w3c.github.io/webappsec-dbsc/) takes one form of RFC 7515, the
compact one with an attached payload, one algorithm (RFC 7518 section 3.4) and one kind of key
(section 6.2). So whatever a sender could choose is refused here instead of being understood.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from .._jws import Flaw, JWSRefused, decoded, take_apart
from ..errors import DeviceReason

MAX_JWS = 4096
"""Most characters of a JWS; a browser's has some 300 and the challenge, twice with its key."""

MAX_CHALLENGE = 1024
"""Most characters of a challenge."""

_ECDSA = ECDSA(SHA256())
_REASONS = {
    Flaw.TOO_LONG: DeviceReason.TOO_LONG,
    Flaw.MALFORMED: DeviceReason.MALFORMED,
    Flaw.SPELLING: DeviceReason.SPELLING,
    Flaw.CRITICAL: DeviceReason.TYPE,
}


class ProofRefused(ValueError):
    """A JWS or its challenge was not accepted. Internal to the library.

    Attributes:
        reason: what it was refused for; its text is a few words of our own.
    """

    def __init__(self, reason: DeviceReason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """The public key of a browser, on the curve P-256.

    Attributes:
        point: x and y, 32 bytes each, the big end first.
    """

    point: bytes

    def digest(self) -> int:
        """52 bits of the key's SHA-256, never 0: what stands in the revocation list."""
        return int.from_bytes(hashlib.sha256(self.point).digest()[:7], "big") >> 4 or 1


def verify_registration(jws: str, *, challenge: str) -> DeviceKey:
    """The key that a browser registers, which it has signed the challenge with.

    Raises:
        ProofRefused: anything is wrong with it.
    """
    proof = _Proof(jws)
    proof.answers(challenge)
    key = _key_of(proof.header.get("jwk"))
    proof.signed_by(key)
    return key


def verify_refresh(jws: str, *, key: DeviceKey, challenge: str) -> None:
    """Whether the owner of this key signed the challenge. A key that the JWS brings is ignored.

    Raises:
        ProofRefused: anything is wrong with it.
    """
    proof = _Proof(jws)
    proof.answers(challenge)
    proof.signed_by(key)


def claimed_challenge(jws: str) -> str:
    """The challenge that a JWS says it answers, not verified.

    It is ASCII, of 1 to `MAX_CHALLENGE` characters.

    Raises:
        ProofRefused: it is malformed, or for another algorithm or purpose.
    """
    return _Proof(jws).challenge


class _Proof:
    """A JWS taken apart, with nothing verified yet."""

    __slots__ = ("_signature", "_signed", "challenge", "header")

    def __init__(self, jws: str) -> None:
        try:
            parts = take_apart(jws, MAX_JWS)
        except JWSRefused as refused:
            raise ProofRefused(_REASONS[refused.flaw]) from None
        self.header = parts.header
        if self.header.get("alg") != "ES256":
            raise ProofRefused(DeviceReason.ALGORITHM)
        if self.header.get("typ") != "dbsc+jwt":
            raise ProofRefused(DeviceReason.TYPE)
        challenge = parts.payload.get("jti")
        if not isinstance(challenge, str) or not challenge.isascii():
            raise ProofRefused(DeviceReason.NO_CHALLENGE)
        if not 0 < len(challenge) <= MAX_CHALLENGE:
            raise ProofRefused(DeviceReason.NO_CHALLENGE)
        self.challenge = challenge
        self._signature = parts.signature
        if len(self._signature) != 64:
            raise ProofRefused(DeviceReason.SIGNATURE)
        self._signed = parts.signed

    def answers(self, challenge: str) -> None:
        if not hmac.compare_digest(self.challenge.encode("ascii"), challenge.encode("utf-8")):
            raise ProofRefused(DeviceReason.OTHER_CHALLENGE)

    def signed_by(self, key: DeviceKey) -> None:
        r, s = (int.from_bytes(self._signature[at : at + 32], "big") for at in (0, 32))
        try:
            public = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b"\x04" + key.point)
        except ValueError:
            raise ProofRefused(DeviceReason.NO_KEY) from None
        try:
            public.verify(encode_dss_signature(r, s), self._signed, _ECDSA)
        except InvalidSignature:
            raise ProofRefused(DeviceReason.SIGNATURE) from None


def _key_of(jwk: Any) -> DeviceKey:
    """The key in a header. Whether it lies on the curve is checked when it is used."""
    if not isinstance(jwk, dict) or (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise ProofRefused(DeviceReason.NO_KEY)
    if "d" in jwk:
        raise ProofRefused(DeviceReason.NO_KEY)  # known to more than the device, then
    x, y = jwk.get("x"), jwk.get("y")
    if not isinstance(x, str) or not isinstance(y, str) or len(x) != 43 or len(y) != 43:
        raise ProofRefused(DeviceReason.NO_KEY)
    try:
        return DeviceKey(decoded(x) + decoded(y))
    except JWSRefused as refused:
        raise ProofRefused(_REASONS[refused.flaw]) from None
