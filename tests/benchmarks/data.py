"""Session data of known packed size, shaped as in a real shop."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgpack

SIZES = (50, 380, 2_000)
"""Packed bytes that the sections measure at."""

SECRET = "benchmark secret, long enough for every contender 0123456789"
KEY_32 = bytes(range(32))
"""A fixed 32-byte key for the peers that take raw keys. Benchmarks guard nothing."""


def session_data(size: int) -> dict[str, Any]:
    """A session of that many packed bytes; all of it JSON data too, so every peer can hold it."""
    if size < 200:
        data: dict[str, Any] = {"user_id": 48151, "csrf": "kV3u0Yx2Tq"}
    else:
        data = {
            "user_id": 48151,
            "name": "Amara Okonkwo-Lindqvist",
            "email": "amara.okonkwo@example.org",
            "csrf_token": "b7Jm2Wq9Zs4Xc1Vn8Lk5Hg3Fd6Sa0Pt",
            "locale": "sv_SE",
            "flashes": [["info", "Added to your cart."]],
            "cart": [_article(number) for number in range(3)],
        }
        while len(msgpack.packb(data)) < size - 120:
            data["cart"].append(_article(len(data["cart"])))
    padding = size - len(msgpack.packb({**data, "back": ""}))
    data["back"] = ("/shelf?after=" + _digits(size))[: max(padding, 0)]
    if len(msgpack.packb(data)) > size:
        data["back"] = data["back"][: len(data["back"]) - (len(msgpack.packb(data)) - size)]
    return data


def _article(number: int) -> dict[str, Any]:
    return {
        "sku": f"DX-{40961 + 17 * number}",
        "qty": 1 + number % 3,
        "price": 1295 + 250 * number,
        "gift": False,
    }


def _digits(length: int) -> str:
    """Text that does not compress to nothing, the same in every run."""
    return "".join(sha256(bytes([number])).hexdigest() for number in range(length // 64 + 1))[
        :length
    ]
