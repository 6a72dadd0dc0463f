"""What each call promises."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from ...errors import RevocationListUnavailable
from ...revocation.base import (
    LAST_EPOCH,
    MOST_SCOPES,
    RevocationList,
)
from ._parts import RETENTION, Application, Part, asked, needs, once, witness
from ._programs import compare

YEAR_2001 = 10**15
"""In microseconds since 1970, which no clock in seconds or milliseconds has reached."""


class Calls(Part):
    """Lookups, raises, compares and ends; plain and awaitable."""

    # What stands.

    def test_a_new_list_has_a_birth_and_nothing_else(
        self, the_list: RevocationList, app: Application
    ) -> None:
        found = the_list.lookup((app.session(), app.group(), app.everything))
        assert found.epochs == found.made == (0, 0, 0)
        assert 0 < found.birth <= LAST_EPOCH
        assert (found.checkpoint, found.reach, found.asked_reach) == (found.birth, 0, 0)
        assert the_list.lookup((app.everything,)).birth == found.birth

    def test_a_lookup_takes_as_many_scopes_as_it_should(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scopes = [app.session() for _ in range(MOST_SCOPES)]
        epochs = [the_list.raise_epoch(scope) for scope in scopes]
        assert the_list.lookup(scopes, checkpoint=LAST_EPOCH).epochs == tuple(epochs)
        assert the_list.lookup(scopes[::-1], fresh=False).epochs == tuple(epochs[::-1])

    def test_it_knows_who_has_used_it_and_asking_that_makes_nothing(
        self, the_list: RevocationList, app: Application
    ) -> None:
        stranger = Application()
        assert not the_list.knows(stranger.prefix)
        assert not the_list.knows(stranger.prefix)
        the_list.lookup((app.everything,))
        assert the_list.knows(app.prefix)
        assert not the_list.knows(stranger.prefix)

    def test_applications_stay_apart(
        self, the_list: RevocationList, app: Application, opened: Any
    ) -> None:
        other = Application(**self.settings)
        second = opened(other)
        name = secrets.token_bytes(16)
        here, there = app.scopes.session(name), other.scopes.session(name)
        the_list.end(here)
        second.raise_epoch(other.everything)
        assert second.lookup((there,)).epochs == (0,)
        assert the_list.lookup((here, app.everything)).epochs == (LAST_EPOCH, 0)
        assert second.lookup((there,)).birth != the_list.lookup((here,)).birth
        assert the_list.survey(app.prefix).entries == 1
        assert second.survey(other.prefix).entries == 0

    def test_a_survey_counts(self, the_list: RevocationList, app: Application) -> None:
        the_list.raise_epoch(app.everything)
        assert the_list.survey(app.prefix).entries == 0
        for scope in (app.session(), app.session(), app.group()):
            the_list.end(scope)
        survey = the_list.survey(app.prefix)
        now = the_list.lookup((app.everything,)).now / 1_000_000
        assert survey.entries == 3
        assert survey.oldest is not None
        assert survey.next_expiry is not None
        assert now - 60 < survey.oldest <= now
        assert survey.next_expiry - survey.oldest >= RETENTION - 0.001

    def test_closing_twice_and_going_on(self, the_list: RevocationList, app: Application) -> None:
        epoch = the_list.raise_epoch(app.everything)
        the_list.save()
        the_list.close()
        the_list.close()
        assert the_list.lookup((app.everything,)).epochs == (epoch,)

    def test_under_on_lost_accept_there_is_no_birth(self, opened: Any) -> None:
        app = Application(**{**self.settings, "on_lost": "accept"})
        the_list = opened(app)
        epoch = the_list.raise_epoch(app.everything)
        found = the_list.lookup((app.everything,), checkpoint=7)
        assert found.epochs == (epoch,)
        assert (found.birth, found.checkpoint, found.reach, found.asked_reach) == (0, 0, 0, 0)

    # Raising.

    def test_raises_rise_and_go_by_the_lists_clock(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, other = app.session(), app.group()
        before = the_list.lookup((scope,)).now
        assert YEAR_2001 < before < LAST_EPOCH, "the clock gives no microseconds since 1970"
        epochs = [the_list.raise_epoch(one) for one in (scope, other, scope, app.everything)]
        found = the_list.lookup((scope, other, app.everything))
        assert [before, *epochs, found.now] == sorted({before, *epochs, found.now}) or (
            before <= epochs[0] and epochs == sorted(set(epochs)) and epochs[-1] <= found.now
        )
        assert found.epochs == (epochs[2], epochs[1], epochs[3])
        assert found.made == found.epochs
        assert found.reach == epochs[3]
        assert asked(the_list, app, found) == found.reach

    def test_an_end_is_the_last_and_keeps_its_time(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope = app.session()
        the_list.end(scope)
        found = the_list.lookup((scope,))
        the_list.end(scope)
        assert the_list.raise_epoch(scope) == LAST_EPOCH
        assert compare(the_list, scope, LAST_EPOCH) is None
        again = the_list.lookup((scope,))
        assert again.epochs == found.epochs == (LAST_EPOCH,)
        assert again.made == found.made
        assert 0 < found.made[0] <= found.now

    def test_a_compare_raises_what_it_expected_and_nothing_else(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, absent = app.session(), app.session()
        first = compare(the_list, scope, 0)
        assert first is not None
        for expected in (0, first - 1, first + 1, LAST_EPOCH):
            assert compare(the_list, scope, expected) is None
        assert compare(the_list, absent, first) is None  # as of an entry that was purged
        assert the_list.lookup((scope, absent)).epochs == (first, 0)
        second = compare(the_list, scope, first)
        assert second is not None
        assert second > first
        assert compare(the_list, scope, second, last=True) == LAST_EPOCH
        assert compare(the_list, scope, LAST_EPOCH, last=True) is None

    def test_a_device_gets_the_value_that_was_given(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, other = app.device(), app.device()
        assert compare(the_list, scope, 0, value=1) == 1
        assert compare(the_list, scope, 0, value=2) is None
        assert compare(the_list, other, 0, value=LAST_EPOCH - 1) == LAST_EPOCH - 1
        found = the_list.lookup((scope, other))
        assert found.epochs == (1, LAST_EPOCH - 1)
        assert all(found.now - 60_000_000 < made <= found.now for made in found.made)

    def test_the_same_nonce_gets_the_same_answer(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, nonce, late = app.session(), secrets.token_bytes(16), secrets.token_bytes(16)
        epoch = the_list.compare_and_raise(scope, 0, nonce=nonce)
        assert epoch is not None
        assert the_list.compare_and_raise(scope, 0, nonce=nonce) == epoch
        assert the_list.compare_and_raise(scope, 0, nonce=late) is None
        assert the_list.compare_and_raise(scope, 0, nonce=late) is None
        assert the_list.compare_and_raise(scope, 0, nonce=nonce) == epoch
        assert the_list.lookup((scope,)).epochs == (epoch,)

    def test_an_answer_stays_the_same_whatever_came_after_it(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope, device = app.session(), app.device()
        nonces = [secrets.token_bytes(16) for _ in range(3)]
        epoch = the_list.compare_and_raise(scope, 0, nonce=nonces[0])
        assert the_list.compare_and_raise(device, 7, nonce=nonces[1], value=9) is None
        the_list.end(scope)
        assert the_list.compare_and_raise(device, 0, nonce=nonces[2], value=7) == 7
        assert the_list.compare_and_raise(scope, 0, nonce=nonces[0]) == epoch
        assert the_list.compare_and_raise(device, 7, nonce=nonces[1], value=9) is None
        assert the_list.lookup((scope, device)).epochs == (LAST_EPOCH, 7)

    # Awaitable.

    def test_the_awaitable_twins_do_the_same(
        self, the_list: RevocationList, app: Application
    ) -> None:
        async def use() -> None:
            scope, nonce = app.session(), secrets.token_bytes(16)
            first = await the_list.araise_epoch(scope)
            second = await the_list.acompare_and_raise(scope, first, nonce=nonce)
            assert second is not None
            assert await the_list.acompare_and_raise(scope, first, nonce=nonce) == second
            assert (await the_list.alookup((scope,))).epochs == (second,)
            await the_list.aend(scope)
            assert (await the_list.alookup((scope,), fresh=False)).epochs == (LAST_EPOCH,)
            true = witness(the_list, app)
            assert await the_list.araise_if_forgotten(app.everything, true) is None
            assert await the_list.apurge() == 0
            many = await asyncio.gather(*(the_list.araise_epoch(app.group()) for _ in range(30)))
            assert len(set(many)) == 30
            await the_list.asave()
            await the_list.aclose()

        for _ in range(2):  # two event loops, one after the other
            asyncio.run(use())

    # When it can't be asked.

    @needs("outage")
    def test_a_list_that_can_not_be_asked_says_so_and_nothing_else(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope = app.session()
        the_list.raise_epoch(scope)
        token, nonce = witness(the_list, app), secrets.token_bytes(16)
        self.cut_off()
        for call in (
            lambda: the_list.lookup((scope,)),
            lambda: the_list.raise_epoch(scope),
            lambda: the_list.compare_and_raise(scope, 0, nonce=nonce),
            lambda: the_list.end(scope),
            lambda: the_list.raise_if_forgotten(app.everything, token),
            lambda: the_list.new_birth(app.prefix),
            lambda: the_list.survey(app.prefix),
            lambda: once(the_list, the_list.alookup((scope,))),
            lambda: once(the_list, the_list.araise_epoch(scope)),
            lambda: once(the_list, the_list.acompare_and_raise(scope, 0, nonce=nonce)),
            lambda: once(the_list, the_list.aend(scope)),
            lambda: once(the_list, the_list.araise_if_forgotten(app.everything, token)),
        ):
            with pytest.raises(RevocationListUnavailable):
                call()
