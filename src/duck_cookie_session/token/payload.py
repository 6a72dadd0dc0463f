"""Session dict <-> msgpack bytes, every value coming back equal and of the same type.

A value of a subclass comes back as the type that it extends: `stored.py`.

Plain msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) holds None, bool, int from
-2^63 to 2^64 - 1, float (64 bits), str, bytes, list and dict. str is UTF-8, a lone surrogate being
written as the three bytes that UTF-8 would give it ("surrogatepass"). The rest are extension
types; all integers in them are big-endian:

====  =========  ================================================================================
code  type       payload
====  =========  ================================================================================
1     tuple      empty: a mark, the first element of an array that holds the tuple's elements
2     set        empty: a mark likewise; elements in the order of their packed bytes
3     frozenset  empty: a mark likewise; elements in the order of their packed bytes
4     int        beyond 64 bits: two's complement, as few bytes as hold it
5     datetime   8 bytes: 2 x microseconds since 0001-01-01T00:00 of the clock shown, + fold; zone
6     date       3 bytes: days, 0001-01-01 being 1
7     time       5 bytes: 2 x microseconds since midnight of the clock shown, + fold; zone
8     timedelta  microseconds: two's complement, as few bytes as hold it (none for 0), 9 at most
9     Decimal    ASCII: to-scientific-string of the General Decimal Arithmetic specification, in
                 upper case, as in -0E+3, NAN12, SNAN, INFINITY
10    UUID       its 16 bytes
====  =========  ================================================================================

A zone is nothing (naive), or one byte that says what follows:

====  ==========================================================================================
byte  what follows
====  ==========================================================================================
0     2 bytes: offset from UTC in minutes, signed
1     5 bytes: offset in microseconds, signed; written where it is not whole minutes
2     5 bytes: offset in microseconds, signed, then the zone's own name in UTF-8
3     a key of the IANA time zone database, in ASCII
====  ==========================================================================================

A mark is written `c7 00 <code>`, so that the tuple (5,) is `92 c7 00 01 05`. Marks keep reading
and writing free of recursion: what nests is plain arrays and maps, 1,024 deep at most.

Dict keys are scalars (`IMMUTABLE_TYPES`). The order of a dict is kept; the same data always give
the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from gc import get_referents
from typing import Any, Final

import msgpack

from ..errors import SessionSerializationError
from .offences import find_offence, key_text, path_text
from .scalars import DECODERS, ENCODERS, UnknownZone, extension
from .stored import CONTAINERS, PLAIN_SCALARS, UNHASHABLE, as_stored, type_name
from .stored import IMMUTABLE_TYPES as IMMUTABLE_TYPES

_SIMPLE: Final = IMMUTABLE_TYPES | {dict, list}
_PLAIN: Final = PLAIN_SCALARS | {dict, list}

_TOO_DEEP: Final = "is nested deeper than msgpack can hold: flatten the data"
_CHANGED: Final = "session was changed by another thread while it was packed: save it again"
# --- packing ------------------------------------------------------------------------------------


def pack(data: dict[Any, Any]) -> bytes:
    """The session as bytes. No other thread may change it meanwhile.

    Raises:
        SessionSerializationError: a value or key of another type, a cycle, or nesting too deep;
            the message names the path and the type, never a value. Or a dict or set of it was
            changed meanwhile.
    """
    if type(data) is not dict:
        raise SessionSerializationError(f"session is of type {type_name(type(data))}: give a dict")
    packed, failure = None, None
    last_conversion = _last_conversion[0]
    try:
        # The list takes one of the packer's levels, because an empty innermost container would
        # otherwise be packed one level deeper than the unpacker goes.
        packed = _packed([data])[1:]
    except (TypeError, ValueError, ArithmeticError, BufferError, RuntimeError) as error:
        failure = type(error)
    # msgpack takes bytearray, memoryview, ExtType and Timestamp unasked, always as a binary or an
    # extension. Without a byte that could begin one there is nothing to look for.
    # A container that was converted may stand where none can be read: in a set, or as a key.
    if (
        packed is not None
        and _last_conversion[0] is last_conversion
        and (not packed.translate(None, _NO_BIN_OR_EXT) or _holds_simple_types(data))
    ):
        return packed
    if failure is RuntimeError:
        raise SessionSerializationError(_CHANGED)
    try:
        reason, steps = find_offence(data)
    except RuntimeError:
        raise SessionSerializationError(_CHANGED) from None
    if packed is not None and reason is None:
        return packed
    raise SessionSerializationError(f"{path_text(steps)} {reason or _TOO_DEEP}")


def key_sizes(data: dict[Any, Any]) -> list[tuple[str, int]]:
    """The top-level keys, as their `repr`, with the packed bytes of key and value; heaviest first.

    Raises:
        SessionSerializationError: as `pack`.
    """
    sizes = [(key_text(key), len(pack({key: value})) - 1) for key, value in data.items()]
    return sorted(sizes, key=lambda size: -size[1])


# Every byte except the first bytes of binaries (c4-c6) and extensions (c7-c9, d4-d8).
_NO_BIN_OR_EXT: Final = bytes(
    byte for byte in range(256) if not (0xC4 <= byte <= 0xC9 or 0xD4 <= byte <= 0xD8)
)


def _packed(value: object) -> bytes:
    # A packer can't be shared by threads, nor be entered again by a finalizer or signal handler
    # that packs: it is taken from the list while in use. One that failed or grew is dropped.
    try:
        packer = _idle_packers.pop()
    except IndexError:
        packer = _new_packer()
    try:
        packed: bytes = packer.pack(value)
    except UnicodeEncodeError:  # a lone surrogate; asking for "surrogatepass" costs every str
        return bytes(_new_packer(unicode_errors="surrogatepass").pack(value))
    if len(packed) <= 65_536:
        _idle_packers.append(packer)
    return packed


def _default(value: object) -> object:
    """What msgpack is to pack instead of a value that it does not know."""
    replace = _REPLACEMENTS.get(type(value))
    if replace is not None:
        return replace(value)
    stored = as_stored(value)  # or a TypeError: find_offence says where and what
    kind = type(stored)
    if kind in CONTAINERS:
        _last_conversion[0] = object()
    if kind in UNHASHABLE - {set} or (kind in PLAIN_SCALARS and not _is_wide(stored)):
        return stored
    return _REPLACEMENTS[kind](stored)


def _is_wide(value: object) -> bool:
    return type(value) is int and not -(1 << 63) <= value < 1 << 64


# Another object after each container of a subclass, so that no two threads can mistake theirs.
_last_conversion: Final[list[object]] = [None]
_new_packer: Callable[..., Any] = partial(
    msgpack.Packer, strict_types=True, default=_default, buf_size=4096
)
_idle_packers: Final[list[Any]] = []


def _holds_simple_types(data: dict[Any, Any]) -> bool:
    """Whether all is scalars, lists and dicts; level by level at the speed of C."""
    level: list[Any] = [data]
    while level:
        level = get_referents(*level)
        if not _PLAIN.issuperset(map(type, level)):
            if not _SIMPLE.issuperset(map(type, level)):
                return False
            # A UUID refers to its class, and the class to half of the interpreter.
            level = [value for value in level if type(value) in (dict, list)]
    return True


_TUPLE: Final = extension(1, b"")
_SET: Final = extension(2, b"")
_FROZENSET: Final = extension(3, b"")


def _sorted_set(mark: msgpack.ExtType, elements: Iterable[Any]) -> list[Any]:
    return [mark, *sorted(map(_unfolded, elements), key=_packed)]


def _unfolded(element: Any) -> Any:
    # Nested sets are sorted before they are packed as a sorting key, else every level would sort
    # those below it twice.
    if type(element) in IMMUTABLE_TYPES:
        return element
    if type(element) not in CONTAINERS:
        element = as_stored(element)
    if type(element) is tuple:
        return [_TUPLE, *map(_unfolded, element)]
    if type(element) is frozenset:
        return _sorted_set(_FROZENSET, element)
    return element


_REPLACEMENTS: Final[dict[type, Callable[[Any], object]]] = {
    **ENCODERS,
    tuple: lambda value: [_TUPLE, *value],
    set: partial(_sorted_set, _SET),
    frozenset: partial(_sorted_set, _FROZENSET),
}


# --- unpacking ----------------------------------------------------------------------------------


def unpack(packed: bytes) -> dict[Any, Any]:
    """The session again: fresh objects each time.

    Whatever the bytes are, time and memory are bounded: at most about 80 bytes of memory for each
    byte given, and 80 KB besides for each container still open (1,024 at most). Time is in
    proportion to the bytes, except where keys were chosen to have equal hashes, which is quadratic
    in their number. Where a map has a key twice, the later value stands.

    Raises:
        SessionSerializationError: anything that is not the whole of one packed session, or a time
            zone that this machine does not know.
    """
    marked = 0xC7 in packed and b"\xc7\x00" in packed
    try:
        data = _unpack_marked(packed) if marked else _unpackb(packed, ext_hook=_decode)
    except UnknownZone:
        trouble = ""
    except _UNREADABLE as error:
        trouble = type(error).__name__
    else:
        if type(data) is not dict:
            trouble = "not a map"
        # msgpack makes Timestamps (code -1, of 4, 8 or 12 bytes) without asking the hook.
        elif 0xFF in packed and _MAYBE_TIMESTAMP(packed) and find_offence(data)[0]:
            trouble = "unknown extension"
        else:
            return data
    if not trouble:
        raise SessionSerializationError(
            "The packed session has a time zone that this machine does not know: install the "
            "package tzdata here, of a version as new as on the other nodes."
        )
    raise SessionSerializationError(
        f"The packed session can't be read ({trouble}): it is not what pack() made, or a newer "
        "version made it. Drop it and start a new session."
    )


_unpackb: Callable[..., Any] = partial(
    msgpack.unpackb, strict_map_key=False, unicode_errors="surrogatepass"
)
_UNREADABLE: Final = (
    *(TypeError, ValueError, ArithmeticError, LookupError, RecursionError, BufferError),
    *(msgpack.UnpackException,),
)
_MAYBE_TIMESTAMP: Final = re.compile(rb"[\xd6\xd7\x04\x08\x0c]\xff").search
_MARKED: Final[dict[int, Callable[[list[Any]], Any]]] = {1: tuple, 2: set, 3: frozenset}


def _unpack_marked(packed: bytes) -> Any:
    """Unpacks where marks may be: the type itself stands for its mark until the array ends."""
    unused = 0

    def decode(code: int, payload: bytes) -> Any:
        nonlocal unused
        made_by = _MARKED.get(code)
        if made_by is None:
            return _decode(code, payload)
        if payload:
            raise ValueError
        unused += 1
        return made_by

    def close(elements: list[Any]) -> Any:
        nonlocal unused
        if not elements or type(elements[0]) is not type:
            return elements
        unused -= 1
        made = elements.pop(0)(elements)
        if len(made) != len(elements):
            raise ValueError  # a set with an element twice
        return made

    data = _unpackb(packed, ext_hook=decode, list_hook=close, object_hook=_scalar_keys)
    if unused:
        raise ValueError  # a mark elsewhere than first in an array
    return data


def _scalar_keys(made: dict[Any, Any]) -> dict[Any, Any]:
    # Only here can a tuple or frozenset be a key; what else nests can't be one in Python either.
    if not IMMUTABLE_TYPES.issuperset(map(type, made)):
        raise ValueError
    return made


def _decode(code: int, payload: bytes) -> Any:
    return DECODERS[code](payload)
