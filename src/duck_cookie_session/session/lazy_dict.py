"""LazyDict: a dict that is filled before anyone looks into it, and that knows who might change it.

Every way in which Python code can look into a dict is overridden to fill it first. C code that
reads a dict's storage finds a mark in one that is not filled: json's encoder then calls `items()`,
which fills it; orjson and msgspec fail on the mark, and need `session.copy()`.

A *write* is a call that changes the dict itself. A value that can change in place and that was
handed out or taken in makes the dict *exposed*: only then can its contents differ without a write.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from ..token.payload import IMMUTABLE_TYPES
from .phase import Phase, write_lost
from .request import RequestSession

_MISSING = object()
UNFILLED = object()
"""The mark in a dict that is not filled yet."""


class LazyDict(dict[Any, Any]):
    """Base of the session store: the contents of one request's session."""

    __slots__ = ("_request",)
    __hash__ = None  # as dict: mutable, so without a hash

    _request: RequestSession  # set by the subclass

    def _unfill(self) -> None:
        dict.clear(self)
        dict.__setitem__(self, UNFILLED, None)

    def _about_to_write(self, key: object) -> None:
        request = self._request
        if not request.ready:
            request.load_into(self)
        if request.phase is Phase.CLOSED:
            write_lost(key, debug=request.debug)

    # Reading.

    def __getitem__(self, key: Any) -> Any:
        request = self._request
        if not request.ready:
            request.load_into(self)
        value = dict.__getitem__(self, key)
        if type(value) not in IMMUTABLE_TYPES:
            request.exposed = True
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """As dict's."""
        request = self._request
        if not request.ready:
            request.load_into(self)
        value = dict.get(self, key, default)
        if type(value) not in IMMUTABLE_TYPES:
            request.exposed = True
        return value

    def _touch(self) -> None:
        request = self._request
        if not request.ready:
            request.load_into(self)

    def _expose(self) -> None:
        self._touch()
        self._request.exposed = True

    def __contains__(self, key: object) -> bool:
        self._touch()
        return dict.__contains__(self, key)

    def __len__(self) -> int:
        self._touch()
        return dict.__len__(self)

    def __iter__(self) -> Iterator[Any]:
        self._touch()
        return dict.__iter__(self)

    def __reversed__(self) -> Iterator[Any]:
        self._touch()
        return dict.__reversed__(self)

    def keys(self) -> KeysView[Any]:  # type: ignore[override]  # dict_keys has no public name
        """As dict's."""
        self._touch()
        return dict.keys(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # dict_values has no public name
        """As dict's."""
        self._expose()
        return dict.values(self)

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # dict_items has no public name
        """As dict's."""
        self._expose()
        return dict.items(self)

    def __eq__(self, other: object) -> bool:
        self._touch()
        if isinstance(other, LazyDict):
            other._touch()
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def copy(self) -> dict[Any, Any]:
        """A plain dict of the same contents."""
        self._expose()
        # Not dict.copy(self): for a class with an __iter__ of its own it goes key by key.
        return dict(dict.items(self))

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        from copy import deepcopy

        return deepcopy(self.copy(), memo)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    def __or__(self, other: Any) -> Any:
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    # Writing.

    def __setitem__(self, key: Any, value: Any) -> None:
        request = self._request
        if not request.ready:
            request.load_into(self)
        if request.phase is Phase.CLOSED:
            write_lost(key, debug=request.debug)
        dict.__setitem__(self, key, value)
        request.written = True
        if type(value) not in IMMUTABLE_TYPES:
            request.exposed = True

    def __delitem__(self, key: Any) -> None:
        self._about_to_write(key)
        dict.__delitem__(self, key)
        self._request.written = True

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As dict's; a write only where the key was missing."""
        if key not in self:
            self._about_to_write(key)
            self._request.written = True
        value = dict.setdefault(self, key, default)
        if type(value) not in IMMUTABLE_TYPES:
            self._request.exposed = True
        return value

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """As dict's; a write only where the key was there."""
        if key in self:
            self._about_to_write(key)
        # One call, so that of two threads that share a store only one gets the value.
        value = dict.pop(self, key) if default is _MISSING else dict.pop(self, key, _MISSING)
        if value is _MISSING:
            return default
        self._request.written = True
        return value

    def popitem(self) -> tuple[Any, Any]:
        """As dict's."""
        self._about_to_write("the last key")
        item = dict.popitem(self)
        self._request.written = True
        return item

    def update(self, data: Any = (), /, **more: Any) -> None:
        """As dict's; a write only where something was given."""
        self._touch()
        new = dict(data, **more)
        if new:
            self._about_to_write(next(iter(new)))
            dict.update(self, new)
            self._request.written = self._request.exposed = True

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self
