"""Extension types to the last byte."""

from __future__ import annotations

import msgpack
import pytest

from duck_cookie_session.token.payload import pack, unpack


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
