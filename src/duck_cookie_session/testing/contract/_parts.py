"""What the parts of the contract share: an application, and how its list is opened."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ClassVar, TypeVar

import pytest

from ...revocation.base import (
    RevocationList,
    Scopes,
    Standing,
    Witness,
)
from ...settings import SessionSettings
from ._programs import Opener

RETENTION = 86_400 + 60
"""Seconds that entries of the contract's applications live."""

Test = TypeVar("Test", bound=Callable[..., Any])
Given = TypeVar("Given")


def needs(what: str) -> Callable[[Test], Test]:
    """Mark a test of the contract as one for lists that have something."""

    def mark(test: Test) -> Test:
        test._needs = what  # type: ignore[attr-defined]  # ours
        return test

    return mark


class Application:
    """One application that uses the list.

    Args:
        settings: others than the contract's own.
    """

    def __init__(self, **settings: Any) -> None:
        given = {"audience": secrets.token_hex(8), "absolute_age": RETENTION - 60, **settings}
        self.settings: SessionSettings = SessionSettings(
            secret_keys=("a secret of the contract's tests",), **given
        )
        self.scopes: Scopes = Scopes(self.settings)
        self.prefix: bytes = self.scopes.prefix
        self.everything: bytes = self.scopes.everything

    def session(self) -> bytes:
        """The scope of a new session."""
        return self.scopes.session(secrets.token_bytes(16))

    def group(self) -> bytes:
        """The scope of a new group."""
        return self.prefix + b"g" + secrets.token_bytes(16)

    def device(self) -> bytes:
        """The scope of a new session's device."""
        return self.prefix + b"b" + secrets.token_bytes(16)


class Part:
    """A part of the contract."""

    persistent: ClassVar[bool] = True
    settings: ClassVar[dict[str, Any]] = {}

    def opener(self) -> Opener:
        """What opens the list under test, in this process or another: a callable for pickle.

        Every call opens the same entries. For a list that ends with its process it gives the same
        object each time.
        """
        raise NotImplementedError

    def move_clock(self, seconds: float) -> None:
        """Move the list's clock, forth or back. Where it is written, more tests are run."""
        raise NotImplementedError

    def cut_off(self) -> None:
        """Make the list unreachable until the test ends. Where it is written, more are run."""
        raise NotImplementedError

    @pytest.fixture
    def app(self) -> Application:
        """The application."""
        return Application(**self.settings)

    @pytest.fixture
    def opened(self) -> Iterator[Callable[[Application], RevocationList]]:
        """Opens lists, closed at the end."""
        made: list[RevocationList] = []

        def open_(app: Application) -> RevocationList:
            made.append(self.opener()())
            made[-1].bind(app.settings)
            return made[-1]

        yield open_
        for one in made:
            one.close()

    @pytest.fixture
    def the_list(
        self, opened: Callable[[Application], RevocationList], app: Application
    ) -> RevocationList:
        """The list, bound to the application."""
        return opened(app)


def once(the_list: RevocationList, call: Coroutine[Any, Any, Given]) -> Given:
    """What an awaitable call gives, in an event loop that ends with it."""

    async def ask() -> Given:
        try:
            return await call
        finally:
            await the_list.aclose()

    return asyncio.run(ask())


def witness(the_list: RevocationList, app: Application) -> Witness:
    """What a token that is sealed now says of the list's history."""
    found = the_list.lookup((app.everything,))
    return Witness(found.birth, found.checkpoint, found.reach, found.epochs[0])


def asked(the_list: RevocationList, app: Application, before: Standing) -> int | None:
    """What the list says of the checkpoint that was the newest then."""
    return the_list.lookup((app.everything,), checkpoint=before.checkpoint).asked_reach
