"""The token: claims and data to a cookie value and back. Pure: no clock, no I/O.

A cookie value is a Fernet token (https://github.com/fernet/spec) without its `=` padding, under a
key of `keys.py`. Fernet shows its time of creation, whole seconds since 1970: that is *issued at*.
What it encrypts are the claims (`claims.py`) followed by the data: the session's dict as msgpack
(`payload.py`), or that as a raw deflate stream (RFC 1951) where the claims say so.

A token has one spelling only: URL-safe base64 alphabet (RFC 4648 section 5), no padding, and
unused bits of the last character 0. `tests/token/vectors.json` has examples.
"""

from __future__ import annotations

import base64
import struct
import zlib

from ..errors import Reason, TokenRefused
from ..settings import COOKIE_LIMIT
from .claims import ID_CHARACTERS as ID_CHARACTERS
from .claims import Claims as Claims
from .claims import id_to_text as id_to_text
from .claims import read_claims, write_claims
from .keys import KeyRing

MAX_DATA_BYTES = 1 << 20
"""Deflated data that inflate to more than this are refused; larger data are never deflated."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The last character of a text of 4n+2 (4n+3) characters carries 2 (4) bits: those whose other
# bits are 0. A text of 4n+1 characters is no base64 at all.
_LAST = (_ALPHABET, b"", _ALPHABET[::16], _ALPHABET[::4])
_PADDING = (b"", b"", b"==", b"=")


def seal_token(
    ring: KeyRing, claims: Claims, data: bytes, at: int, *, deflate: bool = False
) -> str:
    """Make a token.

    Args:
        data: packed data.
        at: issued at, seconds since 1970.
        deflate: deflate the data if that makes them smaller.
    """
    deflated = False
    if deflate and len(data) <= MAX_DATA_BYTES:
        squeezer = zlib.compressobj(wbits=-15)
        smaller = squeezer.compress(data) + squeezer.flush()
        if len(smaller) < len(data):
            data, deflated = smaller, True
    plain = write_claims(claims, deflated=deflated) + data
    return ring.encrypt(plain, at).rstrip(b"=").decode("ascii")


def open_token(ring: KeyRing, token: str) -> tuple[Claims, bytes, int]:
    """Verify and decrypt a token. Neither expiry nor revocation is looked at here.

    Returns:
        Claims, packed data, and the number of the key that opened it, 0 the newest.

    Raises:
        TokenRefused: MALFORMED or NO_KEY.
    """
    decrypted = ring.decrypt(padded(token))
    if decrypted is None:
        raise TokenRefused(Reason.NO_KEY)
    plain, number = decrypted
    try:
        claims, at, deflated = read_claims(plain)
        data = _inflate(plain[at:]) if deflated else plain[at:]
    except (struct.error, ValueError, zlib.error) as error:
        # Made with our key but not in our format: another version, or another use of the secret.
        raise TokenRefused(Reason.MALFORMED) from error
    return claims, data, number


def issued_at(token: str) -> int:
    """When a token was issued, seconds since 1970; only true of a token that was opened."""
    return int.from_bytes(base64.urlsafe_b64decode(token[:12])[1:], "big")


def padded(token: str) -> bytes:
    """A token as Fernet takes it, if it is in its one spelling; no key is touched.

    Raises:
        TokenRefused: MALFORMED.
    """
    if not 0 < len(token) <= COOKIE_LIMIT or not token.isascii():
        raise TokenRefused(Reason.MALFORMED)
    text = token.encode("ascii")
    if text.translate(None, _ALPHABET) or text[-1] not in _LAST[len(text) % 4]:
        raise TokenRefused(Reason.MALFORMED)
    return text + _PADDING[len(text) % 4]


def _inflate(data: bytes) -> bytes:
    inflater = zlib.decompressobj(wbits=-15)
    plain = inflater.decompress(data, MAX_DATA_BYTES)
    if not inflater.eof or inflater.unused_data or len(plain) <= len(data):
        raise ValueError("not what deflating gave")
    return plain


def id_from_text(text: str) -> bytes | None:
    """The session id that a text of 22 URL-safe characters stands for, else None."""
    if len(text) != ID_CHARACTERS:
        return None
    try:
        return base64.urlsafe_b64decode(padded(text))
    except TokenRefused:
        return None
