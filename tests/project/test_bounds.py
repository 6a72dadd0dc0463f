"""Up to 1 MB of input takes bounded time and memory, whoever sends it.

What comes over the network: at most `NETWORK_SECONDS` and `NETWORK_BYTES` beside the input. What
was sealed with our own secret, hostile or foreign: at most `SEALED_SECONDS` and `SEALED_BYTES`.
Time is the processor's, so that a busy machine changes little.
"""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import msgpack
import pytest

from duck_cookie_session import InvalidSettings, session_headers
from duck_cookie_session.response import find_cookie
from duck_cookie_session.session.judging import Opened
from duck_cookie_session.token.claims import Claims
from duck_cookie_session.token.format import seal_token
from duck_cookie_session.token.keys import KeyRing
from tests.helpers import LOOKED_AT, SECRET, Node, SwitchableList, make_settings

MB = 1 << 20
NETWORK_SECONDS, NETWORK_BYTES = 0.5, 4 * MB
SEALED_SECONDS, SEALED_BYTES = 3.0, 192 * MB

Call = Callable[[], object]


def within(call: Call, seconds: float, size: int) -> None:
    started = time.process_time()
    call()
    assert time.process_time() - started < seconds
    tracemalloc.start()
    try:
        call()
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


HEADERS = {
    "equals": "=" * MB,
    "semicolons": ";" * MB,
    "blanks": " " * MB,
    "blanks before": (" " * 1000 + "session_id") * (MB // 1010),
    "name without end": "session_id" * (MB // 10),
    "names": "session_id=" * (MB // 11),
    "nearly": "xsession_id=a;" * (MB // 14),
    "many": "session_id=a;" * (MB // 13),
    "tabs": "\t session_id=" * (MB // 13),
    "latin": "\xff" * MB,
}


@pytest.mark.parametrize("shape", HEADERS)
def test_a_cookie_header(shape: str) -> None:
    header = HEADERS[shape]
    within(lambda: find_cookie(header, "session_id"), NETWORK_SECONDS, NETWORK_BYTES)
    raw = header.encode("latin-1")
    within(lambda: find_cookie(raw, b"session_id"), NETWORK_SECONDS, NETWORK_BYTES)


TOKENS = {
    "A": "A" * MB,
    "gAAAA": "gAAAA" * (MB // 5),
    "padding": "=" * MB,
    "wide": "\U0001f986" * (MB // 4),
    "surrogates": "\ud800" * (MB // 3),
    "longest": "gAAAAA" + "A" * 4090,
    "new lines": "\n" * MB,
}


@pytest.mark.parametrize("shape", TOKENS)
def test_a_token_that_is_none(node: Node, shape: str) -> None:
    text = TOKENS[shape]

    def call() -> None:
        assert node.read(text) is None
        session = node.request(text)
        assert not session.get("a")
        assert session_headers(session) == LOOKED_AT

    within(call, NETWORK_SECONDS, NETWORK_BYTES)


def _map(count: int, body: bytes) -> bytes:
    return b"\xdf" + struct.pack(">I", count) + body


PAYLOADS = {
    "nested lists": b"\x81\xa1a" + b"\x91" * MB,
    "nested maps": b"\x81\xa1a" * (MB // 3),
    "empty lists": b"\x81\xa1a\xdd" + struct.pack(">I", MB - 9) + b"\x90" * (MB - 9),
    "empty maps": b"\x81\xa1a\xdd" + struct.pack(">I", MB - 9) + b"\x80" * (MB - 9),
    "announced": b"\x81\xa1a" + b"\xdd\xff\xff\xff\xff" * (MB // 5),
    "announced bytes": b"\x81\xa1a\xc6\xff\xff\xff\xff" + b"x" * (MB - 9),
    "one text": b"\x81\xa1a\xdb" + struct.pack(">I", MB - 9) + b"x" * (MB - 9),
    "int keys": _map(200_000, b"".join(b"\xce" + struct.pack(">I", n) for n in range(200_000))),
    "a huge int": b"\x81\xa1a\xc9" + struct.pack(">I", MB - 10) + b"\x04" + b"\x7f" * (MB - 10),
    "decimal": b"\x81\xa1a\xc9" + struct.pack(">I", MB - 10) + b"\x09" + b"9" * (MB - 10),
    "one byte again": b"\x81\xa1a" + b"\xc0" * (MB - 3),
    "chance": random.Random(1).randbytes(MB),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", PAYLOADS)
def test_a_hostile_payload_under_our_own_key(node: Node, shape: str) -> None:
    """Deflated, the only way for that much to get into a token."""
    packed = PAYLOADS[shape][:MB]
    token, opened = _sealed(node, packed, deflate=True), _opened(node, packed)
    within(lambda: node.read(token), SEALED_SECONDS, SEALED_BYTES)
    within(lambda: node.connector.rules.unpacked(opened), SEALED_SECONDS, SEALED_BYTES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "count", "compress"),
    [(2_700, 4_500, False), (100_000, 400, True), (1_040_000, 40, True)],
)
def test_kept_tokens_take_the_17_mb_that_the_settings_promise(
    make_node: Callable[..., Node],
    revocations: SwitchableList,
    size: int,
    count: int,
    compress: bool,
) -> None:
    node = make_node(revocations, compress=compress)
    tokens = [node.start(user=number, text="x" * size) for number in range(count)]
    node.connector.rules.cache.clear()
    tracemalloc.start()
    try:
        for token in tokens:
            assert node.read("".join(token)) is not None
            assert tracemalloc.get_traced_memory()[0] < 17.5e6
    finally:
        tracemalloc.stop()


def _sealed(node: Node, packed: bytes, *, deflate: bool) -> str:
    """A live token with any data."""
    rules = node.connector.rules
    now = rules.now_ms() // 1000 * 1000
    standing = node.revocations.lookup((rules.scopes.everything,))
    claims = Claims(
        b"i" * 16,
        created_ms=now,
        expires_ms=now + 60_000,
        lifetime_ms=60_000,
        birth=standing.birth,
    )
    ring = KeyRing.of(node.connector.settings)
    return seal_token(ring, claims, packed, now // 1000, deflate=deflate)


def _opened(node: Node, packed: bytes) -> Opened:
    """What a token with these data would be opened to, whatever its length."""
    live = node.connector.rules.open(node.start(a=1))
    assert isinstance(live, Opened)
    return replace(live, data=packed)


@pytest.mark.parametrize(("count", "deflate"), [(215, False), (700, True)])
def test_keys_of_equal_hash_are_bounded_by_the_length_of_a_token(
    node: Node, count: int, deflate: bool
) -> None:
    """Such keys take quadratic time: a token holds few enough of them."""
    modulus = 2**61 - 1  # of Python's hash of an int
    numbers = [(n * modulus).to_bytes(9, "big", signed=True) for n in range(9, 9 + count)]
    keys = b"".join(msgpack.packb(msgpack.ExtType(4, number)) + b"\xc0" for number in numbers)
    token = _sealed(node, b"\xde" + struct.pack(">H", count) + keys, deflate=deflate)
    assert 3_500 < len(token) <= 4_096
    found = node.read(token)
    assert found is not None
    assert len(found) == count
    within(lambda: node.read(token), NETWORK_SECONDS, NETWORK_BYTES)


@pytest.mark.parametrize(
    "changed",
    [
        {"cookie_name": "n" * MB},
        {"cookie_name": "\n" * MB},
        {"cookie_path": "/" * MB},
        {"cookie_domain": "a." * (MB // 2)},
        {"cookie_domain": "-" * MB},
        {"audience": "a" * MB},
        {"subject_key": "k" * MB},
        {"secret_keys": "s" * MB},
        {"secret_keys": [SECRET + str(n) for n in range(20_000)]},
        {"cookie_age": 10**300_000},
        {"session_dir": "d" * MB},
        {"revocation_url": "redis://" + "h" * MB},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_settings(changed: dict[str, object]) -> None:
    def call() -> None:
        text = ""
        try:
            KeyRing.of(make_settings(**changed))
        except InvalidSettings as error:
            text = str(error)
        assert len(text) < 1_000

    within(call, SEALED_SECONDS, SEALED_BYTES)
