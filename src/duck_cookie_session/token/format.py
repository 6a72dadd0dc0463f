"""The token: claims and data to a cookie value and back. Pure: no clock, no I/O.

A cookie value is a Fernet token (https://github.com/fernet/spec) without its `=` padding, under a
key of `keyring.py`. Fernet shows its time of creation, whole seconds since 1970: that is *issued
at*. What it encrypts is, byte for byte, whole numbers with the big end first:

    offset  bytes  what
    0       1      format version, 1
    1       1      flags: 1 browser-length, 2 has a session epoch, 4 has a subject, 8 has a subject
                   epoch, 16 has an epoch for everything, 32 subject length takes two bytes,
                   64 data are deflated; 128 is 0
    2       16     session id
    18      5      created at, whole seconds since 1970
    23      6      expires at, milliseconds since 1970
    29      5      lifetime in milliseconds; 0: the expiry is fixed
    34      0|7    session epoch, if flag 2
    ..      0|7    subject epoch, if flag 8
    ..      0|7    epoch of everything, if flag 16
    ..      0|1|2  length of the subject in bytes, if flag 4 (two bytes if flag 32)
    ..      n      subject, UTF-8 (lone surrogates as their three bytes)
    ..      rest   data: the session's dict as msgpack, see `serializer.py`; with flag 64 as a raw
                   deflate stream (RFC 1951)

An absent epoch is 0. A token has one spelling only: URL-safe base64 alphabet (RFC 4648 section 5),
no padding, and unused bits of the last character 0. `tests/vectors.json` has examples.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import NamedTuple

from ..errors import Reason, TokenRefused
from ..settings import COOKIE_LIMIT
from .keys import FORMAT_VERSION, KeyRing

MAX_DATA_BYTES = 1 << 20
"""Deflated data that inflate to more than this are refused; larger data are never deflated."""

_BROWSER, _SESSION_EPOCH, _SUBJECT, _SUBJECT_EPOCH, _EVERYTHING, _LONG, _DEFLATED = (
    1 << bit for bit in range(7)
)
_HEAD = struct.Struct(">BB16sBIHIBI")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last character of a text of 4n+2 (4n+3) characters carries 2 (4) bits: those whose other
# bits are 0. A text of 4n+1 characters is no base64 at all.
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])
_PADDING = (b"", b"", b"==", b"=")


class Claims(NamedTuple):
    """What a token says of its session. Times in milliseconds since 1970, where named so.

    Attributes:
        session_id: 16 bytes.
        created_ms: when the session began, or its subject logged in; in whole seconds.
        expires_ms: the token is refused from then on.
        lifetime_ms: what each save renews; 0 where the expiry is fixed.
        browser_length: the cookie goes when the browser closes; the token's expiry stays.
        birth: identity of the list that the token was sealed under; 0 if it keeps none.
        checkpoint: the newest of the list's history; 0 before its first raise.
        reach: the last number given out under it; 0 before the first raise.
        session_epoch: epoch of the session that stood when the token was issued.
        subject_epoch: the same of its subject; 0 without one.
        everything_epoch: the same of everything.
        subject: whose session it is, None for a visitor.
        groups: digest (16 bytes) and epoch of each group, in the order of their digests.
        authenticated_ms: when somebody last proved who they are, in whole seconds; None where that
            is `created_ms`.
    """

    session_id: bytes
    created_ms: int
    expires_ms: int
    lifetime_ms: int
    browser_length: bool = False
    birth: int = 0
    checkpoint: int = 0
    reach: int = 0
    session_epoch: int = 0
    subject_epoch: int = 0
    everything_epoch: int = 0
    subject: str | None = None
    groups: tuple[tuple[bytes, int], ...] = ()
    authenticated_ms: int | None = None

    @property
    def id_text(self) -> str:
        """The session id as text, 22 URL-safe characters."""
        return id_to_text(self.session_id)


def seal_token(
    ring: KeyRing, claims: Claims, data: bytes, at: int, *, deflate: bool = False
) -> str:
    """Make a token.

    Args:
        data: packed data.
        at: issued at, seconds since 1970.
        deflate: deflate the data if that makes them smaller.
    """
    flags = _BROWSER if claims.browser_length else 0
    if deflate and len(data) <= MAX_DATA_BYTES:
        squeezer = zlib.compressobj(wbits=-15)
        smaller = squeezer.compress(data) + squeezer.flush()
        if len(smaller) < len(data):
            data, flags = smaller, flags | _DEFLATED
    tail = data
    if claims.subject is not None:
        subject = claims.subject.encode("utf-8", "surrogatepass")
        size = 1 if len(subject) < 256 else 2
        flags |= _SUBJECT if size == 1 else _SUBJECT | _LONG
        tail = len(subject).to_bytes(size, "big") + subject + tail
    if claims.everything_epoch:
        flags |= _EVERYTHING
        tail = claims.everything_epoch.to_bytes(7, "big") + tail
    if claims.subject_epoch:
        flags |= _SUBJECT_EPOCH
        tail = claims.subject_epoch.to_bytes(7, "big") + tail
    if claims.session_epoch:
        flags |= _SESSION_EPOCH
        tail = claims.session_epoch.to_bytes(7, "big") + tail
    created, expires, lifetime = claims.created_ms // 1000, claims.expires_ms, claims.lifetime_ms
    head = _HEAD.pack(
        FORMAT_VERSION,
        flags,
        claims.session_id,
        created >> 32,
        created & 0xFFFFFFFF,
        expires >> 32,
        expires & 0xFFFFFFFF,
        lifetime >> 32,
        lifetime & 0xFFFFFFFF,
    )
    return ring.encrypt(head + tail, at).rstrip(b"=").decode("ascii")


def open_token(ring: KeyRing, token: str) -> tuple[Claims, bytes, int]:
    """Verify and decrypt a token. Neither expiry nor revocation is looked at here.

    Returns:
        Claims, packed data, and the number of the key that opened it, 0 the newest.

    Raises:
        TokenRefused: "malformed" or "no key".
    """
    text = _one_spelling(token)
    decrypted = ring.decrypt(text + _PADDING[len(text) % 4])
    if decrypted is None:
        raise TokenRefused(Reason.NO_KEY)
    plain, number = decrypted
    try:
        claims, data = _parse(plain)
    except (struct.error, IndexError, ValueError, zlib.error) as error:
        # Made with our key but not in our format: another version, or another use of the secret.
        raise TokenRefused(Reason.MALFORMED) from error
    return claims, data, number


def issued_at(token: str) -> int:
    """When a token was issued, seconds since 1970; only true of a token that was opened."""
    return int.from_bytes(base64.urlsafe_b64decode(token[:12])[1:], "big")


def _one_spelling(token: str) -> bytes:
    """The token as bytes if it is in its one spelling; decides before any key is touched."""
    if not 0 < len(token) <= COOKIE_LIMIT or not token.isascii():
        raise TokenRefused(Reason.MALFORMED)
    text = token.encode("ascii")
    if text.translate(None, _ALPHABET) or text[-1] not in _LAST[len(text) % 4]:
        raise TokenRefused(Reason.MALFORMED)
    return text


def _parse(plain: bytes) -> tuple[Claims, bytes]:
    version, flags, session_id, c_high, c_low, e_high, e_low, l_high, l_low = _HEAD.unpack_from(
        plain
    )
    if version != FORMAT_VERSION or flags & 128:
        raise ValueError
    at = _HEAD.size
    session_epoch = subject_epoch = everything_epoch = 0
    if flags & _SESSION_EPOCH:
        session_epoch, at = int.from_bytes(plain[at : at + 7], "big"), at + 7
    if flags & _SUBJECT_EPOCH:
        subject_epoch, at = int.from_bytes(plain[at : at + 7], "big"), at + 7
    if flags & _EVERYTHING:
        everything_epoch, at = int.from_bytes(plain[at : at + 7], "big"), at + 7
    subject = None
    if flags & _SUBJECT:
        size = 2 if flags & _LONG else 1
        length = int.from_bytes(plain[at : at + size], "big")
        at += size + length
        subject = plain[at - length : at].decode("utf-8", "surrogatepass")
    if at > len(plain):
        raise ValueError
    data = plain[at:]
    claims = Claims(
        session_id,
        (c_high << 32 | c_low) * 1000,
        e_high << 32 | e_low,
        l_high << 32 | l_low,
        bool(flags & _BROWSER),
        0,
        0,
        0,
        session_epoch,
        subject_epoch,
        everything_epoch,
        subject,
    )
    return claims, _inflate(data) if flags & _DEFLATED else data


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=-15)
    plain = inflater.decompress(data, MAX_DATA_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise ValueError
    return plain


def id_to_text(session_id: bytes) -> str:
    """A session id as text: 22 URL-safe characters."""
    return base64.urlsafe_b64encode(session_id)[:22].decode("ascii")


def id_from_text(text: str) -> bytes | None:
    """The session id that a text of 22 URL-safe characters stands for, else None."""
    try:
        spelled = _one_spelling(text)
    except TokenRefused:
        return None
    return base64.urlsafe_b64decode(spelled + b"==") if len(spelled) == 22 else None
