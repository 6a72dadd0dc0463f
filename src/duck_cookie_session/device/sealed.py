"""What a bound session keeps in the browser: its device key, the proof, and challenges, sealed.

Each kind is a Fernet token, without its `=`, under keys of its own: HKDF as for sessions
(`token/keys`), with one field more in the info, the purpose. All numbers are big-endian:

    device key   binding id 16, session id 16, end 8, public key 64
    proof        binding id 16, session id 16, end 8, digest of the key 8
    challenge    binding id 16, session id 16, end 8; registration and refresh are two purposes

`end` is in milliseconds since 1970. Nothing is kept on the server for any of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DeviceReason, TokenRefused
from ..settings import SessionSettings
from ..token.format import padded
from ..token.keys import KeyRing
from .jws import DeviceKey, ProofRefused

CHALLENGE_MS = 5 * 60 * 1000
"""Milliseconds that a challenge lives."""

KEY, PROOF, REGISTRATION, REFRESH = "device key", "proof", "registration", "refresh"

_MOST_CHARACTERS = 512  # the longest, a device key, takes 246
_MOST_SEEN = 1_024  # proofs kept, and headers that brought one
_MOST_HEADER = 4_096
_MOST_PAIRS = 8  # bindings of one cookie name that are looked at in a request


class Sealed(NamedTuple):
    """What was sealed.

    Attributes:
        binding: 16 random bytes, what the browser knows the binding by.
        session_id: of the session that it belongs to.
        end_ms: from when it is good no more, milliseconds since 1970.
        rest: the public key, or the digest of it.
    """

    binding: bytes
    session_id: bytes
    end_ms: int
    rest: bytes

    @property
    def key(self) -> DeviceKey:
        """The public key; only of a device key."""
        return DeviceKey(self.rest)

    @property
    def digest(self) -> int:
        """The digest of the key; only of a proof."""
        return int.from_bytes(self.rest, "big")


def binding_text(binding: bytes) -> str:
    """A binding id as the browser gets it, 22 URL-safe characters."""
    return base64.urlsafe_b64encode(binding).rstrip(b"=").decode("ascii")


class Seals:
    """Seals and opens all of this for one application. Thread-safe."""

    __slots__ = ("_brought", "_key_start", "_proof_start", "_rings", "_seen", "settings")

    def __init__(self, settings: SessionSettings) -> None:
        self.settings: SessionSettings = settings
        self._rings = {
            purpose: KeyRing(settings.secret_keys, settings.application + _field(purpose))
            for purpose in (KEY, PROOF, REGISTRATION, REFRESH)
        }
        self._seen: dict[str, Sealed] = {}  # proofs that were opened before
        self._brought: dict[str, tuple[bytes, int, int]] = {}  # the same by `Cookie` headers
        self._key_start = settings.cookie_name + "-key-"
        self._proof_start = settings.cookie_name + "-proof-"

    def seal(self, purpose: str, sealed: Sealed, now_ms: int) -> str:
        """The text of it."""
        data = sealed.binding + sealed.session_id + sealed.end_ms.to_bytes(8, "big") + sealed.rest
        token = self._rings[purpose].encrypt(data, now_ms // 1000)
        return token.rstrip(b"=").decode("ascii")

    def open(self, purpose: str, text: str, now_ms: int) -> Sealed | None:
        """What a text holds; None if it is not ours, of another purpose, or past its end."""
        if len(text) > _MOST_CHARACTERS:
            return None
        seen = self._seen.get(text) if purpose == PROOF else None
        if seen is not None:
            return seen if now_ms < seen.end_ms else None
        try:
            found = self._rings[purpose].decrypt(padded(text))
        except TokenRefused:  # in another spelling than ours
            return None
        if found is None:
            return None
        data = found[0]
        sealed = Sealed(data[:16], data[16:32], int.from_bytes(data[32:40], "big"), data[40:])
        if now_ms >= sealed.end_ms:
            return None
        if purpose == PROOF:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[text] = sealed
        return sealed

    def challenge(self, purpose: str, binding: bytes, session_id: bytes, now_ms: int) -> str:
        """A challenge for one session, binding and purpose, good for 5 minutes."""
        return self.seal(purpose, Sealed(binding, session_id, now_ms + CHALLENGE_MS, b""), now_ms)

    def open_challenge(self, purpose: str, text: str, session_id: bytes, now_ms: int) -> Sealed:
        """What a challenge holds that one of our responses gave out less than 5 minutes ago.

        Raises:
            ProofRefused: it is for another purpose or session, too old, or not ours.
        """
        sealed = self.open(purpose, text, 0)
        if sealed is None:
            other = self.open(REFRESH if purpose == REGISTRATION else REGISTRATION, text, 0)
            raise ProofRefused(DeviceReason.OTHER_PURPOSE if other else DeviceReason.NO_CHALLENGE)
        if sealed.session_id != session_id:
            raise ProofRefused(DeviceReason.OTHER_CHALLENGE)
        if now_ms >= sealed.end_ms:
            raise ProofRefused(DeviceReason.OLD_CHALLENGE)
        return sealed

    # Cookies.

    def names(self, binding: bytes) -> tuple[str, str]:
        """The names of the cookies of a binding: the device key's, the proof's."""
        text = binding_text(binding)[:8]
        return self._key_start + text, self._proof_start + text

    def cookies(self, header: str, purpose: str) -> list[tuple[str, str]]:
        """Names and values of the device keys or proofs in a `Cookie` header, a few at most."""
        start = self._key_start if purpose == KEY else self._proof_start
        if start not in header:
            return []
        pairs = (part.strip(" \t").partition("=") for part in header.split(";"))
        found = [
            (name, value)
            for name, _, value in pairs
            if name.startswith(start) and len(name) == len(start) + 8
        ]
        return found[:_MOST_PAIRS]

    def find_key(self, header: str, session_id: bytes, now_ms: int) -> Sealed | None:
        """The device key of a session among a request's cookies."""
        keys = self._found(header, KEY, now_ms)
        return next((key for key in keys if key.session_id == session_id), None)

    def _find_proof(self, header: str, session_id: bytes, now_ms: int) -> Sealed | None:
        """The proof that counts for a session.

        Also one of the session's earlier id, of the same binding as its device key: what a renewal
        brought that was under way while `cycle_key()` moved the session.
        """
        proofs = list(self._found(header, PROOF, now_ms))
        for proof in proofs:
            if proof.session_id == session_id:
                return proof
        key = self.find_key(header, session_id, now_ms) if proofs else None
        for proof in proofs:
            if key and proof.binding == key.binding:
                return proof
        return None

    def _found(self, header: str, purpose: str, now_ms: int) -> Iterator[Sealed]:
        """What the device keys or proofs in a `Cookie` header hold, each under its own name."""
        for name, value in self.cookies(header, purpose):
            sealed = self.open(purpose, value, now_ms)
            if sealed is not None and name in self.names(sealed.binding):
                yield sealed

    def proven(self, header: str, session_id: bytes, now_ms: int) -> int:
        """The digest of the key that a request's cookies prove for a session; 0 without a proof."""
        brought = self._brought.get(header)
        if brought is not None and brought[0] == session_id and now_ms < brought[1]:
            return brought[2]
        proof = self._find_proof(header, session_id, now_ms)
        if proof is None:
            return 0
        if len(self._brought) >= _MOST_SEEN:
            self._brought.clear()
        if len(header) <= _MOST_HEADER:
            self._brought[header] = session_id, proof.end_ms, proof.digest
        return proof.digest

    def set_key(self, key: Sealed, now_ms: int) -> str:
        """The `Set-Cookie` of a device key."""
        name = self.names(key.binding)[0]
        return self._cookie(name, self.seal(KEY, key, now_ms), (key.end_ms - now_ms) // 1000)

    def set_proof(self, key: Sealed, now_ms: int) -> str:
        """The `Set-Cookie` of a new proof for a device key."""
        age_ms = int(self.settings.device_proof_age * 1000)
        end_ms = min(now_ms + age_ms, key.end_ms)
        digest = key.key.digest().to_bytes(8, "big")
        proof = Sealed(key.binding, key.session_id, end_ms, digest)
        name = self.names(key.binding)[1]
        return self._cookie(name, self.seal(PROOF, proof, now_ms), (end_ms - now_ms) // 1000)

    def delete_all(self, header: str) -> list[str]:
        """The `Set-Cookie` lines that delete every key and proof that a request brought."""
        found = [*self.cookies(header, KEY), *self.cookies(header, PROOF)]
        return [self._cookie(name, "", 0) for name, _ in found]

    def _cookie(self, name: str, value: str, max_age: int) -> str:
        path = f"Path={self.settings.cookie_path}"
        return f"{name}={value}; {path}; Max-Age={max_age}{self.settings.cookie_attributes}"


def _field(purpose: str) -> bytes:
    return len(purpose).to_bytes(4, "big") + purpose.encode("ascii")
