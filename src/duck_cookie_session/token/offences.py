"""What can't be packed, and where it stands. Not API."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, time
from typing import Any, Final

from .scalars import ENCODERS
from .stored import (
    CONTAINERS,
    IMMUTABLE_TYPES,
    PLAIN_SCALARS,
    UNHASHABLE,
    as_stored,
    stored_type,
    type_name,
)

_ALLOWED: Final = (
    "None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, datetime, date, time, "
    "timedelta, Decimal, UUID"
)
_ELEMENT: Final = object()  # the step from a set to one of its elements, which has no name


def find_offence(data: object) -> tuple[str | None, list[object]]:
    """What can't be packed and the steps to it; if nothing, None and the steps that go deepest."""
    steps: list[object] = []
    if reason := _refusal(data, steps):
        return reason, steps
    deepest: list[object] = []
    stack = [(id(data), _inside(data))]
    open_ids = {id(data)}
    while stack:
        for step, value in stack[-1][1]:
            if type(value) in PLAIN_SCALARS:
                continue
            steps.append(step)
            if reason := _refusal(value, steps):
                return reason, steps
            if type(value) in CONTAINERS or stored_type(type(value)) in CONTAINERS:
                if id(value) in open_ids:
                    return "holds itself: a session can't hold a cycle", steps
                if len(steps) > len(deepest):
                    deepest = steps.copy()
                open_ids.add(id(value))
                stack.append((id(value), _inside(value)))
                break
            steps.pop()
        else:
            open_ids.discard(stack.pop()[0])
            if steps:
                steps.pop()
    return None, deepest


def _inside(container: object) -> Iterator[tuple[object, object]]:
    stored: Any = container if type(container) in CONTAINERS else as_stored(container)
    if type(stored) is dict:
        return iter(stored.items())
    if type(stored) in (list, tuple):
        return iter(enumerate(stored))
    return ((_ELEMENT, element) for element in stored)


def _key_refusal(keys: dict[Any, Any]) -> str | None:
    if PLAIN_SCALARS.issuperset(map(type, keys)):
        return None
    for key in keys:
        if stored_type(type(key)) in CONTAINERS:
            return f"has a key of type {type_name(type(key))}: a key is a str, an int or a scalar"
        if reason := _refusal(key, []):
            return f"has a key that {reason}"
    return None


def _refusal(value: Any, steps: list[object]) -> str | None:
    kind = type(value)
    if kind is dict:
        return _key_refusal(value)
    if kind is datetime or kind is time:
        try:
            ENCODERS[kind](value)
        except ValueError as error:  # its time zone
            return str(error)
        return None
    if kind is set or kind is frozenset:
        return _twins(value)
    if kind in IMMUTABLE_TYPES or kind in CONTAINERS:
        return None
    return _subclass_refusal(value, kind, steps)


def _subclass_refusal(value: object, kind: type, steps: list[object]) -> str | None:
    stored_kind = stored_type(kind)
    if kind in (bytearray, memoryview):
        return f"is of type {kind.__name__}: store bytes(...) of it"
    if stored_kind is None:
        return f"is of type {type_name(kind)}, which a session can't hold: convert it to {_ALLOWED}"
    if stored_kind in UNHASHABLE and any(step is _ELEMENT for step in steps):
        return (
            f"is of type {type_name(kind)}, which is stored as {stored_kind.__name__}: "
            "a set can't hold that"
        )
    try:
        stored = as_stored(value)
    except TypeError as error:
        return (
            f"is of type {type_name(kind)} and can't be stored as {stored_kind.__name__}: {error}"
        )
    return _refusal(stored, steps)


def _twins(elements: Collection[object]) -> str | None:
    if IMMUTABLE_TYPES.issuperset(map(type, elements)):
        return None
    try:
        stored = set(map(as_stored, elements))
    except TypeError:  # of one that is refused on its own
        return None
    if len(stored) == len(elements):
        return None
    return "has two elements that are stored as the same one: keep one of them"


def path_text(steps: list[object]) -> str:
    """As in session['cart'][3]; an element of a set is {element}; a long path loses its middle."""
    parts = ["{element}" if step is _ELEMENT else f"[{key_text(step)}]" for step in steps]
    if len(parts) > 12:
        parts[8:-2] = ["..."]
    return "".join(["session", *parts])


def key_text(key: object) -> str:
    if type(key) is int and key.bit_length() > 256:
        return f"<int of {key.bit_length()} bits>"  # Python refuses to print the largest
    text = repr(key)
    return text if len(text) <= 80 else f"{text[:77]}..."
