"""Bounds and formats to the last unit in serializer and token.

What the tests beside each module ask for in general, exactly: each was asked for by a change of the
code that no other test noticed (tests/MUTATION.md).
"""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import msgpack
import pytest

from duck_cookie_session import (
    SessionSerializationError,
)
from duck_cookie_session.revocation.base import LAST_EPOCH
from duck_cookie_session.token.format import MAX_DATA_BYTES, Claims, open_token, seal_token
from duck_cookie_session.token.keys import KeyRing
from duck_cookie_session.token.payload import pack, unpack
from tests.helpers import make_settings

SETTINGS = make_settings()
RING = KeyRing.of(SETTINGS)
CLAIMS = Claims(bytes(16), 0, 60_000, 60_000, False, 0, 0, 5, None)


def refusal(data: Any) -> str:
    with pytest.raises(SessionSerializationError) as caught:
        pack(data)
    return str(caught.value)


# Serializer


def nested(depth: int) -> Any:
    value: Any = object()
    for step in range(depth, 0, -1):
        value = {str(step): value}
    return value


def test_a_path_of_twelve_steps_is_whole_and_of_thirteen_loses_its_middle() -> None:
    steps = [f"['{step}']" for step in range(1, 14)]
    assert refusal(nested(12)).startswith("session" + "".join(steps[:12]) + " is of type")
    cut = "session" + "".join(steps[:8]) + "..." + "".join(steps[-2:])
    assert refusal(nested(13)).startswith(cut + " is of type")


def test_keys_in_a_path_are_shown_up_to_256_bits_and_80_characters() -> None:
    assert refusal({2**256 - 1: {1}, 5: object()}).startswith("session[5] ")
    assert refusal({2**256 - 1: object()}).startswith(f"session[{2**256 - 1}] ")
    assert refusal({2**256: object()}).startswith("session[<int of 257 bits>] ")
    assert refusal({"k" * 78: object()}).startswith(f"session['{'k' * 78}'] ")
    assert refusal({"k" * 79: object()}).startswith(f"session['{'k' * 76}...] ")


@pytest.mark.parametrize("bits", [64, 70, 71, 72, 78, 79, 80, 127, 128, 800])
def test_large_integers_take_as_few_bytes_as_hold_them(bits: int) -> None:
    for number in (2**bits, 2**bits + 1, 2 ** (bits + 1) - 1, -(2**bits) - 1, -(2**bits)):
        if -(2**63) <= number < 2**64:
            continue
        found = msgpack.unpackb(pack({"n": number}))["n"]
        size = len(found.data)
        assert int.from_bytes(found.data, "big", signed=True) == number
        with pytest.raises(OverflowError):
            number.to_bytes(size - 1, "big", signed=True)
        assert unpack(pack({"n": number})) == {"n": number}


# Token


def test_claims_at_their_largest() -> None:
    largest = Claims(
        b"\xff" * 16, 2**40 // 1000 * 1000, 2**48 - 1, 2**40 - 1, True, *[LAST_EPOCH] * 3, "s" * 300
    )
    assert open_token(RING, seal_token(RING, largest, b"\x80", 0)) == (largest, b"\x80", 0)


def test_no_character_but_padding_is_stripped_from_a_token() -> None:
    for _ in range(1_000):
        token = seal_token(RING, CLAIMS, b"\x80", 0)
        assert open_token(RING, token) == (CLAIMS, b"\x80", 0)


def test_as_much_as_can_be_inflated_is_deflated() -> None:
    assert len(seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES), 0, deflate=True)) < 4_096
    assert (
        len(seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES + 1), 0, deflate=True)) > MAX_DATA_BYTES
    )


def test_what_deflating_leaves_as_long_is_not_deflated() -> None:
    def deflated(data: bytes) -> int:
        squeezer = zlib.compressobj(wbits=-15)
        return len(squeezer.compress(data) + squeezer.flush())

    texts = (bytes(pair) * n for pair in itertools.product(b"abc", b"xyz") for n in range(1, 20))
    data = next(text for text in texts if deflated(text) == len(text))
    decrypted = RING.decrypt(_padded(seal_token(RING, CLAIMS, data, 0, deflate=True)))
    assert decrypted is not None
    assert decrypted[0].endswith(data)


def _padded(token: str) -> bytes:
    return token.encode() + b"=" * (-len(token) % 4)
