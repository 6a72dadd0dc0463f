"""The scalars that plain msgpack lacks, to the payloads of extension types and back.

The bytes are documented in `payload.py`. Encoders raise `ValueError` with a text for the user;
decoders raise some `ValueError`, `ArithmeticError` or `LookupError` for a payload that no encoder
gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack

from .stored import type_name

_US: Final = timedelta(microseconds=1)
_DAY_US: Final = 86_400_000_000
_MINUTE_US: Final = 60_000_000
_UTF8: Final = ("utf-8", "surrogatepass")
_ZONE_KEY: Final = re.compile(r"[A-Za-z0-9_+-]{1,64}(?:/[A-Za-z0-9_+-]{1,64}){0,3}")
_DECIMALS: Final = Context(traps=[InvalidOperation])


class UnknownZone(LookupError):
    """A time zone that is packed but not known on this machine."""


def extension(code: int, payload: bytes) -> msgpack.ExtType:
    # ExtType's own constructor checks what is known to be right here, at three times the price.
    return tuple.__new__(msgpack.ExtType, (code, payload))


def _signed(number: int) -> bytes:
    bits = (number if number >= 0 else ~number).bit_length()
    return number.to_bytes(bits // 8 + 1 if number else 0, "big", signed=True)


def _encode_datetime(value: datetime) -> msgpack.ExtType:
    clock = (value.toordinal() - 1) * _DAY_US + _since_midnight(value)
    head = (clock << 1 | value.fold).to_bytes(8, "big")
    return extension(5, head + _encode_zone(value.tzinfo))


def _encode_time(value: time) -> msgpack.ExtType:
    head = (_since_midnight(value) << 1 | value.fold).to_bytes(5, "big")
    return extension(7, head + _encode_zone(value.tzinfo))


def _decimal_text(value: Decimal) -> bytes:
    return str(value).upper().encode("ascii")


def _since_midnight(clock: datetime | time) -> int:
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second
    return seconds * 1_000_000 + clock.microsecond


def _encode_zone(zone: tzinfo | None) -> bytes:
    if zone is None:
        return b""
    if zone is UTC:  # by far the most frequent, as the general way gives it
        return b"\0\0\0"
    if type(zone) is timezone:
        delta = zone.utcoffset(None)
        offset, name = delta // _US, zone.tzname(None)
        if name != timezone(delta).tzname(None):
            return b"\2" + offset.to_bytes(5, "big", signed=True) + name.encode(*_UTF8)
        if offset % _MINUTE_US:
            return b"\1" + offset.to_bytes(5, "big", signed=True)
        return b"\0" + (offset // _MINUTE_US).to_bytes(2, "big", signed=True)
    if isinstance(zone, ZoneInfo):
        if isinstance(zone.key, str) and _zone_of_key(zone.key) is not None:
            return b"\3" + zone.key.encode("ascii")
        raise ValueError("has a ZoneInfo without a key that this machine knows: use ZoneInfo(key)")
    raise ValueError(
        f"has a tzinfo of type {type_name(type(zone))}: use datetime.timezone or zoneinfo.ZoneInfo"
    )


ENCODERS: Final[dict[type, Callable[[Any], msgpack.ExtType]]] = {
    int: lambda value: extension(4, _signed(value)),
    datetime: _encode_datetime,
    date: lambda value: extension(6, value.toordinal().to_bytes(3, "big")),
    time: _encode_time,
    timedelta: lambda value: extension(8, _signed(value // _US)),
    Decimal: lambda value: extension(9, _decimal_text(value)),
    UUID: lambda value: extension(10, value.bytes),
}


def _decode_datetime(payload: bytes) -> datetime:
    clock = _unsigned(payload[:8], 8)
    shown = datetime.min + timedelta(microseconds=clock >> 1)
    return shown.replace(tzinfo=_decode_zone(payload[8:]), fold=clock & 1)


def _decode_time(payload: bytes) -> time:
    clock = _unsigned(payload[:5], 5)
    if clock >> 1 >= _DAY_US:
        raise ValueError
    shown = (datetime.min + timedelta(microseconds=clock >> 1)).time()
    return shown.replace(tzinfo=_decode_zone(payload[5:]), fold=clock & 1)


def _decode_zone(tail: bytes) -> tzinfo | None:
    if not tail:
        return None
    kind, rest = tail[0], tail[1:]
    if kind == 0 and len(rest) == 2:
        return timezone(timedelta(minutes=int.from_bytes(rest, "big", signed=True)))
    if kind in (1, 2) and len(rest) >= 5:
        offset = int.from_bytes(rest[:5], "big", signed=True)
        plain, name = timezone(timedelta(microseconds=offset)), rest[5:].decode(*_UTF8)
        if kind == 1 and not name and offset % _MINUTE_US:
            return plain
        if kind == 2 and name != plain.tzname(None):
            return timezone(timedelta(microseconds=offset), name)
    if kind == 3:
        zone = _zone_of_key(rest.decode("ascii"))
        if zone is not None:
            return zone
        raise UnknownZone
    raise ValueError


def _zone_of_key(key: str) -> ZoneInfo | None:
    if not _ZONE_KEY.fullmatch(key):
        return None
    try:
        return ZoneInfo(key)
    except (LookupError, ValueError, OSError):  # unknown, not a zone's file, a folder
        return None


def _unsigned(payload: bytes, size: int) -> int:
    if len(payload) != size:
        raise ValueError
    return int.from_bytes(payload, "big")


def _decode_int(payload: bytes) -> int:
    number = int.from_bytes(payload, "big", signed=True)
    if -(1 << 63) <= number < 1 << 64 or _signed(number) != payload:
        raise ValueError
    return number


def _decode_timedelta(payload: bytes) -> timedelta:
    number = int.from_bytes(payload, "big", signed=True)
    if len(payload) > 9 or _signed(number) != payload:
        raise ValueError
    return timedelta(microseconds=number)


def _decode_decimal(payload: bytes) -> Decimal:
    value = Decimal(payload.decode("ascii"), _DECIMALS)
    if _decimal_text(value) != payload:
        raise ValueError
    return value


DECODERS: Final[dict[int, Callable[[bytes], Any]]] = {
    4: _decode_int,
    5: _decode_datetime,
    6: lambda payload: date.fromordinal(_unsigned(payload, 3)),
    7: _decode_time,
    8: _decode_timedelta,
    9: _decode_decimal,
    10: lambda payload: UUID(bytes=payload),
}
