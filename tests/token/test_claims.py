"""The claims: what is written, to the byte; what is never written is refused."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duck_cookie_session.token.claims import Claims, id_to_text, read_claims, write_claims
from tests.helpers import Node

MOST = 2**53 - 1
ZERO, ONE, TOO_LARGE = "00" * 7, "00" * 6 + "01", "20" + "00" * 6
VISITOR = Claims(
    bytes(range(16)), created_ms=1000, expires_ms=61_000, lifetime_ms=60_000, birth=0x123456789ABCDE
)
GROUPS = ((b"a" * 16, 0), (b"b" * 16, 1), (b"c" * 16, 0), (b"d" * 16, MOST))
FULL = replace(
    VISITOR,
    browser_length=True,
    checkpoint=2,
    reach=3,
    session_epoch=4,
    subject_epoch=5,
    everything_epoch=6,
    subject="anna",
    groups=GROUPS,
    authenticated_ms=2000,
)


def reading(plain: bytes) -> Claims:
    claims, at, deflated = read_claims(plain)
    assert at == len(plain)
    assert not deflated
    return claims


def laid_out(flags: int, *rest: bytes | str) -> bytes:
    """35 bytes with these flags, then what is given: bytes, or hex."""
    tail = b"".join(bytes.fromhex(one) if isinstance(one, str) else one for one in rest)
    return b"\1" + flags.to_bytes(2, "big") + write_claims(VISITOR, deflated=False)[3:35] + tail


# What is written.


def test_35_bytes_begin_and_a_birth_follows() -> None:
    assert write_claims(VISITOR, deflated=False).hex(" ") == (
        "01 00 02 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f "
        "00 00 00 00 01 00 00 00 00 ee 48 00 00 00 ea 60 12 34 56 78 9a bc de"
    )


def test_a_visitor_takes_42_bytes_before_anything_was_revoked_and_56_after(node: Node) -> None:
    """As the library itself seals them."""

    def size() -> int:
        opened = node.connector.rules.open(node.start(n=1))
        return len(write_claims(opened.claims, deflated=False))  # type: ignore[union-attr]  # live

    assert size() == 42
    node.connector.delete_subject("somebody else")
    assert size() == 56
    node.connector.clear_all_sessions()
    assert size() == 63


@pytest.mark.parametrize(
    ("changed", "flags", "tail"),
    [
        ({"browser_length": True}, 1, ""),
        ({"birth": 1}, 2, "00000000000001"),
        ({"checkpoint": 1, "reach": 2}, 4, "00000000000001 00000000000002"),
        ({"session_epoch": MOST}, 8, "1fffffffffffff"),
        ({"subject": "", "subject_epoch": 3}, 16 | 64, "00000000000003 00"),
        ({"everything_epoch": 4}, 32, "00000000000004"),
        ({"subject": "é"}, 64, "02c3a9"),
        ({"subject": "\ud800"}, 64, "03eda080"),
        ({"subject": "s" * 255}, 64, "ff" + "73" * 255),
        ({"subject": "s" * 256}, 64 | 128, "0100" + "73" * 256),
        ({"groups": GROUPS[:1]}, 256, "01" + "61" * 16),
        ({"groups": GROUPS[1:2]}, 256, "11" + "62" * 16 + "00000000000001"),
        (
            {"groups": GROUPS},
            256,
            "a4"
            + "61" * 16
            + "62" * 16
            + "00000000000001"
            + "63" * 16
            + "64" * 16
            + "1f"
            + "ff" * 6,
        ),
        ({"authenticated_ms": 0}, 512, "0000000000"),
        ({"authenticated_ms": (2**40 - 1) * 1000}, 512, "ffffffffff"),
        ({"authenticated_ms": 1000}, 0, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_field(changed: dict[str, Any], flags: int, tail: str) -> None:
    claims = replace(replace(VISITOR, birth=0), **changed)
    written = write_claims(claims, deflated=False)
    assert written == laid_out(flags, tail)
    if claims.authenticated_ms == claims.created_ms:  # said by its absence
        claims = replace(claims, authenticated_ms=None)
    assert reading(written) == claims


def test_all_fields_in_their_order() -> None:
    written = write_claims(FULL, deflated=False)
    numbers = "".join(f"{number:014x}" for number in range(2, 7))
    assert written.startswith(laid_out(1023 - 128, "123456789abcde", numbers, b"\4anna", "a4"))
    assert written.endswith(bytes.fromhex("1fffffffffffff 0000000002"))
    assert reading(written) == FULL


def test_times_and_lifetime_at_their_largest() -> None:
    largest = replace(
        FULL,
        session_id=b"\xff" * 16,
        created_ms=(2**40 - 1) * 1000,
        expires_ms=2**48 - 1,
        lifetime_ms=2**40 - 1,
    )
    assert reading(write_claims(largest, deflated=False)) == largest


def test_deflated_is_a_flag_of_its_own() -> None:
    plain, deflated = (write_claims(FULL, deflated=deflated) for deflated in (False, True))
    assert bytes(one ^ other for one, other in zip(plain, deflated, strict=True))[:3] == b"\0\4\0"
    assert plain[3:] == deflated[3:]
    assert read_claims(deflated) == (FULL, len(deflated), True)


def test_the_data_begin_where_the_claims_end() -> None:
    for claims in (VISITOR, FULL):
        written = write_claims(claims, deflated=False)
        assert read_claims(written + b"data") == (claims, len(written), False)


# What is refused.


def refused(plain: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        read_claims(plain)


@pytest.mark.parametrize("claims", [VISITOR, FULL])
def test_cut_anywhere(claims: Claims) -> None:
    written = write_claims(claims, deflated=False)
    for end in range(len(written)):
        refused(written[:end])


REFUSED = {
    "version 0": b"\0" + laid_out(0)[1:],
    "version 2": b"\2" + laid_out(0)[1:],
    **{f"flag {1 << bit}": laid_out(1 << bit) for bit in range(11, 16)},
    "a birth of 0": laid_out(2, ZERO),
    "a birth of 2**53": laid_out(2, TOO_LARGE),
    "a checkpoint of 0": laid_out(4, ZERO, ONE),
    "a reach of 0": laid_out(4, ONE, ZERO),
    "a reach of 2**53": laid_out(4, ONE, TOO_LARGE),
    "an epoch of the session of 0": laid_out(8, ZERO),
    "an epoch of the session of 2**53": laid_out(8, TOO_LARGE),
    "an epoch of everything of 0": laid_out(32, ZERO),
    "an epoch of a subject of 0": laid_out(16 | 64, ZERO, b"\1a"),
    "an epoch of no subject": laid_out(16, ONE),
    "a long length of no subject": laid_out(128, b"\1\0", b"s" * 256),
    "a subject of 255 bytes with a long length": laid_out(64 | 128, b"\0\xff", b"s" * 255),
    "a subject that is no UTF-8": laid_out(64, b"\1\xff"),
    "a subject in overlong UTF-8": laid_out(64, b"\2\xc0\x80"),
    "no groups": laid_out(256, b"\0"),
    "five groups": laid_out(256, b"\5", *(bytes([at]) * 16 for at in range(5))),
    "groups with the reserved bit": laid_out(256, b"\x09", b"a" * 16),
    "an epoch of a group that is not there": laid_out(256, b"\x21", b"a" * 16, ONE),
    "an epoch of a group of 0": laid_out(256, b"\x11", b"a" * 16, ZERO),
    "an epoch of a group of 2**53": laid_out(256, b"\x11", b"a" * 16, TOO_LARGE),
    "groups out of order": laid_out(256, b"\2", b"b" * 16, b"a" * 16),
    "a group twice": laid_out(256, b"\2", b"a" * 16, b"a" * 16),
    "authenticated when created": laid_out(512, "0000000001"),
}


@pytest.mark.parametrize("plain", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_never_written(plain: bytes) -> None:
    refused(plain)
    assert reading(laid_out(0)) == replace(VISITOR, birth=0)


@given(st.integers(0, 2047), st.binary(max_size=120))
@example(2, b"\0" * 6 + b"\1")
@example(64, b"\0")
@example(256, b"\1" + b"a" * 16)
def test_what_can_be_read_would_be_written_just_so(flags: int, tail: bytes) -> None:
    """One spelling: no two texts are the same claims."""
    plain = laid_out(flags, tail)
    try:
        claims, at, deflated = read_claims(plain)
    except (ValueError, struct.error):
        return
    assert write_claims(claims, deflated=deflated) == plain[:at]


@given(st.integers(0, 300), st.integers(1, 255))
def test_so_too_with_a_byte_changed(at: int, change: int) -> None:
    plain = bytearray(write_claims(FULL, deflated=False))
    plain[at % len(plain)] ^= change
    try:
        claims, end, deflated = read_claims(bytes(plain))
    except (ValueError, struct.error):
        return
    assert write_claims(claims, deflated=deflated) == plain[:end]
    assert claims != FULL or deflated


def test_the_session_id_as_text() -> None:
    assert VISITOR.id_text == id_to_text(VISITOR.session_id) == "AAECAwQFBgcICQoLDA0ODw"
