"""Makes tests/vectors.json: `python tests/make_vectors.py > tests/vectors.json`.

A second implementation of the token, written from the text in `token.py`, `keyring.py` and the
Fernet specification. It uses nothing of the library: HMAC and HKDF from the standard library, AES
from `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import zlib
from datetime import date
from typing import Any
from uuid import UUID

import msgpack
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

Json = dict[str, Any]

# Keys.


def field(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, 32 bytes: one block of output."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def keys(secret: str, cookie_name: str, audience: str) -> tuple[bytes, bytes]:
    """The signing and the encryption key."""
    info = field("duck-cookie-session") + field("1") + field(cookie_name) + field(audience)
    derived = hkdf(secret.encode(), info)
    return derived[:16], derived[16:]


# Fernet.


def fernet_seal(plain: bytes, signing: bytes, encryption: bytes, time: int, iv: bytes) -> str:
    pad = 16 - len(plain) % 16
    encryptor = Cipher(AES(encryption), CBC(iv)).encryptor()
    sealed = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
    signed = b"\x80" + time.to_bytes(8, "big") + iv + sealed
    token = base64.urlsafe_b64encode(signed + hmac.digest(signing, signed, "sha256"))
    return token.decode().replace("=", "")


def fernet_open(token: str, signing: bytes, encryption: bytes) -> tuple[bytes, int, bytes]:
    """Plain text, time and IV; ValueError if the token was not made with these keys."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    signed, tag = raw[:-32], raw[-32:]
    if signed[0] != 0x80 or not hmac.compare_digest(tag, hmac.digest(signing, signed, "sha256")):
        raise ValueError("not made with this key")
    iv = signed[9:25]
    decryptor = Cipher(AES(encryption), CBC(iv)).decryptor()
    padded = decryptor.update(signed[25:]) + decryptor.finalize()
    return padded[: -padded[-1]], int.from_bytes(signed[1:9], "big"), iv


# Claims.

EPOCHS = (("session_epoch", 2), ("subject_epoch", 8), ("everything_epoch", 16))


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pack_claims(claims: Json, data: bytes, *, deflated: bool) -> bytes:
    flags = (1 if claims["browser_length"] else 0) | (64 if deflated else 0)
    tail = b""
    for name, flag in EPOCHS:
        if claims[name]:
            flags |= flag
            tail += claims[name].to_bytes(7, "big")
    if claims["subject"] is not None:
        subject = claims["subject"].encode("utf-8", "surrogatepass")
        long = len(subject) > 255
        flags |= 4 | (32 if long else 0)
        tail += len(subject).to_bytes(2 if long else 1, "big") + subject
    return (
        bytes([1, flags])
        + unbase64(claims["session_id"])
        + claims["created_s"].to_bytes(5, "big")
        + claims["expires_ms"].to_bytes(6, "big")
        + claims["lifetime_ms"].to_bytes(5, "big")
        + tail
        + data
    )


def read_claims(plain: bytes) -> tuple[Json, bytes]:
    """Claims and data; a format other than version 1 is an error."""
    at = 0

    def number(size: int) -> int:
        return int.from_bytes(take(size), "big")

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return plain[at - size : at]

    version, flags = take(2)
    if version != 1 or flags >= 128:
        raise ValueError("another format")
    claims: Json = {
        "session_id": base64.urlsafe_b64encode(take(16)).decode().rstrip("="),
        "created_s": number(5),
        "expires_ms": number(6),
        "lifetime_ms": number(5),
        "browser_length": bool(flags & 1),
    }
    for name, flag in EPOCHS:
        claims[name] = number(7) if flags & flag else 0
    claims["subject"] = None
    if flags & 4:
        claims["subject"] = take(number(2 if flags & 32 else 1)).decode("utf-8", "surrogatepass")
    data = plain[at:]
    return claims, zlib.decompress(data, wbits=-15) if flags & 64 else data


def read_token(token: str, secret: str, cookie_name: str, audience: str) -> Json:
    """Everything that a token says; ValueError if it was not made with this secret."""
    plain, time, iv = fernet_open(token, *keys(secret, cookie_name, audience))
    claims, data = read_claims(plain)
    return {"time": time, "iv": iv.hex(), "claims": claims, "data_msgpack": data.hex()}


# The vectors.

SECRET = "correct horse battery staple, and some more"
OLDER = "the secret that was in use before that one"
CREATED = 1_800_000_000_000
WEEK = 604_800_000


def claims(**changed: Any) -> Json:
    return {
        "session_id": "AAECAwQFBgcICQoLDA0ODw",
        "created_s": CREATED // 1000,
        "expires_ms": CREATED + WEEK,
        "lifetime_ms": WEEK,
        "browser_length": False,
        "session_epoch": 0,
        "subject_epoch": 0,
        "everything_epoch": CREATED * 1000,
        "subject": None,
        **changed,
    }


# What deflate makes differs between its implementations, so one result of it is kept here.
REPEATED = {"text": "again and again and " * 10}
DEFLATED = "6b5c52925a5172f344627a62669e42625e8ac2d0660100"

CASES: list[Json] = [
    {"name": "a visitor", "data": {"cart": ["apple", 3], "seen": True}},
    {
        "name": "logged in, with every epoch",
        "claims": claims(subject="42", session_epoch=5, subject_epoch=1_799_999_999_000_000),
        "data": {"user": 42, "name": "Zoë"},
    },
    {
        "name": "expired",
        "claims": claims(created_s=1, expires_ms=61_000, lifetime_ms=60_000),
        "time": 1,
        "expired_at": 61,
        "data": {"a": None},
    },
    {
        "name": "sealed under an old secret, another cookie name and audience",
        "secrets": [SECRET, OLDER],
        "sealed_by": 1,
        "cookie_name": "__Host-id",
        "audience": "shop",
        "data": {"half": 0.5, "list": [[], {}]},
    },
    {
        "name": "deflated",
        "deflated": DEFLATED,
        "data": REPEATED,
    },
    {
        "name": "a subject of more than 255 bytes with a lone surrogate",
        "claims": claims(subject="\ud800" + "é" * 150, everything_epoch=0),
        "data": {},
    },
    {
        "name": "fixed expiry, browser-length, the last epoch",
        "claims": claims(
            lifetime_ms=0,
            browser_length=True,
            expires_ms=2**48 - 1,
            session_epoch=2**53 - 1,
            subject="",
        ),
        "data": {"": ""},
    },
    {
        "name": "extension types: a tuple of a date and a UUID",
        # {"t": (date(2027, 1, 15), UUID(int=1))} as serializer.py describes it
        "data_msgpack": "81a17493c70001"
        + ("c70306" + date(2027, 1, 15).toordinal().to_bytes(3, "big").hex())
        + ("d80a" + UUID(int=1).hex),
    },
]


def vector(number: int, case: Json) -> Json:
    secrets, sealed_by = case.get("secrets", [SECRET]), case.get("sealed_by", 0)
    cookie_name, audience = case.get("cookie_name", "session_id"), case.get("audience", "")
    said = case.get("claims", claims())
    time = case.get("time", CREATED // 1000)
    iv = hashlib.sha256(b"iv %d" % number).digest()[:16]
    packed = bytes.fromhex(case["data_msgpack"]) if "data_msgpack" in case else None
    if packed is None:
        packed = msgpack.packb(case["data"])
    stored = bytes.fromhex(case["deflated"]) if "deflated" in case else packed
    if "deflated" in case and zlib.decompress(stored, wbits=-15) != packed:
        raise ValueError(case["name"])
    plain = pack_claims(said, stored, deflated="deflated" in case)
    signing, encryption = keys(secrets[sealed_by], cookie_name, audience)
    return {
        "name": case["name"],
        "secrets": secrets,
        "sealed_by": sealed_by,
        "cookie_name": cookie_name,
        "audience": audience,
        "time": time,
        "iv": iv.hex(),
        "claims": said,
        **({"expired_at": case["expired_at"]} if "expired_at" in case else {}),
        **({"data": case["data"]} if "data" in case else {}),
        "data_msgpack": packed.hex(),
        **({"data_deflated": case["deflated"]} if "deflated" in case else {}),
        "token": fernet_seal(plain, signing, encryption, time, iv),
    }


def text() -> str:
    """The file as it has to be."""
    made = [vector(number, case) for number, case in enumerate(CASES, 1)]
    return json.dumps({"format": 1, "vectors": made}, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
