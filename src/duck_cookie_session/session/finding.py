"""Which connector a store goes by: found at first need, or what is wrong with the one given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .connector import SessionStorageConnector
from .process import get_session_storage_connector

Method = TypeVar("Method", bound=Callable[..., Any])

PROCESS: Any = object()
"""Stands for the process's connector, which is found at first need."""


class _AtFirstNeed:
    """Finds connector and rules when one of them is first asked for; then the request has both.

    Not `__getattr__`: a class that has one pays for it at every attribute.
    """

    def __set_name__(self, _: type, name: str) -> None:
        self._name = name

    def __get__(self, request: Any, _: type) -> Any:
        """Find them, or ValueError: there is no connector, or TypeError: it is something else."""
        given = request._given
        connector = get_session_storage_connector() if given is PROCESS else given
        if not isinstance(connector, SessionStorageConnector):
            raise _wrong_connector(connector)
        request.connector, request.rules = connector, connector.rules
        return getattr(request, self._name)


at_first_need: Callable[[], Any] = _AtFirstNeed  # a type checker is to see what it finds


def checking_connector(method: Method) -> Method:
    """See `SessionStore.check_session_storage_connector`."""

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        connector = getattr(self, "session_storage_connector", None)
        if not isinstance(connector, SessionStorageConnector):
            raise _wrong_connector(connector)
        return method(self, *args, **kwargs)

    return checked  # type: ignore[return-value]  # wraps() keeps the signature


def _wrong_connector(connector: object) -> Exception:
    if connector is None:
        return ValueError("The session store has no session storage connector.")
    return TypeError(
        f"The session storage connector of the store is of type {type(connector).__name__}, not a "
        "SessionStorageConnector."
    )
