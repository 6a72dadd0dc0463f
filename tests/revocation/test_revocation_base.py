"""The protocol: scopes as documented, bindings, and the awaitable twins that others inherit."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any

import pytest

from duck_cookie_session.revocation.base import (
    LAST_EPOCH,
    RevocationList,
    Standing,
    Witness,
    forgotten,
    is_everything,
)
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

    def lookup(self, scopes, *, checkpoint=0, fresh=True):
        self.calls.append((fresh, threading.get_ident()))
        return super().lookup(scopes, checkpoint=checkpoint, fresh=fresh)


class Local(Remote):
    local = True


@pytest.mark.parametrize("kind", [Remote, Local])
def test_inherited_twins_do_what_the_plain_calls_do(app, kind):
    the_list = kind()
    the_list.bind(app.settings)
    one, two = app.session(), app.session()

    async def use():
        assert (await the_list.alookup((one,))).epochs == (0,)
        epoch = await the_list.acompare_and_raise(one, 0, nonce=b"1")
        assert 0 < epoch < LAST_EPOCH
        assert await the_list.acompare_and_raise(one, 0, nonce=b"2", last=True) is None
        assert await the_list.acompare_and_raise(one, epoch, nonce=b"3", last=True) == LAST_EPOCH
        standing = await the_list.alookup((one, two), fresh=False)
        assert standing.epochs == (LAST_EPOCH, 0)
        assert standing.now - standing.made[0] < 60_000_000
        assert standing.made[1] == 0

    the_list.calls.clear()
    asyncio.run(use())
    assert [what for what, _ in the_list.calls] == [True, False]
    here = {thread == threading.get_ident() for _, thread in the_list.calls}
    assert here == {kind is Local}  # in a thread where the event loop would wait for a network


def test_a_list_that_lacks_a_call_can_not_be_made():
    class Half(RevocationList):
        def lookup(self, scopes, *, checkpoint=0, fresh=True):
            return Standing((0,) * len(scopes), (0,) * len(scopes), 0, 0, 0, 0, 0)

    with pytest.raises(TypeError, match="raise_epoch"):
        Half()


# What the twins pass on


class Recording(NetworkList):
    """A list across the network: its awaitable twins leave the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.calls: list[tuple[Any, ...]] = []

    def lookup(self, scopes: Any, *, checkpoint: int = 0, fresh: bool = True) -> Standing:
        self.calls.append(("lookup", scopes, checkpoint, fresh, self._in_loop()))
        return super().lookup(scopes, checkpoint=checkpoint, fresh=fresh)

    def compare_and_raise(
        self,
        scope: bytes,
        expected: int,
        *,
        nonce: bytes,
        last: bool = False,
        value: int | None = None,
    ) -> int | None:
        self.calls.append(("compare", scope, expected, nonce, last, value, self._in_loop()))
        return super().compare_and_raise(scope, expected, nonce=nonce, last=last, value=value)

    def raise_if_forgotten(self, scope: bytes, witness: Witness) -> int | None:
        self.calls.append(("forgotten", scope, witness, self._in_loop()))
        return super().raise_if_forgotten(scope, witness)

    @staticmethod
    def _in_loop() -> bool:
        return threading.current_thread() is threading.main_thread()


def test_the_twins_of_a_network_list_pass_on_what_they_were_given(app: Any, clock: Clock) -> None:
    the_list = Recording(clock)
    the_list.bind(app.settings)
    scope, micros = app.session(), int(START * 1_000_000)
    witness = Witness(0, 0, 0, 0)

    async def calls() -> None:
        assert (await the_list.alookup((scope,))).epochs == (0,)
        assert (await the_list.alookup((scope,), checkpoint=7, fresh=False)).asked_reach is None
        assert await the_list.acompare_and_raise(scope, 0, nonce=b"1") == micros
        assert await the_list.acompare_and_raise(scope, micros, nonce=b"2", last=True)
        assert await the_list.acompare_and_raise(scope, micros, nonce=b"3", value=5) is None
        assert await the_list.araise_if_forgotten(app.everything, witness) is None

    asyncio.run(calls())
    assert the_list.calls == [
        ("lookup", (scope,), 0, True, False),
        ("lookup", (scope,), 7, False, False),
        ("compare", scope, 0, b"1", False, None, False),
        ("compare", scope, micros, b"2", True, None, False),
        ("compare", scope, micros, b"3", False, 5, False),
        ("forgotten", app.everything, witness, False),
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
    assert [call[3:] for call in the_list.calls] == [(False, True), (True, True)]


# What a token proves


NOTHING = Witness(1, 0, 0, 0)
AT_7 = Witness(1, 5, 7, 0)


@pytest.mark.parametrize(
    ("witness", "stands", "proven"),
    [
        (NOTHING, {}, False),
        (NOTHING, {"birth": 2}, False),  # of another list
        (NOTHING._replace(birth=0), {}, False),
        (NOTHING, {"everything": 9}, False),  # refused for that alone
        (NOTHING._replace(everything=9), {}, True),
        (NOTHING._replace(everything=9), {"birth": 2}, False),
        (NOTHING._replace(everything=9), {"everything": 9}, False),
        (AT_7, {"asked_reach": None}, True),
        (AT_7, {"asked_reach": 6}, True),
        (AT_7, {"asked_reach": 7}, False),
        (AT_7, {"asked_reach": 8}, False),
        (AT_7, {"asked_reach": None, "birth": 2}, False),
        (AT_7, {"asked_reach": None, "everything": 1}, False),
        (AT_7, {"asked_reach": None, "oldest": 7}, True),
        (AT_7, {"asked_reach": None, "oldest": 8}, False),  # expired with the entries of its time
        (AT_7._replace(everything=9), {"asked_reach": 7, "oldest": 8}, True),
    ],
)
def test_what_proves_that_the_list_forgot(
    witness: Witness, stands: dict[str, Any], proven: bool
) -> None:
    at_rest = {"everything": 0, "birth": 1, "asked_reach": 0, "oldest": 0}
    assert forgotten(witness, **{**at_rest, **stands}) is proven
