"""Tokens that must be refused, each with the reason, for `vectors.json`."""

from __future__ import annotations

import base64
import hmac
import zlib
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.token.make_vectors import (
    CREATED,
    SECRET,
    WEEK,
    claims,
    groups,
    keys,
    pack_claims,
    spelled,
)

Json = dict[str, Any]
AT = CREATED // 1000
IV = bytes(range(16))
SIGNING, ENCRYPTION = keys(SECRET, "session_id", "")
ZERO, ONE, TOO_LARGE = bytes(7), bytes(6) + b"\1", b"\x20" + bytes(6)


def signed(head: bytes, signing: bytes = SIGNING) -> str:
    return spelled(head + hmac.digest(signing, head, "sha256"))


def sealed(padded: bytes, iv: bytes = IV) -> bytes:
    encryptor = Cipher(AES(ENCRYPTION), CBC(iv)).encryptor()
    return b"\x80" + AT.to_bytes(8, "big") + iv + encryptor.update(padded) + encryptor.finalize()


def padded(plain: bytes) -> bytes:
    size = 16 - len(plain) % 16
    return plain + bytes([size]) * size


def token(plain: bytes) -> str:
    return signed(sealed(padded(plain)))


def laid_out(flags: int, *rest: bytes) -> bytes:
    """The 35 bytes that begin every token, with these flags, and what is given."""
    return b"\1" + flags.to_bytes(2, "big") + EMPTY[3:35] + b"".join(rest) + b"\x80"


EMPTY = pack_claims(claims(birth=0), b"\x80", deflated=False)
GOOD = pack_claims(claims(), b"\x80", deflated=False)
FULL = pack_claims(
    claims(
        checkpoint=1,
        reach=2,
        session_epoch=3,
        subject_epoch=4,
        everything_epoch=5,
        subject="42",
        groups=groups(0, 6),
        authenticated_s=0,
    ),
    b"",
    deflated=False,
)


def texts() -> list[tuple[str, str]]:
    """Other spellings. Decoders that take them lead to a good token."""
    good = token(GOOD)
    raw = base64.urlsafe_b64decode(good + "=" * (-len(good) % 4))
    two = next(
        one
        for one in (token(laid_out(64, bytes([size]), b"x" * size)) for size in range(48))
        if len(one) % 4 == 2
    )
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(two[-1])
    plus = base64.b64encode(raw).decode().rstrip("=")
    return [
        ("empty", ""),
        ("padding of one", good + "="),
        ("padding as base64 wants it", two + "=="),
        ("the alphabet with + and /", plus),
        ("a line break within", good[:40] + "\n" + good[40:]),
        ("a blank in front", " " + good),
        ("in quotes", f'"{good}"'),
        ("a dot behind", good + "."),
        ("a bit that says nothing in the last character", two[:-1] + ALPHABET[last + 1]),
        ("4n + 1 characters", good[: len(good) // 4 * 4 + 1 - 4]),
        ("a character that is not ASCII", good[:-1] + "é"),
        ("a full-width letter", "\uff27" + good[1:]),
        ("4,097 characters", "A" * 4097),
    ]


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def without_key() -> list[tuple[str, str]]:
    """Well spelled, and no token of this key."""
    head = sealed(padded(GOOD))
    tag = hmac.digest(SIGNING, head, "sha256")
    flipped = bytes([tag[0] ^ 1]) + tag[1:]
    other = keys(SECRET, "session_id", "shop")[0]
    return [
        ("too short to be one", "AAAA"),
        ("4,096 characters of nothing", "A" * 4096),
        ("a wrong MAC", spelled(head + flipped)),
        ("another time under the old MAC", spelled(head[:8] + b"\1" + head[9:] + tag)),
        ("another IV under the old MAC", spelled(head[:9] + b"\xff" + head[10:] + tag)),
        ("a ciphertext changed under the old MAC", spelled(head[:-1] + b"\0" + tag)),
        ("a block less under the old MAC", spelled(head[:-16] + tag)),
        ("signed with the key of another audience", signed(head, other)),
        ("another version of Fernet", signed(b"\x81" + head[1:])),
        ("no ciphertext", signed(head[:25])),
        ("part of a block", signed(head[:-1])),
        ("a padding of 0", signed(sealed(GOOD + bytes(-len(GOOD) % 16)))),
        ("a padding of 17", signed(sealed(GOOD[: len(GOOD) // 16 * 16 - 1] + b"\x11"))),
        ("a padding of unlike bytes", signed(sealed(bytes(13) + b"\1\2\3"))),
    ]


def wrong_claims() -> list[tuple[str, bytes]]:
    digests = [bytes.fromhex(one["digest"]) for one in groups(0, 0, 0, 0)]
    subject = b"\2" + b"42"
    return [
        ("nothing", b""),
        ("34 bytes", GOOD[:34]),
        ("format version 0", b"\0" + GOOD[1:]),
        ("format version 2", b"\2" + GOOD[1:]),
        *((f"an unknown flag, {1 << bit}", laid_out(1 << bit)) for bit in range(11, 16)),
        ("a birth of 0", laid_out(2, ZERO)),
        ("a birth of 2**53", laid_out(2, TOO_LARGE)),
        ("a checkpoint of 0", laid_out(4, ZERO, ONE)),
        ("a reach of 0", laid_out(4, ONE, ZERO)),
        ("an epoch of the session of 0", laid_out(8, ZERO)),
        ("an epoch of the session of 2**53", laid_out(8, TOO_LARGE)),
        ("an epoch of the subject of 0", laid_out(16 | 64, ZERO, subject)),
        ("an epoch of everything of 0", laid_out(32, ZERO)),
        ("an epoch of no subject", laid_out(16, ONE)),
        ("a long length of no subject", laid_out(128, b"\1\0", b"s" * 256)),
        ("255 bytes with a long length", laid_out(64 | 128, b"\0\xff", b"s" * 255)),
        ("a subject longer than the token", laid_out(64, b"\xff", b"s" * 20)),
        ("a subject that is no UTF-8", laid_out(64, b"\1\xff")),
        ("a subject in overlong UTF-8", laid_out(64, b"\2\xc0\x80")),
        ("a count of 0 groups", laid_out(256, b"\0")),
        ("a count of 5 groups", laid_out(256, b"\5", *digests, b"\xff" * 16)),
        ("groups with bit 3", laid_out(256, b"\x09", digests[0])),
        ("an epoch of a group beyond the count", laid_out(256, b"\x21", digests[0], ONE)),
        ("an epoch of a group of 0", laid_out(256, b"\x11", digests[0], ZERO)),
        ("groups out of order", laid_out(256, b"\2", digests[1], digests[0])),
        ("a group twice", laid_out(256, b"\2", digests[0], digests[0])),
        ("authenticated when created", laid_out(512, AT.to_bytes(5, "big"))),
        ("cut before the time of authentication ends", FULL[:-1]),
        ("cut within the groups", FULL[:-15]),
    ]


def wrong_streams() -> list[tuple[str, bytes]]:
    return [
        ("empty", laid_out(1024)[:-1]),
        ("no such stream", laid_out(1024, b"\xff\xff")[:-1]),
        ("cut", laid_out(1024, deflated(b"x" * 99)[:-1])[:-1]),
        ("followed by a byte", laid_out(1024, deflated(b"x" * 99))),
        ("as long as what it inflates to", laid_out(1024, STORED)[:-1]),
        ("to a byte more than 1 MiB", laid_out(1024, deflated(bytes(2**20 + 1)))[:-1]),
    ]


STORED = bytes.fromhex("0104fffb") + b"abcd"  # a stored block of four bytes takes nine


def deflated(data: bytes) -> bytes:
    squeezer = zlib.compressobj(9, wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def _decimal(text: str) -> str:
    return f"c7{len(text):02x}09" + text.encode().hex()


DATA: list[tuple[str, str]] = [
    ("nothing", ""),
    ("no map", "90"),
    ("followed by a byte", "8000"),
    ("cut", "81a16b"),
    ("a length beyond the end", "81a16bdbffffffff"),
    ("the byte that msgpack never uses", "81a16bc1"),
    ("text that is no UTF-8", "81a16ba1ff"),
    ("a list as a key", "819001"),
    ("a tuple as a key", "8191c7000101"),
    ("a frozenset as a key", "8191c7000301"),
    ("a mark outside an array", "81a16bc70001"),
    ("a mark that is not first", "81a16b9201c70001"),
    ("a mark as a key", "81c7000101"),
    ("a mark with a payload", "81a16b91d40100"),
    ("a list in a set", "81a16b92c7000290"),
    ("an element twice", "81a16b93c700020101"),
    ("extension 0", "81a16bd40000"),
    ("extension 11", "81a16bd40b00"),
    ("extension -1, a timestamp", "81a16bd6ff00000000"),
    ("4: an integer of 64 bits", "81a16bc7090400" + "ff" * 8),
    ("4: no bytes", "81a16bc70004"),
    ("4: padded", "81a16bc70a040001" + "00" * 8),
    ("5: seven bytes", "81a16bc70705" + "00" * 7),
    ("5: after the year 9999", "81a16bd705" + "ff" * 8),
    ("5: an unknown zone byte", "81a16bc70905" + "00" * 8 + "04"),
    ("zone 0: a day", "81a16bc70b05" + "00" * 8 + "0005a0"),
    ("zone 0: three bytes", "81a16bc70c05" + "00" * 8 + "00000000"),
    ("zone 1: whole minutes", "81a16bc70e05" + "00" * 8 + "010003938700"),
    ("zone 2: the name that it has anyway", "81a16bc71105" + "00" * 8 + "020000000000555443"),
    ("zone 3: no key", "81a16bc70905" + "00" * 8 + "03"),
    ("zone 3: a path", "81a16bc70f05" + "00" * 8 + "03" + b"../etc".hex()),
    ("6: day 0", "81a16bc70306000000"),
    ("6: after the year 9999", "81a16bc7030637b9dc"),
    ("7: the hour 24", "81a16bc70507" + f"{86_400_000_000 << 1:010x}"),
    ("8: padded", "81a16bd508007f"),
    ("8: a zero written out", "81a16bd40800"),
    ("8: ten bytes", "81a16bc70a08" + "01" + "00" * 9),
    ("9: in small letters", "81a16bc7040931652b35"),
    ("9: a plus sign", "81a16bd5092b31"),
    ("9: an exponent without a sign", "81a16bc70309314535"),
    ("9: an exponent that is not needed", "81a16bd409314530".replace("d409", "c70309")),
    ("9: underscores", "81a16bc70309315f30"),
    ("9: too large an exponent", "81a16b" + _decimal("1E+1000000000000000000")),
    ("9: too small an exponent", "81a16b" + _decimal("1E-1999999999999999998")),
    ("9: a signaling NaN as a key", "81" + _decimal("SNAN") + "01"),
    ("9: a signaling NaN in a set", "81a16b92c70002" + _decimal("-SNAN7")),
    ("10: fifteen bytes", "81a16bc70f0a" + "00" * 15),
]


def refused() -> list[Json]:
    """What each is refused for, and where that is found."""
    made = [_refused("text", "malformed", name, text) for name, text in texts()]
    made += [_refused("key", "no key", name, text) for name, text in without_key()]
    good = token(GOOD)
    made += [
        {**_refused("key", "no key", "another secret", good), "secrets": [SECRET[::-1]]},
        {**_refused("key", "no key", "another cookie name", good), "cookie_name": "session_id2"},
        {**_refused("key", "no key", "another audience", good), "audience": "shop"},
    ]
    made += [_refused("claims", "malformed", name, token(plain)) for name, plain in wrong_claims()]
    made += [
        _refused("inflate", "malformed", name, token(plain)) for name, plain in wrong_streams()
    ]
    made += [
        _refused("data", "malformed", name, token(EMPTY[:35] + bytes.fromhex(text)))
        for name, text in DATA
    ]
    expires, month = CREATED + WEEK, 30 * 86_400_000
    late = pack_claims(claims(expires_ms=CREATED + 2 * month), b"\x80", deflated=False)
    made += [
        {**_refused("time", "expired", "at its expiry", good), "now_ms": expires},
        {
            **_refused("time", "too old", "at its absolute age", token(late)),
            "now_ms": CREATED + month,
        },
    ]
    return made


def _refused(stage: str, reason: str, name: str, text: str) -> Json:
    return {
        "name": f"{stage}: {name}",
        "stage": stage,
        "reason": reason,
        "secrets": [SECRET],
        "cookie_name": "session_id",
        "audience": "",
        "now_ms": CREATED,
        "absolute_age_s": 30 * 86_400,
        "token": text,
    }
