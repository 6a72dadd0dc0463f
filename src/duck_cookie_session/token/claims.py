"""The claims: what a token says of its session, and how that is laid out in bytes.

Whole numbers have the big end first. These 35 bytes begin every token's plain text:

    offset  bytes  what
    0       1      format version, 1
    1       2      flags, below
    3       16     session id
    19      5      created at, whole seconds since 1970
    24      6      expires at, milliseconds since 1970
    30      5      lifetime in milliseconds; 0: the expiry is fixed

Then follow, in this order, those whose flag is set. A number of 7 bytes is 1 to 2**53 - 1: what
would be 0 is left out.

    flag  bytes  what
    1     0      browser-length
    2     7      birth of the list
    4     7+7    its newest checkpoint, and the reach of that
    8     7      epoch of the session
    16    7      epoch of the subject; only with 64
    32    7      epoch of everything
    64    1+n    subject: its length in bytes, and itself in UTF-8 (a lone surrogate in 3 bytes)
    128   2+n    with 64: the length takes two bytes, and is 256 or more
    256   1+..   groups: a byte whose lowest 3 bits are their count, 1 to 4, and whose bits 4 to 7
                 say which have an epoch (4: the first); then for each its digest, 16 bytes, and
                 its epoch, 7 bytes, if it has one. Digests ascend
    512   5      time of authentication, whole seconds since 1970, if it is not created at
    1024  0      the data are deflated

The data follow. `docs/format.md` says the same for other languages, with what a reader refuses.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass

from ..settings import MOST_GROUPS

FORMAT_VERSION = 1

MAX_NUMBER = 2**53 - 1
"""The largest birth, checkpoint, reach and epoch: what a double holds."""

ID_CHARACTERS = 22
"""Length of a session id as text."""

MAX_LIFETIME = 2**40 - 1
"""Most milliseconds that the claims can hold as a lifetime, 34 years."""

MAX_TIME = 2**48 - 1
"""Latest time that the claims can hold, milliseconds since 1970."""

_BROWSER, _BIRTH, _CHECKPOINT, _SESSION, _SUBJECT_EPOCH, _EVERYTHING = 1, 2, 4, 8, 16, 32
_SUBJECT, _LONG, _GROUPS, _AUTHENTICATED, DEFLATED = 64, 128, 256, 512, 1024
_KNOWN = 2048 - 1
_NUMBERS = (_BIRTH, _CHECKPOINT, _CHECKPOINT, _SESSION, _SUBJECT_EPOCH, _EVERYTHING)
_HEAD = struct.Struct(">BH16sBIHIBI")
_DIGEST_BYTES = 16


# Nobody changes one. Frozen it would take six times as long to make, as a named tuple two or three
# times as long to look into.
@dataclass(slots=True)
class Claims:
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

    def __repr__(self) -> str:
        """Without the subject: error reports show the repr of local variables."""
        return f"<Claims {self.id_text[:6]}...>"

    @property
    def id_text(self) -> str:
        """The session id as text, 22 URL-safe characters."""
        return id_to_text(self.session_id)


def id_to_text(session_id: bytes) -> str:
    """A session id as text: 22 URL-safe characters."""
    return base64.urlsafe_b64encode(session_id)[:ID_CHARACTERS].decode("ascii")


def write_claims(claims: Claims, *, deflated: bool) -> bytes:
    """The bytes of claims, before the data."""
    flags, rest = DEFLATED if deflated else 0, b""
    if claims.browser_length:
        flags |= _BROWSER
    if claims.birth:
        flags |= _BIRTH
        rest = claims.birth.to_bytes(7, "big")
    if claims.checkpoint:
        flags |= _CHECKPOINT
        rest += claims.checkpoint.to_bytes(7, "big") + claims.reach.to_bytes(7, "big")
    if claims.session_epoch:
        flags |= _SESSION
        rest += claims.session_epoch.to_bytes(7, "big")
    if claims.subject_epoch:
        flags |= _SUBJECT_EPOCH
        rest += claims.subject_epoch.to_bytes(7, "big")
    if claims.everything_epoch:
        flags |= _EVERYTHING
        rest += claims.everything_epoch.to_bytes(7, "big")
    if claims.subject is not None:
        text = claims.subject.encode("utf-8", "surrogatepass")
        size = 1 if len(text) < 256 else 2
        flags |= _SUBJECT if size == 1 else _SUBJECT | _LONG
        rest += len(text).to_bytes(size, "big") + text
    if claims.groups:
        flags |= _GROUPS
        rest += _write_groups(claims.groups)
    authenticated_ms, created_ms = claims.authenticated_ms, claims.created_ms
    if authenticated_ms is not None and authenticated_ms != created_ms:
        flags |= _AUTHENTICATED
        rest += (authenticated_ms // 1000).to_bytes(5, "big")
    created, expires_ms, lifetime_ms = created_ms // 1000, claims.expires_ms, claims.lifetime_ms
    head = _HEAD.pack(
        FORMAT_VERSION,
        flags,
        claims.session_id,
        created >> 32,
        created & 0xFFFFFFFF,
        expires_ms >> 32,
        expires_ms & 0xFFFFFFFF,
        lifetime_ms >> 32,
        lifetime_ms & 0xFFFFFFFF,
    )
    return head + rest


def _write_groups(groups: tuple[tuple[bytes, int], ...]) -> bytes:
    mark, rest = len(groups), b""
    for place, (digest, epoch) in enumerate(groups):
        rest += digest
        if epoch:
            mark |= 16 << place
            rest += epoch.to_bytes(7, "big")
    return bytes((mark,)) + rest


def read_claims(plain: bytes) -> tuple[Claims, int, bool]:
    """The claims at the beginning of a token's plain text.

    Strict: what `write_claims` would not have written is an error.

    Returns:
        Claims, where the data begin, and whether they are deflated.

    Raises:
        ValueError, struct.error: these are not claims of this version.
    """
    version, flags, session_id, c_high, c_low, e_high, e_low, l_high, l_low = _HEAD.unpack_from(
        plain
    )
    if version != FORMAT_VERSION or flags & ~_KNOWN:
        raise ValueError("another version")
    created_ms = (c_high << 32 | c_low) * 1000
    at = _HEAD.size
    numbers = []
    for flag in _NUMBERS:
        number = 0
        if flags & flag:
            number = int.from_bytes(plain[at : at + 7], "big")
            at += 7
            if not 0 < number <= MAX_NUMBER:
                raise ValueError("a number out of its range")
        numbers.append(number)
    birth, checkpoint, reach, session_epoch, subject_epoch, everything_epoch = numbers
    subject = None
    if flags & (_SUBJECT | _LONG | _SUBJECT_EPOCH):
        subject, at = _read_subject(plain, at, flags)
    groups: tuple[tuple[bytes, int], ...] = ()
    if flags & _GROUPS:
        groups, at = _read_groups(plain, at)
    authenticated_ms = None
    if flags & _AUTHENTICATED:
        authenticated_ms = int.from_bytes(plain[at : at + 5], "big") * 1000
        at += 5
        if authenticated_ms == created_ms:
            raise ValueError("written though it says nothing")
    if at > len(plain):
        raise ValueError("too short")
    claims = Claims(
        session_id,
        created_ms,
        e_high << 32 | e_low,
        l_high << 32 | l_low,
        flags & _BROWSER == _BROWSER,
        birth,
        checkpoint,
        reach,
        session_epoch,
        subject_epoch,
        everything_epoch,
        subject,
        groups,
        authenticated_ms,
    )
    return claims, at, flags & DEFLATED == DEFLATED


def _read_subject(plain: bytes, at: int, flags: int) -> tuple[str, int]:
    if not flags & _SUBJECT:
        raise ValueError("of a subject that is not there")
    size = 2 if flags & _LONG else 1
    length = int.from_bytes(plain[at : at + size], "big")
    if size == 2 and length < 256:
        raise ValueError("a longer length than needed")
    at += size + length
    return plain[at - length : at].decode("utf-8", "surrogatepass"), at


def _read_groups(plain: bytes, at: int) -> tuple[tuple[tuple[bytes, int], ...], int]:
    (mark,) = plain[at : at + 1]
    at += 1
    count, have_epochs = mark & 7, mark >> 4
    if not 0 < count <= MOST_GROUPS or mark & 8 or have_epochs >> count:
        raise ValueError("no such count of groups")
    groups: list[tuple[bytes, int]] = []
    for place in range(count):
        digest, epoch = plain[at : at + _DIGEST_BYTES], 0
        at += _DIGEST_BYTES
        if have_epochs >> place & 1:
            epoch = int.from_bytes(plain[at : at + 7], "big")
            at += 7
            if not 0 < epoch <= MAX_NUMBER:
                raise ValueError("an epoch out of its range")
        if groups and digest <= groups[-1][0]:
            raise ValueError("groups out of order")
        groups.append((digest, epoch))
    return tuple(groups), at
