"""The token: one spelling, and nothing opens but what was sealed as a session."""

from __future__ import annotations

import base64
import itertools
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from duck_cookie_session import SessionSettings, SessionStore
from duck_cookie_session.errors import Reason, TokenRefused
from duck_cookie_session.token.claims import Claims, write_claims
from duck_cookie_session.token.format import (
    MAX_DATA_BYTES,
    id_from_text,
    id_to_text,
    open_token,
    seal_token,
)
from duck_cookie_session.token.keys import KeyRing
from tests.helpers import OTHER_SECRET, SECRET, START, Clock, Node, SwitchableList, make_settings

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
AT = 1_800_000_000
RING = KeyRing.of(make_settings())
CLAIMS = Claims(
    bytes(16),
    created_ms=AT * 1000,
    expires_ms=AT * 1000 + 60_000,
    lifetime_ms=60_000,
    everything_epoch=5,
)


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
    """Unless it is a session id, the spelling is judged before any key."""
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        same = base64.urlsafe_b64encode(decoded).decode().rstrip("=") == text != ""
    except ValueError:
        same = False
    with pytest.raises(TokenRefused) as refused:
        open_token(RING, text)
    assert refused.value.reason is (Reason.NO_KEY if same else Reason.MALFORMED)


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


FULL = replace(CLAIMS, subject="anna", session_epoch=1, subject_epoch=2)
PLAIN = RING.decrypt(_padded(seal_token(RING, FULL, b"", AT)))[0]  # type: ignore[index]  # it opens


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\2" + PLAIN[1:],  # another version
        PLAIN[:1] + bytes([PLAIN[1] | 8]) + PLAIN[2:],  # a flag that version 1 does not know
        PLAIN[:-1] + b"\xff",  # a subject that is no UTF-8
        *(PLAIN[:end] for end in range(len(PLAIN))),
    ],
    ids=lambda plain: f"{len(plain)} bytes",
)
def test_other_uses_of_the_key_are_malformed(plain: bytes) -> None:
    assert open_token(RING, sealed(PLAIN)) == (FULL, b"", 0)
    with pytest.raises(TokenRefused) as refused:
        open_token(RING, sealed(plain))
    assert refused.value.reason is Reason.MALFORMED


@given(st.binary(max_size=120))
@example(b"\1\0\0" + bytes(60))
@example(b"\1\0\x40" + bytes(33))
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


# Sizes.


def test_a_session_of_400_packed_bytes_fits_690_characters(node: Node) -> None:
    token = node.connector.set_session(None, {"user": 1, "data": "x" * 385})
    assert len(open_token(RING, token)[1]) == 400
    assert len(token) <= 690


@pytest.mark.parametrize("length", [0, 1, 255, 256, 2800])
def test_subjects_of_any_length(length: int) -> None:
    claims = replace(CLAIMS, subject="s" * length)
    assert open_token(RING, seal_token(RING, claims, b"data", AT)) == (claims, b"data", 0)


def test_no_character_but_padding_is_stripped_from_a_token() -> None:
    for _ in range(1_000):  # each with random bytes of its own
        token = seal_token(RING, CLAIMS, b"\x80", 0)
        assert open_token(RING, token) == (CLAIMS, b"\x80", 0)


# Compression.


def test_only_what_gets_smaller_is_deflated() -> None:
    repeated, random = b"again " * 100, bytes(range(256))
    for data in (repeated, random):
        plain = seal_token(RING, CLAIMS, data, AT)
        deflated = seal_token(RING, CLAIMS, data, AT, deflate=True)
        assert open_token(RING, deflated)[1] == data
        assert (len(deflated) < len(plain)) == (data is repeated)


def seal_deflated(stream: bytes) -> str:
    return sealed(write_claims(CLAIMS, deflated=True) + stream)


def deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


def test_inflating_is_bounded() -> None:
    most = deflate(bytes(MAX_DATA_BYTES))
    assert len(open_token(RING, seal_deflated(most))[1]) == MAX_DATA_BYTES
    with pytest.raises(TokenRefused, match="malformed"):
        open_token(RING, seal_deflated(deflate(bytes(MAX_DATA_BYTES + 1))))


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\xff\xff",
        deflate(b"data" * 9)[:-1],
        deflate(b"data" * 9) + b"m",
        deflate(b"data"),  # takes more than it saves
    ],
    ids=["empty", "chance", "cut", "followed", "for nothing"],
)
def test_a_broken_deflate_stream_is_malformed(stream: bytes) -> None:
    with pytest.raises(TokenRefused, match="malformed"):
        open_token(RING, seal_deflated(stream))


def test_as_much_as_can_be_inflated_is_deflated() -> None:
    assert len(seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES), AT, deflate=True)) < 4_096
    larger = seal_token(RING, CLAIMS, bytes(MAX_DATA_BYTES + 1), AT, deflate=True)
    assert len(larger) > MAX_DATA_BYTES


def test_what_deflating_leaves_as_long_is_not_deflated() -> None:
    texts = (bytes(pair) * n for pair in itertools.product(b"abc", b"xyz") for n in range(1, 20))
    data = next(text for text in texts if len(deflate(text)) == len(text))
    decrypted = RING.decrypt(_padded(seal_token(RING, CLAIMS, data, AT, deflate=True)))
    assert decrypted is not None
    assert decrypted[0] == write_claims(CLAIMS, deflated=False) + data


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


# Every byte and every bit of tokens of ten shapes changed: none is accepted, nothing raises.

LONG_USER = "a subject of more than 255 bytes " * 9


def _superseded(session: SessionStore) -> None:
    """A session epoch in the claims."""
    session.save()
    session.supersede()


def _relogged(session: SessionStore) -> None:
    """Subject epoch and everything's in the claims."""
    session.session_storage_connector.delete_subject("bob")
    session.session_storage_connector.clear_all_sessions()


def _fixed(session: SessionStore) -> None:
    session.set_expiry(datetime.fromtimestamp(START, UTC) + timedelta(days=2))


def _browser_length(session: SessionStore) -> None:
    session.set_expiry(browser_length=True)


SHAPES: dict[str, tuple[dict[str, Any], dict[Any, Any], Any]] = {
    "visitor": ({}, {"n": 1}, None),
    "subject": ({}, {"user": 7, "cart": ["tea"]}, None),
    "long subject": ({}, {"user": LONG_USER}, None),
    "superseded": ({}, {"user": "bob"}, _superseded),
    "revoked before": ({}, {"user": "bob"}, _relogged),
    "fixed expiry": ({}, {"n": 1}, _fixed),
    "browser-length": ({}, {"n": 1}, _browser_length),
    "deflated": ({"compress": True}, {"text": "again and " * 20}, None),
    "every type": (
        {"audience": "shop"},
        {"t": (1,), "s": {2}, "d": datetime(2026, 1, 2), "big": 2**70, 3: "\ud800"},
        None,
    ),
    "another padding": ({"cookie_name": "__Host-session"}, {"n": "xy"}, None),
}


class Sealed:
    """A live token of one shape, and the node that accepts it."""

    def __init__(self, shape: str) -> None:
        changed, data, prepare = SHAPES[shape]
        settings: SessionSettings = make_settings(token_cache_size=0, **changed)
        clock = Clock()
        self.node = Node(SwitchableList(clock), clock, settings)
        session = self.node.request()
        session.update(data)
        if prepare is not None:
            prepare(session)
        session.save()
        self.token = session.session_key or ""
        self.data = data

    def accepts(self, text: str) -> bool:
        return self.node.read(text) is not None


@pytest.fixture(params=SHAPES)
def shaped(request: pytest.FixtureRequest) -> Iterator[Sealed]:
    made = Sealed(request.param)
    assert made.node.read(made.token) == made.data
    yield made
    made.node.connector.close()


def test_every_bit_of_the_decoded_token(shaped: Sealed) -> None:
    whole = base64.urlsafe_b64decode(shaped.token + "=" * (-len(shaped.token) % 4))
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            assert not shaped.accepts(text), f"bit {bit} of byte {at}"


def test_every_bit_of_every_character(shaped: Sealed) -> None:
    whole = shaped.token.encode()
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            assert not shaped.accepts(changed.decode("latin-1")), f"bit {bit} of character {at}"


def test_every_character_replaced_removed_doubled_and_cut_there(shaped: Sealed) -> None:
    token = shaped.token
    for at in range(len(token)):
        left, char, right = token[:at], token[at], token[at + 1 :]
        other = "A" if char != "A" else "B"
        swapped = left + right[:1] + char + right[1:]
        for text in (left + other + right, left + right, left + char + char + right, left):
            assert not shaped.accepts(text), at
        assert swapped == token or not shaped.accepts(swapped), at


def test_every_last_character(shaped: Sealed) -> None:
    """The last character carries bits that base64 decoders ignore."""
    for char in ALPHABET:
        assert shaped.accepts(shaped.token[:-1] + char) is (char == shaped.token[-1])


@pytest.mark.parametrize(
    "stray", ["=", "==", "\n", "\r\n", " ", "\0", "+", "/", ".", "é", "\ud800"]
)
def test_stray_characters_anywhere(shaped: Sealed, stray: str) -> None:
    token = shaped.token
    for at in {0, 1, len(token) // 2, len(token) - 1, len(token)}:
        assert not shaped.accepts(token[:at] + stray + token[at:]), at


def test_other_spellings(shaped: Sealed) -> None:
    token = shaped.token
    for text in (
        token.translate(str.maketrans("-_", "+/")) + "=" * (-len(token) % 4),
        token + "=" * (-len(token) % 4 or 4),
        f'"{token}"',
        token.swapcase(),
        token[::-1],
        token + token,
        token.encode().hex(),
    ):
        # A token without - and _ and of a length that needs no padding has the first as its own.
        assert text == token or not shaped.accepts(text)
