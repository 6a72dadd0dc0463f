from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import InvalidArgument
from duck_cookie_session.session.values import Expiry, as_datetime, subject_text
from duck_cookie_session.token.claims import MAX_LIFETIME, MAX_TIME


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (60, Expiry(60_000)),
        (0.5, Expiry(500)),
        (timedelta(minutes=1), Expiry(60_000)),
        (0, Expiry(0, 0)),
        (-1, Expiry(0, 0)),
        (-1e308, Expiry(0, 0)),
        (timedelta(days=-1), Expiry(0, 0)),
        (0.0004, Expiry(0, 0)),
        (10**400, Expiry(MAX_LIFETIME)),
        (1e308, Expiry(MAX_LIFETIME)),
        (timedelta.max, Expiry(MAX_LIFETIME)),
        (datetime(2030, 1, 1, tzinfo=UTC), Expiry(0, 1_893_456_000_000)),
        (datetime(2030, 1, 1), Expiry(0, 1_893_456_000_000)),
        (datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), Expiry(0, 1893456000000)),
        (datetime(1960, 1, 1), Expiry(0, 0)),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), None),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), Expiry(0, 0)),
    ],
)
def test_expiry(given: Any, kept: Expiry | None) -> None:
    expiry = Expiry.of(given)
    assert 0 <= expiry.lifetime_ms <= MAX_LIFETIME
    assert 0 <= expiry.until_ms <= MAX_TIME
    assert kept is None or expiry == kept


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zone to set on this system")
def test_naive_is_utc_wherever_the_server_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-5")
    time.tzset()
    try:
        assert Expiry.of(datetime(2030, 1, 1)) == Expiry(0, 1_893_456_000_000)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "given", ["60", None, True, Decimal(60), [60], float("nan"), float("inf"), float("-inf")]
)
def test_what_is_no_expiry(given: Any) -> None:
    with pytest.raises(InvalidArgument, match="An expiry is"):
        Expiry.of(given)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_finite_number_is_an_expiry(seconds: float) -> None:
    expiry = Expiry.of(seconds)
    assert expiry.until_ms == 0
    if 1 <= seconds < MAX_LIFETIME / 1000:
        assert abs(expiry.lifetime_ms - seconds * 1000) <= 1


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (None, None),
        ("anna", "anna"),
        ("", ""),
        (5, "5"),
        (-5, "-5"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ("\ud800", "\ud800"),
        (10**4096 - 1, "9" * 4096),
    ],
)
def test_subjects_are_compared_as_text(subject: Any, text: str | None) -> None:
    assert subject_text(subject) == text


@pytest.mark.parametrize(
    "subject",
    [
        True,
        1.5,
        b"anna",
        ["anna"],
        Decimal(1),
        10**4096,
        pytest.param(-(10**20_000), id="more digits than Python prints"),
        "x" * 4097,
    ],
)
def test_what_is_no_subject(subject: Any) -> None:
    with pytest.raises(InvalidArgument, match="A subject ") as refused:
        subject_text(subject)
    assert "anna" not in str(refused.value)


def test_the_latest_time_that_claims_hold_is_shown_as_the_latest_that_python_has() -> None:
    assert as_datetime(MAX_TIME) == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
