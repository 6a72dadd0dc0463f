"""What RedisRevocationList keeps in the server, byte for byte, and how it is read.

Keys are text:

    dcs2:{<prefix>}:<kind><rest>

`dcs2` is this format, `<prefix>` the 16 hexadecimal digits of the application's 8 bytes, `<kind>`
one letter, and `<rest>` URL-safe base64 without padding:

    s   a session; rest: its id, 22 characters, as `inspect` shows it
    u   a subject; rest: the SHA-256 of its text, 43 characters
    g   a group; rest: its digest, 22 characters
    b   a device; rest: the id of its session, 22 characters
    n   what a compare was answered (0: nothing was raised); rest: its nonce, 22 characters
    h   the history: clock, birth, newest checkpoint, epoch of everything (0: none), when the
        checkpoint was made, replication id; no rest
    k   the reach of a checkpoint that was replaced; rest: its name, 7 bytes, 10 characters
    r   milliseconds that entries live: the longest that any node was set to; no rest

The braces are a hash tag: a Cluster keeps all keys of one application in one slot, so on one node.
Its list can't grow past the memory of that node (at about 150 bytes an entry, a gigabyte holds
seven million revocations); several applications spread over several nodes.

The value of an entry is decimal text, which Redis stores as one 64-bit number:

    n > 0   the epoch, which is also when the entry was made, in microseconds since 1970
    n < 0   an ended session or group (epoch 2**53 - 1); made -n microseconds after 1970
    e n     a device: its epoch, which is not a time, and when the entry was made

Everything stands in the history, so that a lookup asks for one key less. Entries and replaced
checkpoints expire in the server (PX; checkpoints a day later, in case its clock is ahead), answers
after a minute; history and retention never do.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ._history import checkpoint_scope
from .base import LAST_EPOCH, MOST_SCOPES, PREFIX_BYTES, Standing

_ZEROS = tuple((0,) * scopes for scopes in range(MOST_SCOPES + 1))
_REST = PREFIX_BYTES + 1
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _tag(prefix: bytes) -> bytes:
    return b"dcs2:{%b}:" % prefix.hex().encode()


def _key(scope: bytes) -> bytes:
    rest = b2a_base64(scope[_REST:], newline=False).translate(_URL_SAFE, b"=")
    return _tag(scope[:PREFIX_BYTES]) + scope[PREFIX_BYTES:_REST] + rest


@lru_cache(maxsize=16_384)
def key_of(scope: bytes) -> bytes:
    """The key of a scope."""
    return _key(scope)


@lru_cache(maxsize=64)
def own_keys(prefix: bytes) -> tuple[bytes, bytes]:
    """Where the history of an application is kept, and its retention."""
    return _key(prefix + b"h"), _key(prefix + b"r")


@lru_cache(maxsize=1_024)
def checkpoint_key(prefix: bytes, checkpoint: int) -> bytes:
    """Where the reach of a checkpoint is kept once it was replaced."""
    return _key(checkpoint_scope(prefix, checkpoint))


def nonce_key(prefix: bytes, nonce: bytes) -> bytes:
    """Where the answer of a compare is kept."""
    return _key(prefix + b"n" + nonce)


def entry_pattern(prefix: bytes) -> bytes:
    """What SCAN matches the entries of one application with that expire."""
    return _tag(prefix) + b"[sugb]*"


def entry_of(value: bytes | str | None) -> tuple[int, int]:
    """The epoch that a stored value stands for, and when the entry was made.

    Raises:
        ValueError: somebody else wrote it.
    """
    if value is None:
        return 0, 0
    first, *rest = map(int, value.split())
    if not rest:
        return (LAST_EPOCH, -first) if first < 0 else (first, first)
    (made,) = rest
    if first < 0:
        raise ValueError("the epoch of a device is negative")
    return first, made


@lru_cache(maxsize=64)
def _history_of(value: bytes | str) -> tuple[int, int, int, int]:
    """Clock, birth, newest checkpoint and everything. Changes with a raise only: mostly known."""
    clock, birth, newest, everything, _, _ = value.split()
    return int(clock), int(birth), int(newest), int(everything)


def keys_of(scopes: Sequence[bytes], checkpoint: int) -> list[bytes]:
    """The keys that a lookup asks for; `standing_of` takes their values."""
    prefix = scopes[0][:PREFIX_BYTES]
    keys = [key_of(scope) for scope in scopes if len(scope) > _REST]
    keys.append(own_keys(prefix)[0])
    if checkpoint:
        keys.append(checkpoint_key(prefix, checkpoint))
    return keys


def standing_of(
    values: Sequence[Any], scopes: Sequence[bytes], checkpoint: int, now: int, *, keeps_birth: bool
) -> Standing | None:
    """What the values of a lookup say; None where the list knows too little of the application.

    Args:
        values: those of `keys_of`.
        scopes: what was asked for.
        checkpoint: the one asked for; 0 for none.
        now: the server's time, microseconds since 1970.
        keeps_birth: whether the application goes by births.

    Raises:
        ValueError: somebody else wrote a value.
    """
    history = values[-2 if checkpoint else -1]
    if history is None:
        return None
    clock, birth, newest, everything = _history_of(history)
    epochs = made = _ZEROS[len(scopes)]
    of_scopes = len(values) - (2 if checkpoint else 1)
    if everything or values[:of_scopes].count(None) != of_scopes:
        rest = iter(values)
        entries = [
            entry_of(next(rest)) if len(scope) > _REST else (everything, everything)
            for scope in scopes
        ]
        epochs, made = zip(*entries, strict=True)
    if clock > now:
        now = clock
    if not keeps_birth:
        return Standing(epochs, made, now, 0, 0, 0, 0)
    if not birth:
        return None
    reach: int | None = 0
    if checkpoint == newest:
        reach = clock
    elif checkpoint:
        reach = None if values[-1] is None else int(values[-1])
    return Standing(epochs, made, now, birth, newest, clock, reach)
