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

_MISSING = object()
UNFILLED = object()
"""The mark in a dict that is not filled yet."""


class LazyDict(dict[Any, Any]):
    """Base of the session store. A subclass says in `_fill` where the contents come from."""

    __slots__ = ("_accessed", "_exposed", "_filled", "_written")
    __hash__ = None  # as dict: mutable, so without a hash

    _accessed: bool  # anybody looked or wrote; set by the subclass at first
    _filled: bool
    _written: bool  # these two are set by _fill
    _exposed: bool

    def _fill(self) -> None:
        """Put the contents in and set `_filled`."""
        raise NotImplementedError

    def _unfill(self) -> None:
        dict.clear(self)
        dict.__setitem__(self, UNFILLED, None)
        self._filled = False

    def _touch(self) -> None:
        self._accessed = True
        if not self._filled:
            self._fill()

    def _give(self, value: Any) -> Any:
        if not self._exposed and type(value) not in IMMUTABLE_TYPES:
            self._exposed = True
        return value

    # Reading.

    def __getitem__(self, key: Any) -> Any:
        self._touch()
        return self._give(super().__getitem__(key))

    def get(self, key: Any, default: Any = None) -> Any:
        """As dict's."""
        self._touch()
        return self._give(super().get(key, default))

    def __contains__(self, key: object) -> bool:
        self._touch()
        return super().__contains__(key)

    def __len__(self) -> int:
        self._touch()
        return super().__len__()

    def __iter__(self) -> Iterator[Any]:
        self._touch()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._touch()
        return super().__reversed__()

    def keys(self) -> KeysView[Any]:  # type: ignore[override]  # dict_keys has no public name
        """As dict's."""
        self._touch()
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # dict_values has no public name
        """As dict's."""
        self._touch()
        self._exposed = True
        return super().values()

    def items(self) -> ItemsView[Any, Any]:  # type: ignore[override]  # dict_items has no public name
        """As dict's."""
        self._touch()
        self._exposed = True
        return super().items()

    def __eq__(self, other: object) -> bool:
        self._touch()
        if isinstance(other, LazyDict):
            other._touch()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def copy(self) -> dict[Any, Any]:
        """A plain dict of the same contents."""
        self._touch()
        self._exposed = True
        # Not super().copy(): for a class with an __iter__ of its own it goes key by key.
        return dict(super().items())

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
        self._touch()
        super().__setitem__(key, self._give(value))
        self._written = True

    def __delitem__(self, key: Any) -> None:
        self._touch()
        super().__delitem__(key)
        self._written = True

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As dict's; a write only where the key was missing."""
        missing = key not in self
        value = self._give(super().setdefault(key, default))
        if missing:
            self._written = True
        return value

    def pop(self, key: Any, default: Any = _MISSING) -> Any:
        """As dict's; a write only where the key was there."""
        self._touch()
        # One call, so that of two threads that share a store only one gets the value.
        value = super().pop(key) if default is _MISSING else super().pop(key, _MISSING)
        if value is _MISSING:
            return default
        self._written = True
        return value

    def popitem(self) -> tuple[Any, Any]:
        """As dict's."""
        self._touch()
        item = super().popitem()
        self._written = True
        return item

    def update(self, data: Any = (), /, **more: Any) -> None:
        """As dict's; a write only where something was given."""
        self._touch()
        new = dict(data, **more)
        if new:
            super().update(new)
            self._written = self._exposed = True

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self
