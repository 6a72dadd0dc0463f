"""Right and wrong uses of the settings, for mypy: never run.

`warn_unused_ignores`, part of `--strict`, makes each `type: ignore` below prove that the line is an
error.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal, assert_type

from duck_cookie_session import SessionSettings

SECRET = "s" * 32


def what_is_accepted(some: tuple[str, str], names: list[str], raw: list[bytes]) -> None:
    SessionSettings(secret_keys=SECRET)
    SessionSettings(secret_keys=SECRET.encode())
    SessionSettings(secret_keys=[SECRET, SECRET.encode()])
    SessionSettings(secret_keys=(SECRET, b"older" * 8))
    SessionSettings(secret_keys=some)
    SessionSettings(secret_keys=names)
    SessionSettings(secret_keys=raw)
    SessionSettings(
        secret_keys=SECRET,
        cookie_age=3600,
        absolute_age=timedelta(days=30),
        clock_skew=0.5,
        max_staleness=timedelta(seconds=1),
        cookie_samesite=None,
        session_dir=Path("sessions"),
        on_unreachable="accept",
        on_lost="refuse",
    )
    SessionSettings(secret_keys=SECRET, cookie_samesite="Strict", session_dir="sessions")
    SessionSettings(secret_keys=SECRET, cookie_samesite="lax")
    SessionSettings.from_mapping({"SECRET_KEY": SECRET}, subject_key="user")


def what_is_not(some: set[str]) -> None:
    SessionSettings()  # type: ignore[call-arg]
    SessionSettings(SECRET)  # type: ignore[call-arg]
    SessionSettings(secret_keys=None)  # type: ignore[arg-type]
    SessionSettings(secret_keys=some)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, cookie_colour="brown")  # type: ignore[call-arg]
    SessionSettings(secret_keys=SECRET, cookie_age="3600")  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, cookie_age=None)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, cookie_samesite="Loose")  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, cookie_samesite=False)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, cookie_secure="yes")  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, session_dir=5)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, max_cookie_bytes=1000.5)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, token_cache_size=timedelta(1))  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, on_unreachable="ignore")  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, on_lost=True)  # type: ignore[arg-type]
    SessionSettings(secret_keys=SECRET, subject_key=5)  # type: ignore[arg-type]


def what_they_are_then(settings: SessionSettings) -> None:
    assert_type(settings.secret_keys, tuple[str | bytes, ...])
    assert_type(settings.cookie_age, float)
    assert_type(settings.absolute_age, float)
    assert_type(settings.session_dir, str | None)
    assert_type(settings.cookie_samesite, Literal["Lax", "Strict", "None"] | None)
    assert_type(settings.on_unreachable, Literal["refuse", "accept"])
    assert_type(settings.max_cookie_bytes, int)
    settings.cookie_name = "other"  # type: ignore[misc]
