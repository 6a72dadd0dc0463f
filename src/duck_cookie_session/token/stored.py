"""The types that a session can hold, and values of their subclasses brought to them. Not API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgpack

PLAIN_SCALARS: Final = frozenset({type(None), bool, int, float, str, bytes})

#: Types whose values can't change in place; these are the scalars, and what a dict key may be.
IMMUTABLE_TYPES: Final[frozenset[type]] = PLAIN_SCALARS | {
    *(datetime, date, time, timedelta, Decimal, UUID)
}
UNHASHABLE: Final = frozenset({dict, list, set})
CONTAINERS: Final = UNHASHABLE | {tuple, frozenset}


def _datetime(value: Any) -> datetime:
    day = (value.year, value.month, value.day, value.hour, value.minute, value.second)
    return datetime(*day, value.microsecond, value.tzinfo, fold=value.fold)


def _time(value: Any) -> time:
    return time(
        value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold
    )


# Those of the types themselves, which a subclass can't override: str() of an enumeration's member,
# for one, is its name.
_EXACT: Final[dict[type, Callable[[Any], object]]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: lambda value: bytes(memoryview(value)),
    datetime: _datetime,
    date: lambda value: date(value.year, value.month, value.day),
    time: _time,
    timedelta: lambda value: timedelta(value.days, value.seconds, value.microseconds),
    Decimal: Decimal,
    UUID: lambda value: UUID(int=value.int),
    **{kind: kind for kind in (dict, list, tuple, set, frozenset)},
}
_texts: Final[list[type]] = []


def keep_as_text(kind: type) -> None:
    """Let values of this type and its subclasses be stored as `str` of them, in this process.

    For what stands for a text without being one, as a framework's translations do.
    """
    if kind not in _texts:
        _texts.append(kind)


def stored_type(kind: type) -> type | None:
    """The type that values of this one come back as; None if a session can't hold them."""
    if kind in IMMUTABLE_TYPES or kind in CONTAINERS:
        return kind
    if issubclass(kind, msgpack.ExtType):  # a tuple, packed as the extension that it names
        return None
    for base in kind.__mro__:
        if base in _EXACT:
            return base
        if base in _texts:
            return str
    return None


def as_stored(value: object) -> object:
    """A value of a subclass as the type that it extends; what is inside stays as it is.

    Raises:
        TypeError: a session can't hold it.
    """
    kind = type(value)
    if kind in IMMUTABLE_TYPES or kind in CONTAINERS:
        return value
    stored = stored_type(kind)
    if stored is None:
        raise TypeError("a session can't hold this type")
    try:
        # str() of what stands for a text may itself give a subclass.
        made = _EXACT[stored](value if issubclass(kind, stored) else str(value))
    except Exception as error:  # foreign code, as of a translation or a missing time
        raise TypeError(f"{type(error).__name__} when it was read") from error
    if type(made) is not stored:
        raise TypeError(f"gave no {stored.__name__}")
    return made


def type_name(kind: type) -> str:
    """A type as error messages name it."""
    prefix = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return prefix + kind.__qualname__
