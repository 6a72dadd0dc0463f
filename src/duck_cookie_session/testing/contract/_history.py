"""What is promised of clocks, ages and checkpoints."""

from __future__ import annotations

from typing import Any

import pytest

from ...revocation.base import (
    CHECKPOINT_SECONDS,
    LAST_EPOCH,
    RevocationList,
)
from ._parts import RETENTION, Application, Part, asked, needs, witness


class History(Part):
    """The list's time, how long it keeps what, and how it notices that it forgot."""

    # The clock.

    @needs("clock")
    def test_a_clock_set_back_lowers_nothing(
        self, the_list: RevocationList, app: Application
    ) -> None:
        before = the_list.raise_epoch(app.session())
        self.move_clock(-3600)
        scope = app.session()
        assert before < the_list.raise_epoch(scope) < before + 1_000_000
        found = the_list.lookup((scope,))
        assert found.now >= found.made[0]

    @needs("clock")
    def test_a_raise_outranks_what_expired_before_the_clock_was_set_back(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope = app.session()
        before = the_list.raise_epoch(scope)
        self.move_clock(RETENTION + 10)
        the_list.purge()
        assert the_list.lookup((scope,)).epochs == (0,)
        self.move_clock(-RETENTION - 3600)
        assert the_list.raise_epoch(scope) > before

    @needs("clock")
    def test_entries_live_as_long_as_they_should_and_everything_for_ever(
        self, the_list: RevocationList, app: Application
    ) -> None:
        old, raised_again, young = app.session(), app.session(), app.group()
        everything = the_list.raise_epoch(app.everything)
        the_list.end(old)
        the_list.raise_epoch(raised_again)
        self.move_clock(RETENTION - 30)
        kept = (the_list.raise_epoch(raised_again), the_list.raise_epoch(young))
        the_list.purge()
        assert the_list.lookup((old, raised_again, young)).epochs == (LAST_EPOCH, *kept)
        self.move_clock(60)
        the_list.purge()
        assert the_list.lookup((old, raised_again, young)).epochs == (0, *kept)
        assert the_list.survey(app.prefix).entries == 2
        self.move_clock(2 * RETENTION)
        the_list.purge()
        assert the_list.lookup((raised_again, app.everything)).epochs == (0, everything)

    @needs("clock")
    def test_the_longest_retention_counts_for_all(
        self, opened: Any, the_list: RevocationList, app: Application
    ) -> None:
        longer = Application(
            **{**self.settings, "audience": app.settings.audience, "absolute_age": 10 * RETENTION}
        )
        scope = app.session()
        opened(longer).lookup((scope,))
        the_list.end(scope)
        self.move_clock(9 * RETENTION)
        the_list.purge()
        assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)

    @needs("clock")
    def test_entries_of_every_kind_live_as_long(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scopes = (app.session(), app.group(), app.scopes.subject("somebody"), app.device())
        epochs = tuple([the_list.raise_epoch(scope) for scope in scopes])
        self.move_clock(RETENTION - 30)
        the_list.purge()
        assert the_list.lookup(scopes).epochs == epochs
        self.move_clock(60)
        the_list.purge()
        assert the_list.lookup(scopes).epochs == (0,) * len(scopes)

    @needs("clock")
    def test_a_purge_leaves_other_applications_alone(
        self, opened: Any, the_list: RevocationList, app: Application
    ) -> None:
        """They may keep their entries for longer than the one who purges knows of."""
        other = Application(**{**self.settings, "absolute_age": 10 * RETENTION})
        second, scope = opened(other), other.session()
        second.end(scope)
        the_list.end(app.session())
        self.move_clock(2 * RETENTION)
        assert the_list.purge() == 1
        assert second.lookup((scope,)).epochs == (LAST_EPOCH,)

    # The history.

    @needs("clock")
    def test_a_raise_makes_a_checkpoint_when_the_clock_says_so(
        self, the_list: RevocationList, app: Application
    ) -> None:
        reaches = {}
        for moved in (0, CHECKPOINT_SECONDS + 1, -CHECKPOINT_SECONDS - 2):
            self.move_clock(moved)
            the_list.raise_epoch(app.session())
            found = the_list.lookup((app.everything,))
            assert found.checkpoint not in reaches
            reaches[found.checkpoint] = found.reach
        for checkpoint, reach in reaches.items():
            assert the_list.lookup((app.everything,), checkpoint=checkpoint).asked_reach == reach
        assert the_list.lookup((app.everything,), checkpoint=LAST_EPOCH).asked_reach is None

    @needs("clock")
    def test_a_replaced_checkpoint_lives_as_entries_do_from_then(
        self, the_list: RevocationList, app: Application
    ) -> None:
        the_list.raise_epoch(app.session())
        found = the_list.lookup((app.everything,))
        self.move_clock(3 * RETENTION)  # in which nobody revokes anything
        the_list.purge()
        assert asked(the_list, app, found) == found.reach
        the_list.raise_epoch(app.session())
        self.move_clock(RETENTION - 30)
        the_list.purge()
        assert asked(the_list, app, found) == found.reach
        self.move_clock(60)
        the_list.raise_epoch(app.session())
        the_list.purge()
        assert asked(the_list, app, found) is None

    @pytest.mark.parametrize("what", ["checkpoint", "reach", "everything"])
    def test_what_the_list_does_not_know_raises_everything_once(
        self, the_list: RevocationList, app: Application, what: str
    ) -> None:
        the_list.raise_epoch(app.everything)
        true = witness(the_list, app)
        assert the_list.raise_if_forgotten(app.everything, true) is None
        changed = {"checkpoint": LAST_EPOCH, "reach": true.reach + 1}.get(what)
        false = true._replace(**{what: changed or true.everything + 3_600_000_000})
        epoch = the_list.raise_if_forgotten(app.everything, false)
        assert epoch is not None
        assert epoch > max(true.everything, false.everything)
        assert the_list.lookup((app.everything,)).epochs == (epoch,)
        assert the_list.raise_if_forgotten(app.everything, false) is None
        assert the_list.raise_if_forgotten(app.everything, witness(the_list, app)) is None

    def test_a_token_of_another_list_or_refused_alone_proves_nothing(
        self, the_list: RevocationList, app: Application
    ) -> None:
        the_list.raise_epoch(app.session())
        early = witness(the_list, app)._replace(checkpoint=LAST_EPOCH)
        the_list.raise_epoch(app.everything)
        false = witness(the_list, app)._replace(checkpoint=LAST_EPOCH)
        for proves_nothing in (
            early,  # older than what was raised since
            false._replace(birth=false.birth ^ 1),
            false._replace(reach=1),  # entries of that time have expired
        ):
            assert the_list.raise_if_forgotten(app.everything, proves_nothing) is None

    @needs("clock")
    def test_what_a_purge_removed_by_a_clock_ahead_proves_nothing_later(
        self, the_list: RevocationList, app: Application
    ) -> None:
        the_list.raise_epoch(app.session())
        token = witness(the_list, app)
        self.move_clock(CHECKPOINT_SECONDS + 1)
        the_list.raise_epoch(app.session())  # which replaces the token's checkpoint
        self.move_clock(2 * RETENTION)
        the_list.purge()
        self.move_clock(-2 * RETENTION)
        assert the_list.raise_if_forgotten(app.everything, token) is None

    @needs("clock")
    def test_a_new_birth_does_not_lower_the_numbers(
        self, the_list: RevocationList, app: Application
    ) -> None:
        before = the_list.raise_epoch(app.session())
        self.move_clock(-3600)
        the_list.new_birth(app.prefix)
        assert the_list.raise_epoch(app.session()) > before

    def test_a_new_birth_begins_a_history_and_keeps_the_entries(
        self, the_list: RevocationList, app: Application
    ) -> None:
        scope = app.session()
        epoch = the_list.raise_epoch(scope)
        before = the_list.lookup((scope,))
        birth = the_list.new_birth(app.prefix)
        found = the_list.lookup((scope,))
        assert found.birth == found.checkpoint == birth != before.birth
        assert found.epochs == (epoch,)
        assert the_list.raise_epoch(scope) > epoch
