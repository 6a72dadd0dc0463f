"""A second reader of a session's data, written from `docs/format.md`: bytes to JSON.

It uses nothing of the library and no msgpack. As strict as the format asks of every reader, and
where a reader may refuse (a key twice, wide spellings) it accepts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DEEPEST: Final = 1024
DAY_US: Final = 86_400_000_000
LAST_US: Final = (datetime.max - datetime.min) // timedelta(microseconds=1)
SCALARS: Final = (
    "int",
    "float",
    "bytes",
    "datetime",
    "date",
    "time",
    "timedelta",
    "decimal",
    "uuid",
)
SETS: Final = {1: "tuple", 2: "set", 3: "frozenset"}


class Mark:
    def __init__(self, code: int) -> None:
        self.name = SETS[code]


def render(data: bytes) -> Any:
    """The session as JSON; ValueError for what a reader must refuse."""
    reader = _Data(data)
    made = reader.value(0)
    if reader.at != len(data) or not (isinstance(made, dict) and "dict" in made):
        raise ValueError("not one map and nothing after it")
    return made


class _Data:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ValueError("too short")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "big", signed=signed)

    def value(self, depth: int) -> Any:  # noqa: C901  # one branch a row of msgpack's table
        """One value; a Mark where one stands."""
        first = self.number(1)
        if first < 0x80 or first >= 0xE0:
            return whole(first if first < 0x80 else first - 256)
        if first < 0x90:
            return self.map(first & 15, depth)
        if first < 0xA0:
            return self.array(first & 15, depth)
        if first < 0xC0:
            return self.text(first & 31)
        if first in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[first]
        if first in (0xC4, 0xC5, 0xC6):
            return {"bytes": self.take(self.number(1 << first - 0xC4)).hex()}
        if first in (0xC7, 0xC8, 0xC9):
            return self.extension(self.number(1 << first - 0xC7))
        if first == 0xCA:
            return floating(struct.unpack(">f", self.take(4))[0])
        if first == 0xCB:
            return {"float": self.take(8).hex()}
        if first < 0xD0 and first >= 0xCC:
            return whole(self.number(1 << first - 0xCC))
        if first in (0xD0, 0xD1, 0xD2, 0xD3):
            return whole(self.number(1 << first - 0xD0, signed=True))
        if first in (0xD4, 0xD5, 0xD6, 0xD7, 0xD8):
            return self.extension(1 << first - 0xD4)
        if first in (0xD9, 0xDA, 0xDB):
            return self.text(self.number(1 << first - 0xD9))
        if first in (0xDC, 0xDD):
            return self.array(self.number(2 << first - 0xDC), depth)
        if first in (0xDE, 0xDF):
            return self.map(self.number(2 << first - 0xDE), depth)
        raise ValueError("c1")

    def text(self, size: int) -> str:
        return self.take(size).decode("utf-8", "surrogatepass")

    def array(self, count: int, depth: int) -> Any:
        if depth >= DEEPEST or count > len(self.data) - self.at:
            raise ValueError("too deep, or too short")
        elements = []
        mark: Mark | None = None
        for place in range(count):
            element = self.value(depth + 1)
            if not isinstance(element, Mark):
                elements.append(element)
            elif place == 0:
                mark = element
            else:
                raise ValueError("a mark elsewhere than first")
        if mark is None:
            return elements
        if mark.name != "tuple":
            if not all(map(hashable, elements)):
                raise ValueError("an element that changes")
            once = [repr(one) for one in elements if not unequal(one)]
            if len(set(once)) < len(once):
                raise ValueError("an element twice")
        return {mark.name: elements}

    def map(self, count: int, depth: int) -> Any:
        if depth >= DEEPEST or 2 * count > len(self.data) - self.at:
            raise ValueError("too deep, or too short")
        pairs = [[self.plain(depth), self.plain(depth)] for _ in range(count)]
        if not all(scalar(key) for key, _ in pairs):
            raise ValueError("a key that is no scalar")
        return {"dict": pairs}

    def plain(self, depth: int) -> Any:
        made = self.value(depth + 1)
        if isinstance(made, Mark):
            raise ValueError("a mark outside an array")
        return made

    def extension(self, size: int) -> Any:
        code, payload = self.number(1), self.take(size)
        if code in SETS:
            if payload:
                raise ValueError("a mark with a payload")
            return Mark(code)
        if code not in EXTENSIONS:
            raise ValueError("an unknown extension")
        return EXTENSIONS[code](payload)


def scalar(made: Any) -> bool:
    """Whether it may be a key or an element, which a signaling NaN may not."""
    if not isinstance(made, dict):
        return made is None or isinstance(made, (bool, str))
    return next(iter(made)) in SCALARS and "SNAN" not in made.get("decimal", "")


def unequal(made: Any) -> bool:
    """Whether a NaN is in it, so that it equals nothing, itself included."""
    if not isinstance(made, dict):
        return False
    ((kind, held),) = ((kind, held) for kind, held in made.items() if kind not in ("fold", "zone"))
    if kind in ("tuple", "frozenset"):
        return any(map(unequal, held))
    if kind == "float":
        (number,) = struct.unpack(">d", bytes.fromhex(held))
        return bool(number != number)
    return kind == "decimal" and "NAN" in held


def hashable(made: Any) -> bool:
    if isinstance(made, dict) and next(iter(made)) in ("tuple", "frozenset"):
        return all(map(hashable, next(iter(made.values()))))
    return scalar(made)


def whole(number: int) -> Any:
    return {"int": str(number)}


def floating(number: float) -> Any:
    return {"float": struct.pack(">d", number).hex()}


def check(holds: bool) -> None:
    if not holds:
        raise ValueError("a payload that is never written")


def shortest(payload: bytes) -> int:
    number = int.from_bytes(payload, "big", signed=True)
    if payload[:1] in (b"\0", b"\xff") and len(payload) > 1:
        check((payload[0] ^ payload[1]) >= 0x80)  # the first byte is needed for the sign
    check(payload != b"\0")
    return number


def integer(payload: bytes) -> Any:
    number = shortest(payload)
    check(not -(2**63) <= number < 2**64)
    return {"int": f"0x{number:x}" if number >= 0 else f"-0x{-number:x}"}


def zone(tail: bytes) -> Any:
    if not tail:
        return None
    kind, rest = tail[0], tail[1:]
    if kind == 3:
        key = rest.decode("ascii")
        check(re.fullmatch(r"[A-Za-z0-9_+-]{1,64}(/[A-Za-z0-9_+-]{1,64}){0,3}", key) is not None)
        try:
            ZoneInfo(key)
        except (ZoneInfoNotFoundError, OSError) as error:
            raise ValueError("a zone that is not known here") from error
        return {"key": key}
    size = 2 if kind == 0 else 5
    check(kind <= 2 and len(rest) >= size)
    offset = int.from_bytes(rest[:size], "big", signed=True)
    if kind == 0:
        check(len(rest) == 2 and -1440 < offset < 1440)
        return {"minutes": offset}
    check(-DAY_US < offset < DAY_US)
    if kind == 1:
        check(len(rest) == 5 and offset % 60_000_000 != 0)
        return {"microseconds": offset}
    name = rest[5:].decode("utf-8", "surrogatepass")
    check(name != usual_name(offset))
    return {"microseconds": offset, "name": name}


def usual_name(offset: int) -> str:
    """The name of a zone that has none of its own: UTC, or UTC+01:00, with seconds if there are."""
    if offset == 0:
        return "UTC"
    seconds, us = divmod(abs(offset), 1_000_000)
    text = f"UTC{'-' if offset < 0 else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    if seconds % 60 or us:
        text += f":{seconds % 60:02}"
    return text + (f".{us:06}" if us else "")


def clock(us: int) -> str:
    seconds, us = divmod(us, 1_000_000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{us:06}"


def moment(payload: bytes) -> Any:
    check(len(payload) >= 8)
    number = int.from_bytes(payload[:8], "big")
    us, fold = number >> 1, number & 1
    check(us <= LAST_US)
    day = date.fromordinal(us // DAY_US + 1).isoformat()
    return {"datetime": f"{day}T{clock(us % DAY_US)}", "fold": fold, "zone": zone(payload[8:])}


def time_of_day(payload: bytes) -> Any:
    check(len(payload) >= 5)
    number = int.from_bytes(payload[:5], "big")
    us, fold = number >> 1, number & 1
    check(us < DAY_US)
    return {"time": clock(us), "fold": fold, "zone": zone(payload[5:])}


def day(payload: bytes) -> Any:
    number = int.from_bytes(payload, "big")
    check(len(payload) == 3 and 1 <= number <= date.max.toordinal())
    return {"date": date.fromordinal(number).isoformat()}


def span(payload: bytes) -> Any:
    check(len(payload) <= 9)
    us = shortest(payload)
    days = us // DAY_US
    check(-999_999_999 <= days <= 999_999_999)
    return {"timedelta": str(us)}


def decimal(payload: bytes) -> Any:
    text = payload.decode("ascii")
    grammar = r"-?(?:(0|[1-9][0-9]*)(\.[0-9]+)?(E[+-][1-9][0-9]*)?|INFINITY|S?NAN([1-9][0-9]*)?)"
    check(re.fullmatch(grammar, text) is not None and text == shortest_decimal(text))
    return {"decimal": text}


def shortest_decimal(text: str) -> str:
    """to-scientific-string of the General Decimal Arithmetic specification, in upper case."""
    if text.lstrip("-")[0] in "ISN":
        return text
    sign, digits, exponent = Decimal(text).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("no number")
    written = "".join(map(str, digits))
    adjusted = exponent + len(written) - 1
    minus = "-" if sign else ""
    if exponent <= 0 and adjusted >= -6:
        if exponent:
            written = written.rjust(1 - exponent, "0")
            written = f"{written[:exponent]}.{written[exponent:]}"
        return minus + written
    tail = "." + written[1:] if len(written) > 1 else ""
    return f"{minus}{written[0]}{tail}E{adjusted:+}"


def identity(payload: bytes) -> Any:
    check(len(payload) == 16)
    return {"uuid": str(UUID(bytes=payload))}


EXTENSIONS: Final[dict[int, Callable[[bytes], Any]]] = {
    4: integer,
    5: moment,
    6: day,
    7: time_of_day,
    8: span,
    9: decimal,
    10: identity,
}


def shown(value: Any) -> Any:
    """What the library has read, as the same JSON; sets in the order of their own JSON."""
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        if -(2**63) <= value < 2**64:
            return whole(value)
        return {"int": f"0x{value:x}" if value >= 0 else f"-0x{-value:x}"}
    if kind is list:
        return [shown(one) for one in value]
    if kind in (tuple, set, frozenset):
        made = [shown(one) for one in value]
        return {kind.__name__: made if kind is tuple else sorted(made, key=repr)}
    if kind is dict:
        return {"dict": [[shown(key), shown(one)] for key, one in value.items()]}
    if kind is timedelta:
        return {"timedelta": str(value // timedelta(microseconds=1))}
    simple: dict[type, Callable[[Any], Any]] = {
        float: floating,
        bytes: lambda one: {"bytes": one.hex()},
        date: lambda one: {"date": one.isoformat()},
        Decimal: lambda one: {"decimal": str(one).upper()},
        UUID: lambda one: {"uuid": str(one)},
    }
    if kind in simple:
        return simple[kind](value)
    text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
    return {kind.__name__: text, "fold": value.fold, "zone": shown_zone(value.tzinfo)}


def shown_zone(given: Any) -> Any:
    if given is None:
        return None
    if isinstance(given, ZoneInfo):
        return {"key": given.key}
    offset = given.utcoffset(None) // timedelta(microseconds=1)
    if given.tzname(None) != usual_name(offset):
        return {"microseconds": offset, "name": given.tzname(None)}
    if offset % 60_000_000:
        return {"microseconds": offset}
    return {"minutes": offset // 60_000_000}


def in_order(made: Any) -> Any:
    """The JSON with sets in the order of their own JSON, to compare two."""
    if isinstance(made, list):
        return [in_order(one) for one in made]
    if not isinstance(made, dict):
        return made
    done = {key: in_order(one) for key, one in made.items()}
    for name in ("set", "frozenset"):
        if name in done:
            done[name] = sorted(done[name], key=repr)
    return done
