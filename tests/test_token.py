from __future__ import annotations

import base64
import string
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from duck_cookie_session.errors import TokenRefused
from duck_cookie_session.token.format import (
    MAX_DATA_BYTES,
    Claims,
    id_from_text,
    id_to_text,
    open_token,
    seal_token,
)
from duck_cookie_session.token.keys import KeyRing
from tests.helpers import OTHER_SECRET, SECRET, Node, SwitchableList, make_settings

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
AT = 1_800_000_000
RING = KeyRing.of(make_settings())
CLAIMS = Claims(bytes(16), AT * 1000, AT * 1000 + 60_000, 60_000, False, 0, 0, 5, None)


@pytest.fixture
def node(make_node: Callable[..., Node], revocations: SwitchableList) -> Node:
    """Without a cache: every read goes the whole way."""
    return make_node(revocations, token_cache_size=0)


def token_with(node: Node, size: int) -> str:
    """Live tokens whose lengths leave each of the possible remainders."""
    return node.connector.set_session(None, {"a": "x" * size})


sizes = st.sampled_from([0, 16, 32])


# One spelling, and nothing but what was sealed.


@given(size=sizes, at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_bit_flipped_of_the_text(node: Node, size: int, at: int, bit: int) -> None:
    token = token_with(node, size)
    at %= len(token)
    flipped = token[:at] + chr(ord(token[at]) ^ 1 << bit) + token[at + 1 :]
    assert node.read(token) is not None
    assert node.read(flipped) is None


@given(size=sizes, at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_bit_flipped_of_what_it_encodes(node: Node, size: int, at: int, bit: int) -> None:
    token = token_with(node, size)
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[at % len(raw)] ^= 1 << bit
    flipped = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert node.read(flipped) is None


def test_every_bit_of_one_token(node: Node) -> None:
    token = token_with(node, 0)
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[at] ^= 1 << bit
            text = base64.urlsafe_b64encode(flipped).decode().rstrip("=")
            assert node.read(text) is None, (at, bit)


def test_every_truncation(node: Node) -> None:
    token = token_with(node, 16)
    for end in range(len(token)):
        assert node.read(token[:end]) is None
        assert node.read(token[end + 1 :]) is None


@given(size=sizes, at=st.integers(0, 10_000), text=st.text(min_size=1, max_size=5))
@example(size=0, at=10_000, text="=")
@example(size=0, at=10_000, text="==")
@example(size=16, at=10_000, text="A")
@example(size=16, at=0, text=" ")
@example(size=32, at=50, text="\n")
@example(size=32, at=50, text="\0")
@example(size=32, at=10_000, text="\ud800")
def test_any_characters_put_in_or_after(node: Node, size: int, at: int, text: str) -> None:
    token = token_with(node, size)
    at = min(at, len(token))
    assert node.read(token[:at] + text + token[at:]) is None


@pytest.mark.parametrize("size", [0, 16, 32])
def test_other_spellings_of_the_same_bytes(node: Node, size: int) -> None:
    """All of these decrypt under a lenient base64 decoder."""
    token = token_with(node, size)
    padding = "=" * (-len(token) % 4)
    spellings = {
        token + "=",
        token + "==",
        token + padding + "====",
        token.replace("-", "+").replace("_", "/"),
        f'"{token}"',
        f" {token}",
        f"{token}\n",
        token[:9] + "\r\n" + token[9:],
        token[:9] + "!" + token[9:],
        "\ufeff" + token,
        token.replace(token[0], chr(ord(token[0]) + 0xFEE0)),  # full-width
        token + padding if padding else token + "=",
    }
    if len(token) % 4:
        spare = 4 if len(token) % 4 == 2 else 2
        last = ALPHABET.index(token[-1])
        assert last % (1 << spare) == 0
        spellings |= {token[:-1] + ALPHABET[last + n] for n in range(1, 1 << spare)}
    for spelling in spellings - {token}:
        assert node.read(spelling) is None, spelling[-10:]
    assert node.read(token) is not None


@given(st.text(ALPHABET + "=+/ \n", max_size=40))
def test_the_one_spelling_is_what_encoding_again_gives(text: str) -> None:
    """As long as it is no session id, the spelling is judged before any key."""
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        same = base64.urlsafe_b64encode(decoded).decode().rstrip("=") == text != ""
    except ValueError:
        same = False
    with pytest.raises(TokenRefused) as refused:
        open_token(RING, text)
    assert refused.value.reason == ("no key" if same else "malformed")


@given(st.one_of(st.text(), st.binary(), st.text(ALPHABET), st.none(), st.integers(), st.floats()))
@example("A" * 4096)
@example("A" * 5000)
@example("gAAAAA" + "A" * 100)
@example("\0")
@example(b"\xff")
def test_anything_at_all_is_none_and_no_exception(node: Node, anything: Any) -> None:
    assert node.read(anything) is None
    session = node.request(anything)
    assert session == {}
    assert not session.needs_update()


def test_longer_than_a_cookie_is_refused_before_any_key(node: Node) -> None:
    for length, reason in ((4096, "no key"), (4097, "malformed")):
        with pytest.raises(TokenRefused, match=reason):
            open_token(RING, "A" * length)


@given(secret=st.text(min_size=32, max_size=40).filter(lambda text: text != SECRET))
@example(OTHER_SECRET)
@example(SECRET + "\0")
def test_a_token_of_another_secret(node: Node, secret: str) -> None:
    foreign = KeyRing.of(make_settings(secret_keys=[secret]))
    assert node.read(seal_token(foreign, CLAIMS, b"\x80", AT)) is None


@given(st.sampled_from(["cookie_name", "audience"]), st.text(ALPHABET, min_size=1, max_size=10))
def test_a_token_of_another_cookie_name_or_audience(node: Node, field: str, text: str) -> None:
    settings = make_settings(**{field: text})
    assume(settings.application != make_settings().application)
    token = seal_token(KeyRing.of(settings), CLAIMS, b"\x80", AT)
    assert node.read(token) is None


# What our key sealed, but not as a session.


def _padded(token: str) -> bytes:
    return (token + "=" * (-len(token) % 4)).encode()


def sealed(plain: bytes) -> str:
    return RING.encrypt(plain, AT).decode().rstrip("=")


FULL = CLAIMS._replace(subject="anna", session_epoch=1, subject_epoch=2)
PLAIN = RING.decrypt(_padded(seal_token(RING, FULL, b"", AT)))[0]  # type: ignore[index]  # it opens


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        bytes([2]) + PLAIN[1:],  # another version
        bytes([1, PLAIN[1] | 128]) + PLAIN[2:],  # a flag that version 1 does not know
        PLAIN[:-1] + b"\xff",  # a subject that is no UTF-8
        *(PLAIN[:end] for end in range(len(PLAIN))),
    ],
    ids=lambda plain: f"{len(plain)} bytes",
)
def test_other_uses_of_the_key_are_malformed(plain: bytes) -> None:
    assert open_token(RING, sealed(PLAIN)) == (FULL, b"", 0)
    with pytest.raises(TokenRefused, match="malformed"):
        open_token(RING, sealed(plain))


@given(st.binary(max_size=120))
@example(bytes([1, 0]) + bytes(60))
@example(bytes([1, 4 | 32]) + bytes(33) + b"\x00")
def test_any_plain_text_is_no_exception(node: Node, plain: bytes) -> None:
    assert node.read(sealed(plain)) is None


@given(st.binary(max_size=60))
@example(b"\xc1")
@example(b"\x93\x01")
@example(b"\x01")
@example(b"\x80\x80")
def test_foreign_data_under_good_claims_load_as_empty(node: Node, data: bytes) -> None:
    everything = node.connector.set_session(None, {})
    good = open_token(RING, everything)[0]
    token = seal_token(RING, good, data, AT)
    read = node.read(token)
    assert read is None or isinstance(read, dict)
    session = node.request(token)
    assert session == (read or {})


# Claims.


def test_claims_take_45_bytes_with_a_short_subject() -> None:
    claims = CLAIMS._replace(subject="1", everything_epoch=2**50)
    without = len(RING.encrypt(b"", AT).rstrip(b"="))
    assert len(seal_token(RING, claims, b"", AT)) - without <= 64  # 48 bytes, four thirds
    for size in range(1, 4):
        plain = RING.decrypt(_padded(seal_token(RING, claims, b"x" * size, AT)))
        assert plain is not None
        assert len(plain[0]) == 34 + 7 + 2 + size


def test_a_session_of_400_packed_bytes_fits_690_characters(node: Node) -> None:
    token = node.connector.set_session(None, {"user": 1, "data": "x" * 385})
    assert len(open_token(RING, token)[1]) == 400
    assert len(token) <= 690


@pytest.mark.parametrize("length", [0, 1, 255, 256, 2800])
def test_subjects_of_any_length(length: int) -> None:
    claims = CLAIMS._replace(subject="s" * length)
    assert open_token(RING, seal_token(RING, claims, b"data", AT)) == (claims, b"data", 0)


# Compression.


def test_only_what_gets_smaller_is_deflated() -> None:
    repeated, random = b"again " * 100, bytes(range(256))
    for data in (repeated, random):
        plain = seal_token(RING, CLAIMS, data, AT)
        deflated = seal_token(RING, CLAIMS, data, AT, deflate=True)
        assert open_token(RING, deflated)[1] == data
        assert (len(deflated) < len(plain)) == (data is repeated)


def seal_deflated(stream: bytes) -> str:
    head = RING.decrypt(_padded(seal_token(RING, CLAIMS, b"", AT)))
    assert head is not None
    plain = bytes([head[0][0], head[0][1] | 64]) + head[0][2:] + stream
    return RING.encrypt(plain, AT).decode().rstrip("=")


def deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def test_inflating_is_bounded() -> None:
    most = deflate(bytes(MAX_DATA_BYTES))
    assert len(open_token(RING, seal_deflated(most))[1]) == MAX_DATA_BYTES
    with pytest.raises(TokenRefused, match="malformed"):
        open_token(RING, seal_deflated(deflate(bytes(MAX_DATA_BYTES + 1))))


@pytest.mark.parametrize(
    "stream", [b"", b"\xff\xff", deflate(b"data")[:-1], deflate(b"data") + b"more"]
)
def test_a_broken_deflate_stream_is_malformed(stream: bytes) -> None:
    with pytest.raises(TokenRefused, match="malformed"):
        open_token(RING, seal_deflated(stream))


def test_data_too_large_to_inflate_are_not_deflated() -> None:
    data = bytes(MAX_DATA_BYTES + 1)
    token = seal_token(RING, CLAIMS, data, AT, deflate=True)
    assert len(token) > MAX_DATA_BYTES


# Session ids as text.


@given(st.binary(min_size=16, max_size=16))
def test_ids_as_text(session_id: bytes) -> None:
    text = id_to_text(session_id)
    assert len(text) == 22
    assert set(text) <= set(ALPHABET)
    assert id_from_text(text) == session_id


@pytest.mark.parametrize("text", ["", "A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "é" * 22])
def test_what_is_no_id(text: str) -> None:
    assert id_from_text(text) is None
