"""Answers that are reused, to the last unit."""

from __future__ import annotations

import pytest

from duck_cookie_session.revocation._answers import Answers
from duck_cookie_session.revocation.base import Standing


class Hand:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def answers(hand: Hand) -> Answers:
    made = Answers(hand)
    made.max_staleness = 10
    return made


def standing(number: int) -> Standing:
    return Standing((number,), (number,), number, 1, 1, number, 0)


def keep(
    answers: Answers,
    scopes: tuple[bytes, ...],
    number: int,
    *,
    asked: tuple[float, int] | None = None,
    checkpoint: int = 0,
) -> None:
    answers.keep(asked or answers.asking(), scopes, checkpoint, standing(number))


def test_an_answer_is_reused_whole_and_until_it_is_too_old(answers: Answers, hand: Hand) -> None:
    keep(answers, (b"a", b"b"), 5)
    hand.now = 109.999
    assert answers.reuse((b"a", b"b"), 0) == standing(5)
    assert answers.reuse([b"a", b"b"], 0) == standing(5)
    hand.now = 110
    assert answers.reuse((b"a", b"b"), 0) is None


def test_an_answer_is_for_these_scopes_and_this_checkpoint_only(answers: Answers) -> None:
    keep(answers, (b"a", b"b"), 5, checkpoint=7)
    for scopes, checkpoint in (((b"a",), 7), ((b"b", b"a"), 7), ((b"a", b"b"), 0)):
        assert answers.reuse(scopes, checkpoint) is None
    assert answers.reuse((b"a", b"b"), 7) == standing(5)


def test_of_two_answers_the_one_asked_for_later_stays(answers: Answers, hand: Hand) -> None:
    early = answers.asking()
    hand.now = 101
    keep(answers, (b"a",), 7)
    keep(answers, (b"a",), 1, asked=early)
    assert answers.reuse((b"a",), 0) == standing(7)
    keep(answers, (b"a",), 9)
    assert answers.reuse((b"a",), 0) == standing(9)


def test_what_was_asked_before_a_revocation_of_ones_own_is_not_reused(
    answers: Answers, hand: Hand
) -> None:
    """Also where it is answered afterwards, and whichever of its scopes was revoked."""
    keep(answers, (b"a", b"c"), 1)
    under_way = answers.asking()
    hand.now = 101
    answers.revoked(b"c")
    assert answers.reuse((b"a", b"c"), 0) is None
    keep(answers, (b"b", b"c"), 2, asked=under_way)
    assert answers.reuse((b"b", b"c"), 0) is None
    keep(answers, (b"b", b"c"), 3)
    assert answers.reuse((b"b", b"c"), 0) == standing(3)


def test_a_revocation_ends_no_answer_of_other_scopes(answers: Answers) -> None:
    keep(answers, (b"a",), 1)
    answers.revoked(b"b")
    assert answers.reuse((b"a",), 0) == standing(1)


def test_a_revocation_is_remembered_while_an_older_answer_may_be(
    answers: Answers, hand: Hand
) -> None:
    under_way = answers.asking()
    answers.revoked(b"a")
    hand.now = 109.999
    for number in range(100):
        answers.revoked(b"%d" % number)
    keep(answers, (b"a",), 1, asked=under_way)
    assert answers.reuse((b"a",), 0) is None
    hand.now = 121
    answers.revoked(b"b")
    assert len(answers._revoked) == 1


def test_what_was_asked_before_everything_was_forgotten_is_not_reused(answers: Answers) -> None:
    keep(answers, (b"a",), 1)
    under_way = answers.asking()
    answers.forget()
    keep(answers, (b"b",), 2, asked=under_way)
    assert answers.reuse((b"a",), 0) is None
    assert answers.reuse((b"b",), 0) is None
    keep(answers, (b"b",), 3)
    assert answers.reuse((b"b",), 0) == standing(3)


def test_the_answer_kept_longest_goes_first(
    answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duck_cookie_session.revocation._answers._REMEMBERED", 2)
    for scope in (b"a", b"b", b"a", b"c"):
        keep(answers, (scope,), 1)
    kept = [answers.reuse((scope,), 0) is not None for scope in (b"a", b"b", b"c")]
    assert kept == [True, False, True]


def test_the_answers_kept_are_bounded(answers: Answers) -> None:
    for number in range(20_000):
        keep(answers, (b"%d" % number,), number)
    kept = sum(answers.reuse((b"%d" % number,), 0) is not None for number in range(20_000))
    assert kept == 16_384
