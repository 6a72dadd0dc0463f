"""Makes vectors.json: `python -m tests.token.make_vectors > tests/token/vectors.json`.

A second implementation of the token, written from `docs/format.md` and the Fernet specification. It
uses nothing of the library: HMAC and HKDF from the standard library, AES from `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import sys
import zlib
from typing import Any
from uuid import UUID

import msgpack
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.token.second_data import render

Json = dict[str, Any]

# Keys.


def field(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, 32 bytes: one block of output."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def keys(secret: str, cookie_name: str, audience: str, *purpose: str) -> tuple[bytes, bytes]:
    """The signing and the encryption key; of a device key or proof, where that is the purpose."""
    parts = ("duck-cookie-session", "1", cookie_name, audience, *purpose)
    derived = hkdf(secret.encode(), b"".join(map(field, parts)))
    return derived[:16], derived[16:]


# Fernet.


def fernet_seal(plain: bytes, signing: bytes, encryption: bytes, time: int, iv: bytes) -> str:
    pad = 16 - len(plain) % 16
    encryptor = Cipher(AES(encryption), CBC(iv)).encryptor()
    sealed = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
    signed = b"\x80" + time.to_bytes(8, "big") + iv + sealed
    token = base64.urlsafe_b64encode(signed + hmac.digest(signing, signed, "sha256"))
    return token.decode().replace("=", "")


class NoKey(ValueError):
    """Well spelled, but not made with this key."""


def fernet_open(token: str, signing: bytes, encryption: bytes) -> tuple[bytes, int, bytes]:
    """Plain text, time and IV.

    Raises:
        ValueError: another spelling than the one that a token has.
        NoKey: not made with these keys.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,4096}", token, re.ASCII) or len(token) % 4 == 1:
        raise ValueError("another spelling")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise ValueError("bits that say nothing")
    signed, tag = raw[:-32], raw[-32:]
    if not hmac.compare_digest(tag, hmac.digest(signing, signed, "sha256")):
        raise NoKey("another key")
    iv, sealed = signed[9:25], signed[25:]
    if signed[0] != 0x80 or not sealed or len(sealed) % 16:
        raise NoKey("no Fernet token")
    decryptor = Cipher(AES(encryption), CBC(iv)).decryptor()
    padded = decryptor.update(sealed) + decryptor.finalize()
    pad = padded[-1]
    if not 1 <= pad <= 16 or padded[-pad:] != bytes([pad]) * pad:
        raise NoKey("wrong padding")
    return padded[:-pad], int.from_bytes(signed[1:9], "big"), iv


# Claims.

NUMBERS = (
    ("birth", 2),
    ("checkpoint", 4),
    ("reach", 4),
    ("session_epoch", 8),
    ("subject_epoch", 16),
    ("everything_epoch", 32),
)
MOST = 2**53 - 1


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pack_claims(claims: Json, data: bytes, *, deflated: bool) -> bytes:
    flags = (1 if claims["browser_length"] else 0) | (1024 if deflated else 0)
    tail = b""
    for name, flag in NUMBERS:
        if claims[name]:
            flags |= flag
            tail += claims[name].to_bytes(7, "big")
    if claims["subject"] is not None:
        subject = claims["subject"].encode("utf-8", "surrogatepass")
        long = len(subject) > 255
        flags |= 64 | (128 if long else 0)
        tail += len(subject).to_bytes(2 if long else 1, "big") + subject
    if claims["groups"]:
        flags |= 256
        have = sum(1 << at for at, group in enumerate(claims["groups"]) if group["epoch"])
        tail += bytes([len(claims["groups"]) | have << 4])
        for group in claims["groups"]:
            tail += bytes.fromhex(group["digest"])
            tail += group["epoch"].to_bytes(7, "big") if group["epoch"] else b""
    if claims["authenticated_s"] is not None:
        flags |= 512
        tail += claims["authenticated_s"].to_bytes(5, "big")
    return (
        b"\x01"
        + flags.to_bytes(2, "big")
        + unbase64(claims["session_id"])
        + claims["created_s"].to_bytes(5, "big")
        + claims["expires_ms"].to_bytes(6, "big")
        + claims["lifetime_ms"].to_bytes(5, "big")
        + tail
        + data
    )


class Reader:
    """Takes what is next of some bytes; ValueError where they end too soon."""

    def __init__(self, plain: bytes) -> None:
        self.rest = plain

    def take(self, size: int) -> bytes:
        if size > len(self.rest):
            raise ValueError("too short")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def counted(self) -> int:
        """A number of the list: from 1 on, as 0 is left out."""
        found = self.number(7)
        if not 1 <= found <= MOST:
            raise ValueError("out of range")
        return found


def read_claims(plain: bytes) -> tuple[Json, bytes]:
    """Claims and data; ValueError for what is not exactly as the format wants it."""
    reader = Reader(plain)
    version, flags = reader.number(1), reader.number(2)
    if version != 1 or flags > 2047:
        raise ValueError("another format")
    claims: Json = {
        "session_id": base64.urlsafe_b64encode(reader.take(16)).decode().rstrip("="),
        "created_s": reader.number(5),
        "expires_ms": reader.number(6),
        "lifetime_ms": reader.number(5),
        "browser_length": bool(flags & 1),
    }
    for name, flag in NUMBERS:
        claims[name] = reader.counted() if flags & flag else 0
    claims["subject"] = None
    if flags & (16 | 128) and not flags & 64:
        raise ValueError("said of no subject")
    if flags & 64:
        size = reader.number(2 if flags & 128 else 1)
        if flags & 128 and size < 256:
            raise ValueError("a short length in two bytes")
        claims["subject"] = reader.take(size).decode("utf-8", "surrogatepass")
    claims["groups"] = read_groups(reader) if flags & 256 else []
    claims["authenticated_s"] = reader.number(5) if flags & 512 else None
    if claims["authenticated_s"] == claims["created_s"]:
        raise ValueError("created at, once more")
    if not flags & 1024:
        return claims, reader.rest
    inflated = inflate(reader.rest)
    if len(inflated) <= len(reader.rest):
        raise ValueError("deflated for nothing")
    return claims, inflated


def read_groups(reader: Reader) -> list[Json]:
    mark = reader.number(1)
    count, reserved, have = mark & 7, mark & 8, mark >> 4
    if not 1 <= count <= 4 or reserved or have >= 1 << count:
        raise ValueError("another count of groups")
    groups = [
        {"digest": reader.take(16).hex(), "epoch": reader.counted() if have >> at & 1 else 0}
        for at in range(count)
    ]
    digests = [group["digest"] for group in groups]
    if digests != sorted(set(digests)):
        raise ValueError("out of order")
    return groups


def inflate(deflated: bytes) -> bytes:
    """One whole raw deflate stream of at most 1 MiB, and nothing after it."""
    inflater = zlib.decompressobj(wbits=-15)
    try:
        plain = inflater.decompress(deflated, 2**20)
    except zlib.error as error:
        raise ValueError("no deflate stream") from error
    if not inflater.eof or inflater.unused_data:
        raise ValueError("cut, too long, or followed by something")
    return plain


def read_token(token: str, secret: str, cookie_name: str, audience: str) -> Json:
    """Everything that a token says; ValueError for what is to be refused, NoKey among them."""
    plain, time, iv = fernet_open(token, *keys(secret, cookie_name, audience))
    claims, data = read_claims(plain)
    return {
        "time": time,
        "iv": iv.hex(),
        "claims": claims,
        "data": render(data),
        "data_msgpack": data.hex(),
    }


# The vectors.

SECRET = "correct horse battery staple, and some more"
OLDER = "the secret that was in use before that one"
CREATED = 1_800_000_000_000
WEEK = 604_800_000


BIRTH = 0x123456789ABCDE


def claims(**changed: Any) -> Json:
    return {
        "session_id": "AAECAwQFBgcICQoLDA0ODw",
        "created_s": CREATED // 1000,
        "expires_ms": CREATED + WEEK,
        "lifetime_ms": WEEK,
        "browser_length": False,
        "birth": BIRTH,
        "checkpoint": 0,
        "reach": 0,
        "session_epoch": 0,
        "subject_epoch": 0,
        "everything_epoch": 0,
        "subject": None,
        "groups": [],
        "authenticated_s": None,
        **changed,
    }


def group(number: int, epoch: int = 0) -> Json:
    return {"digest": hashlib.sha256(b"group %d" % number).hexdigest()[:32], "epoch": epoch}


def groups(*epochs: int) -> list[Json]:
    """As many groups, in the order of their digests; their epochs in that order."""
    made = sorted((group(number) for number in range(len(epochs))), key=lambda one: one["digest"])
    return [{**one, "epoch": epoch} for one, epoch in zip(made, epochs, strict=True)]


# What deflate makes differs between its implementations, so one result of it is kept here.
REPEATED = {"text": "again and again and " * 10}
DEFLATED = "6b5c52925a5172f344627a62669e42625e8ac2d0660100"


# Each type, extension, zone and key, as `docs/format.md` lays them out: `k` to one value, mostly.


def extension(code: int, payload: bytes | str) -> str:
    """As msgpack writes it, in hex."""
    content = bytes.fromhex(payload) if isinstance(payload, str) else payload
    head = {1: "d4", 2: "d5", 4: "d6", 8: "d7", 16: "d8"}.get(len(content), f"c7{len(content):02x}")
    return f"{head} {code:02x} {content.hex()}"


K = "81 a16b"
NAN = "cb7ff8000000000000"
Z7, Z8 = "00" * 7, "00" * 8
LONGEST = ((10**9 - 1) * 86_400 + 86_399) * 10**6 + 999_999
DECIMALS = [
    *("0", "-0", "1.50", "-0E+3", "1E-7", "0.000001", "1.23E+30"),
    *("NAN", "-NAN12", "SNAN", "INFINITY", "-INFINITY"),
    *("9.9E+999999999999999999", "-1E-1999999999999999997"),
]
DATA: list[tuple[str, str]] = [
    ("none, false, true", f"{K} 93 c0 c2 c3"),
    (
        "integers of every width",
        f"{K} 9e 00 7f e0 ff cc80 cdffff ceffffffff cf{'ff' * 8}"
        f" d080 d18000 d280000000 d380{Z7} d0df cd0100",
    ),
    ("floats", f"{K} 94 cb3ff8000000000000 cb80{Z7} cb7ff0000000000000 cb7ff8000000000000"),
    ("text with a lone surrogate and a NUL", f"{K} a7 eda080 00 c3a9 78"),
    ("text of every length", f"{K} 94 a0 bf{'61' * 31} d920{'62' * 32} da0100{'63' * 256}"),
    ("bytes", f"{K} 93 c400 c403 00ff80 c50100{'00' * 256}"),
    (
        "a list and a map of 16",
        f"82 a16c dc0010{'c0' * 16} a16d de0010" + "".join(f"{at:02x}c0" for at in range(16)),
    ),
    ("the order of a map is kept", "82 a162 01 a161 02"),
    ("a tuple and an empty one", f"{K} 92 93 c70001 01 02 91 c70001"),
    ("a set and an empty one", f"{K} 92 93 c70002 01 02 91 c70002"),
    ("a frozenset in a set", f"{K} 92 c70002 92 c70003 a178"),
    ("a tuple in a set", f"{K} 92 c70002 93 c70001 01 91 c70003"),
    *(
        (name, f"{K} {extension(4, payload)}")
        for name, payload in (
            ("2**64", f"01{Z8}"),
            ("-2**63 - 1", "ff7f" + "ff" * 7),
            ("2**127", "0080" + "00" * 15),
            ("-2**127", "80" + "00" * 15),
        )
    ),
    (
        "naive datetimes: the first, folded, and the last",
        f"{K} 93 d705{Z8} d705{1:016x} d705{315_537_897_599_999_999 << 1:016x}",
    ),
    *(
        (f"zone {name}", f"{K} {extension(5, Z8 + zone)}")
        for name, zone in (
            ("0: UTC", "00 0000"),
            ("0: -01:30", "00 ffa6"),
            ("0: the farthest east", "00 059f"),
            ("0: the farthest west", "00 fa61"),
            ("1: a second", "01 00000f4240"),
            ("1: a microsecond less than UTC", "01 ffffffffff"),
            ("2: a name of its own", "02 0000000000 5a756c75"),
            ("2: an empty name", "02 00d693a400"),
            ("2: a name that another offset has", "02 00d693a400 555443"),
            ("3: a key", "03" + b"Europe/Berlin".hex()),
        )
    ),
    ("dates: the first and the last", f"{K} 92 c70306 000001 c70306 37b9db"),
    ("times", f"{K} 93 c70507 0000000000 c70507 00001e8481 c70507 283baebfff"),
    ("times with zones", f"{K} 92 d707 0000000000 00 003c c70907 0000000000 03 555443"),
    ("timedeltas", f"{K} 94 c70008 d408ff d5080080 d708 016345785d89ffff"),
    (
        "the longest timedeltas",
        f"{K} 92 c70908{LONGEST:018x} c70908{2**72 - (10**9 - 1) * 86_400 * 10**6:018x}",
    ),
    *((f"decimal {text}", f"{K} {extension(9, text.encode())}") for text in DECIMALS),
    ("a UUID", f"{K} {extension(10, UUID(int=1).bytes)}"),
    (
        "keys of every type",
        f"8c c001 c201 c301 0501 cb3ff800000000000001 a001 c401ff01 c7090401{Z8}01"
        f" d705{Z8}01 c7030600000101 c7000801 d80a{UUID(int=1).hex}01",
    ),
    (
        "NaN, which equals nothing: twice as an element, and as a key",
        f"{K} 92 96 c70002 92 c70001 {NAN} c703094e414e c703094e414e {NAN} {NAN}"
        f" 82 {NAN} 01 {NAN} 02",
    ),
    ("100 lists in each other", f"{K} {'91' * 100} 00"),
]
# What no writer may write and every reader accepts.
WIDE: list[tuple[str, str]] = [
    ("an integer in more bytes than needed", f"{K} cf{Z8}"),
    ("a float of 32 bits", f"{K} ca3fc00000"),
    ("a text with a longer length than needed", f"{K} da0001 61"),
    ("an array with a longer length than needed", f"{K} dd00000001 01"),
    ("an extension with a longer length than needed", f"{K} c80003 06 000001"),
    ("a set in another order", f"{K} 93 c70002 02 01"),
]


def field_cases() -> list[Json]:
    """Each field of the claims alone, and at its largest."""
    alone: list[tuple[str, Json]] = [
        ("no birth", {"birth": 0}),
        ("browser-length", {"browser_length": True}),
        ("fixed expiry", {"lifetime_ms": 0}),
        ("a checkpoint and its reach", {"checkpoint": 77, "reach": CREATED * 1000}),
        ("an epoch of the session", {"session_epoch": 5}),
        ("the last epoch of the session", {"session_epoch": MOST}),
        ("an epoch of everything", {"everything_epoch": CREATED * 1000}),
        ("a subject", {"subject": "42"}),
        ("an empty subject", {"subject": ""}),
        ("a subject of 255 bytes", {"subject": "é" * 127 + "x"}),
        ("a subject of 256 bytes", {"subject": "é" * 128}),
        ("a subject with a lone surrogate", {"subject": "\ud800"}),
        ("an epoch of the subject", {"subject": "42", "subject_epoch": 1}),
        ("one group", {"groups": groups(0)}),
        ("one group with an epoch", {"groups": groups(9)}),
        ("four groups, two with an epoch", {"groups": groups(0, 7, 0, MOST)}),
        ("authenticated later", {"authenticated_s": CREATED // 1000 + 60}),
        ("authenticated earlier", {"authenticated_s": 0}),
    ]
    return [{"name": name, "claims": claims(**said), "data": {}} for name, said in alone]


CASES: list[Json] = [
    {"name": "a visitor", "data": {"cart": ["apple", 3], "seen": True}},
    {
        "name": "logged in, with everything that claims can say",
        "claims": claims(
            browser_length=True,
            checkpoint=2**52 + 1,
            reach=1_800_000_000_000_001,
            session_epoch=5,
            subject_epoch=1_799_999_999_000_000,
            everything_epoch=1_799_000_000_000_000,
            subject="42",
            groups=groups(3, 0, 4),
            authenticated_s=CREATED // 1000 + 3600,
        ),
        "data": {"user": 42, "name": "Zoë"},
    },
    {
        "name": "every field at its largest",
        "claims": claims(
            session_id="_" * 21 + "w",
            created_s=2**40 - 1,
            expires_ms=2**48 - 1,
            lifetime_ms=2**40 - 1,
            browser_length=True,
            **{name: MOST for name, _ in NUMBERS},
            subject="s" * 300,
            groups=groups(MOST, MOST, MOST, MOST),
            authenticated_s=2**40 - 2,
        ),
        "data": {},
    },
    {
        "name": "every field at its smallest",
        "claims": claims(session_id="A" * 22, created_s=0, expires_ms=0, lifetime_ms=0, birth=0),
        "time": 0,
        "data": {},
    },
    *field_cases(),
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
    *({"name": f"data: {name}", "data_msgpack": text} for name, text in DATA),
    *({"name": f"wide: {name}", "data_msgpack": text, "wide": True} for name, text in WIDE),
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
        "data": render(packed),
        "data_msgpack": packed.hex(),
        **({"wide": True} if "wide" in case else {}),
        **({"data_deflated": case["deflated"]} if "deflated" in case else {}),
        "token": fernet_seal(plain, signing, encryption, time, iv),
    }


def device_vector(purpose: str, binding: bytes, point: bytes) -> Json:
    """A cookie of a session that is bound to a device."""
    number = int(hashlib.sha256(point).hexdigest()[:13], 16) or 1
    rest = point if purpose == "device key" else number.to_bytes(8, "big")
    end = CREATED + WEEK
    session_id = unbase64("AAECAwQFBgcICQoLDA0ODw")
    said = {
        "purpose": purpose,
        "secrets": [SECRET],
        "cookie_name": "__Host-id",
        "audience": "shop",
        "binding_id": spelled(binding),
        "session_id": spelled(session_id),
        "end_ms": end,
        "rest": rest.hex(),
    }
    signing, encryption = keys(SECRET, "__Host-id", "shop", purpose)
    plain = binding + session_id + end.to_bytes(8, "big") + rest
    iv = hashlib.sha256(point).digest()[:16]
    short = {"device key": "key", "proof": "proof"}[purpose]
    return {
        **said,
        "name": f"__Host-id-{short}-{spelled(binding)[:8]}",
        "value": fernet_seal(plain, signing, encryption, CREATED // 1000, iv),
    }


def spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def text() -> str:
    """The file as it has to be."""
    from tests.token.refused_vectors import refused  # which builds on this module

    made = [vector(number, case) for number, case in enumerate(CASES, 1)]
    device = [
        device_vector(purpose, bytes(range(240, 256)), bytes(range(64)))
        for purpose in ("device key", "proof")
    ]
    return (
        json.dumps({"format": 1, "vectors": made, "refused": refused(), "device": device}, indent=1)
        + "\n"
    )


if __name__ == "__main__":
    sys.stdout.write(text())
