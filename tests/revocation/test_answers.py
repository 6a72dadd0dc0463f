"""Answers that are reused, to the last unit."""

from __future__ import annotations

import pytest

from duck_cookie_session.revocation._answers import Answers


class Hand:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def answers(clock: Hand) -> Answers:
    made = Answers(clock)
    made.max_staleness = 10
    return made


def test_of_two_answers_the_one_asked_for_later_stays_scope_by_scope() -> None:
    clock = Hand()
    kept = answers(clock)
    early = kept.asking()
    clock.now = 101
    late = kept.asking()
    kept.keep(late, (b"a",), (7,))
    kept.keep(early, (b"a", b"b"), (1, 2))
    assert kept.reuse((b"a", b"b")) == (7, 2)
    again = kept.asking()
    kept.keep(again, (b"a",), (9,))
    assert kept.reuse((b"a",)) == (9,)


def test_an_answer_asked_for_before_any_revocation_of_ones_own_is_not_kept() -> None:
    clock = Hand()
    kept = answers(clock)
    before = kept.asking()
    kept.revoked(b"a")
    between = kept.asking()
    kept.revoked(b"b")
    kept.keep(before, (b"c",), (1,))
    kept.keep(between, (b"c",), (2,))
    assert kept.reuse((b"c",)) is None
    kept.keep(kept.asking(), (b"c",), (3,))
    assert kept.reuse((b"c",)) == (3,)


def test_an_answer_of_one_scope_says_nothing_of_the_others_age() -> None:
    clock = Hand()
    kept = answers(clock)
    kept.keep(kept.asking(), (b"a",), (5_000_000,))  # an epoch is no time
    clock.now = 105
    kept.keep(kept.asking(), (b"a",), (6_000_000,))
    clock.now = 112
    assert kept.reuse((b"a",)) == (6_000_000,)
    clock.now = 115
    assert kept.reuse((b"a",)) is None


def test_the_answer_kept_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duck_cookie_session.revocation._answers._REMEMBERED", 2)
    kept = answers(Hand())
    for scope in (b"a", b"b", b"a", b"c"):
        kept.keep(kept.asking(), (scope,), (1,))
    assert [kept.reuse((scope,)) for scope in (b"a", b"b", b"c")] == [(1,), None, (1,)]
