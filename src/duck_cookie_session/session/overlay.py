"""What was written to a session, to be laid over another one."""

from __future__ import annotations

from typing import Any

from ..token.payload import pack

Data = dict[Any, Any]
"""The contents of a session: a plain dict, or the store that is one."""

_REMOVED: Any = object()


def changes(before: Data, data: Data) -> Data:
    """What makes of the contents `before` those that are there now."""
    found = {key: _REMOVED for key in before if not dict.__contains__(data, key)}
    for key, value in dict.items(data):
        if key not in before or pack({key: value}) != pack({key: before[key]}):
            found[key] = value
    return found


def lay_over(data: Data, overlay: Data) -> None:
    """Make those changes to other contents."""
    for key, value in overlay.items():
        if value is _REMOVED:
            dict.pop(data, key, None)
        else:
            dict.__setitem__(data, key, value)
