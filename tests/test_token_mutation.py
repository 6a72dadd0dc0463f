"""Every byte and every bit of tokens of ten shapes changed: none is accepted, nothing raises."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from duck_cookie_session import SessionSettings, SessionStore
from tests.helpers import START, Clock, Node, SwitchableList, make_settings

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

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
    session.set_expiry(datetime.fromtimestamp(START, timezone.utc) + timedelta(days=2))


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
def sealed(request: pytest.FixtureRequest) -> Any:
    made = Sealed(request.param)
    assert made.node.read(made.token) == made.data
    yield made
    made.node.connector.close()


def test_every_bit_of_the_decoded_token(sealed: Sealed) -> None:
    whole = base64.urlsafe_b64decode(sealed.token + "=" * (-len(sealed.token) % 4))
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            text = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
            assert not sealed.accepts(text), f"bit {bit} of byte {at}"


def test_every_bit_of_every_character(sealed: Sealed) -> None:
    whole = sealed.token.encode()
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            assert not sealed.accepts(changed.decode("latin-1")), f"bit {bit} of character {at}"


def test_every_character_replaced_removed_doubled_and_cut_there(sealed: Sealed) -> None:
    token = sealed.token
    for at in range(len(token)):
        left, char, right = token[:at], token[at], token[at + 1 :]
        other = "A" if char != "A" else "B"
        swapped = left + right[:1] + char + right[1:]
        for text in (left + other + right, left + right, left + char + char + right, left):
            assert not sealed.accepts(text), at
        assert swapped == token or not sealed.accepts(swapped), at


def test_every_last_character(sealed: Sealed) -> None:
    """The last character carries bits that base64 decoders ignore."""
    for char in ALPHABET.decode():
        assert sealed.accepts(sealed.token[:-1] + char) is (char == sealed.token[-1])


@pytest.mark.parametrize(
    "stray", ["=", "==", "\n", "\r\n", " ", "\0", "+", "/", ".", "é", "\ud800"]
)
def test_stray_characters_anywhere(sealed: Sealed, stray: str) -> None:
    token = sealed.token
    for at in {0, 1, len(token) // 2, len(token) - 1, len(token)}:
        assert not sealed.accepts(token[:at] + stray + token[at:]), at


def test_other_spellings(sealed: Sealed) -> None:
    token = sealed.token
    for text in (
        token.translate(str.maketrans("-_", "+/")) + "=" * (-len(token) % 4),
        token + "=" * (-len(token) % 4 or 4),
        f'"{token}"',
        token.swapcase(),
        token[::-1],
        token + token,
        token.encode().hex(),
    ):
        assert not sealed.accepts(text)
