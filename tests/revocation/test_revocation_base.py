"""The protocol: scopes as documented, bindings, and the awaitable twins that others inherit."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import pytest

from duck_cookie_session.revocation.base import LAST_EPOCH, RevocationList, is_everything
from duck_cookie_session.revocation.memory import MemoryRevocationList
from tests.helpers import START, Clock, NetworkList


def test_scopes_are_as_documented(app):
    prefix = hashlib.sha256(app.settings.application).digest()[:8]
    assert app.scopes.prefix == prefix
    assert app.scopes.everything == prefix + b"*"
    assert app.scopes.session(bytes(range(16))) == prefix + b"s" + bytes(range(16))
    assert app.scopes.subject("é") == prefix + b"u" + hashlib.sha256(b"\xc3\xa9").digest()


def test_a_subject_with_a_lone_surrogate_has_a_scope_too(app):
    assert app.scopes.subject("\ud800") != app.scopes.subject("\ud801")


def test_only_everything_is_everything(app):
    assert is_everything(app.everything)
    assert not is_everything(app.session())
    assert not is_everything(app.subject())


def test_the_last_epoch_fits_a_double():
    assert int(float(LAST_EPOCH)) == LAST_EPOCH == 2**53 - 1


class Remote(MemoryRevocationList):
    """A list of somebody else, that says of itself that a lookup goes over the network."""

    local = False

    def __init__(self):
        super().__init__()
        self.calls = []

    def lookup(self, scopes, *, fresh=True):
        self.calls.append((fresh, threading.get_ident()))
        return super().lookup(scopes, fresh=fresh)

    def age(self, scope):
        self.calls.append(("age", threading.get_ident()))
        return super().age(scope)


class Local(Remote):
    local = True


@pytest.mark.parametrize("kind", [Remote, Local])
def test_inherited_twins_do_what_the_plain_calls_do(app, kind):
    the_list = kind()
    the_list.bind(app.settings)
    one, two = app.session(), app.session()

    async def use():
        assert await the_list.alookup((one,)) == (0,)
        epoch = await the_list.acompare_and_raise(one, 0)
        assert 0 < epoch < LAST_EPOCH
        assert await the_list.acompare_and_raise(one, 0, last=True) is None
        assert await the_list.acompare_and_raise(one, epoch, last=True) == LAST_EPOCH
        assert await the_list.alookup((one, two), fresh=False) == (LAST_EPOCH, 0)
        assert await the_list.aage(one) < 60
        assert await the_list.aage(two) is None

    the_list.calls.clear()
    asyncio.run(use())
    assert [what for what, _ in the_list.calls] == [True, False, "age", "age"]
    here = {thread == threading.get_ident() for _, thread in the_list.calls}
    assert here == {kind is Local}  # in a thread where the event loop would wait for a network


def test_a_list_that_lacks_a_call_can_not_be_made():
    class Half(RevocationList):
        def lookup(self, scopes, *, fresh=True):
            return (0,) * len(scopes)

    with pytest.raises(TypeError, match="raise_epoch"):
        Half()


# What the twins pass on


class Recording(NetworkList):
    """A list across the network: its awaitable twins leave the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.calls: list[tuple[Any, ...]] = []

    def lookup(self, scopes: Any, *, fresh: bool = True) -> tuple[int, ...]:
        self.calls.append(("lookup", scopes, fresh, self._in_loop()))
        return super().lookup(scopes, fresh=fresh)

    def compare_and_raise(self, scope: bytes, expected: int, *, last: bool = False) -> int | None:
        self.calls.append(("compare", scope, expected, last, self._in_loop()))
        return super().compare_and_raise(scope, expected, last=last)

    def age(self, scope: bytes) -> float | None:
        self.calls.append(("age", scope, self._in_loop()))
        return super().age(scope)

    @staticmethod
    def _in_loop() -> bool:
        return threading.current_thread() is threading.main_thread()


def test_the_twins_of_a_network_list_pass_on_what_they_were_given(app: Any, clock: Clock) -> None:
    the_list = Recording(clock)
    the_list.bind(app.settings)
    scope = app.session()

    async def calls() -> None:
        assert await the_list.alookup((scope,)) == (0,)
        assert await the_list.alookup((scope,), fresh=False) == (0,)
        assert await the_list.acompare_and_raise(scope, 0) == START * 1_000_000
        assert await the_list.acompare_and_raise(scope, int(START * 1_000_000), last=True)
        clock.tick(2)
        assert await the_list.aage(scope) == pytest.approx(2, abs=1e-5)

    asyncio.run(calls())
    assert the_list.calls == [
        ("lookup", (scope,), True, False),
        ("lookup", (scope,), False, False),
        ("compare", scope, 0, False, False),
        ("compare", scope, int(START * 1_000_000), True, False),
        ("age", scope, False),
    ]


def test_the_twin_of_a_local_list_passes_on_whether_an_older_answer_will_do(
    app: Any, clock: Clock
) -> None:
    class Local(Recording):
        local = True

    the_list = Local(clock)
    the_list.bind(app.settings)
    asyncio.run(the_list.alookup((app.session(),), fresh=False))
    asyncio.run(the_list.alookup((app.session(),)))
    assert [call[2:] for call in the_list.calls] == [(False, True), (True, True)]
