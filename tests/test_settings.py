from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import InvalidSettings, SessionSettings
from tests.helpers import OTHER_SECRET, SECRET


def make(**changed: Any) -> SessionSettings:
    return SessionSettings(**{"secret_keys": SECRET, **changed})


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().cookie_name = "other"  # type: ignore[misc]  # that is the test


def test_a_plain_string_is_one_secret() -> None:
    assert make().secret_keys == (SECRET,)
    assert make(secret_keys=SECRET.encode()).secret_keys == (SECRET.encode(),)
    assert make(secret_keys=[SECRET, OTHER_SECRET]).secret_keys == (SECRET, OTHER_SECRET)
    assert make(secret_keys=[SECRET, OTHER_SECRET, SECRET]).secret_keys == (SECRET, OTHER_SECRET)


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ((), "is empty"),
        ("", "has only 0 bytes in secret 1"),
        ("x", "has only 1 byte in secret 1"),
        ("x" * 31, "has only 31 bytes in secret 1"),
        ([SECRET, b"y" * 31], "has only 31 bytes in secret 2"),
        ([SECRET, None], "has a value of type NoneType as secret 2"),
        (5, "is of type int"),
        ({SECRET}, "is of type set"),
        (None, "is of type NoneType"),
    ],
)
def test_wrong_secrets_are_named_and_never_shown(secrets: Any, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said) as refused:
        make(secret_keys=secrets)
    message = str(refused.value)
    assert "SESSION_SECRET_KEYS" in message
    assert "at least 32 bytes" in message
    assert "xxx" not in message
    assert SECRET not in message


def test_32_bytes_are_enough_however_they_are_written() -> None:
    assert make(secret_keys="x" * 32).secret_keys == ("x" * 32,)
    assert make(secret_keys="é" * 16).secret_keys == ("é" * 16,)


def test_secrets_and_addresses_are_not_in_the_repr() -> None:
    shown = repr(make(revocation_url="redis://user:password@host/0"))
    assert SECRET not in shown
    assert "password" not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cookie_name", "a b"),
        ("cookie_name", ""),
        ("cookie_name", "a=b"),
        ("cookie_name", "séance"),
        ("cookie_name", "name\n"),
        ("cookie_name", None),
        ("cookie_age", 0),
        ("cookie_age", -1),
        ("cookie_age", float("nan")),
        ("cookie_age", float("inf")),
        ("cookie_age", "3600"),
        ("cookie_age", True),
        ("cookie_age", None),
        ("cookie_age", 10**400),
        ("cookie_path", "account"),
        ("cookie_path", "/a;b"),
        ("cookie_path", "/a\r\nSet-Cookie: x=y"),
        ("cookie_path", "/日本"),
        ("cookie_domain", "exa mple.org"),
        ("cookie_domain", "example.org; Secure"),
        ("cookie_domain", ""),
        ("cookie_secure", 1),
        ("cookie_secure", "yes"),
        ("cookie_httponly", None),
        ("cookie_partitioned", 0),
        ("expire_at_browser_close", "no"),
        ("cookie_samesite", "Loose"),
        ("cookie_samesite", False),
        ("session_dir", 5),
        ("session_dir", ""),
        ("absolute_age", 0),
        ("absolute_age", None),
        ("absolute_age", 11 * 365 * 86_400),
        ("audience", None),
        ("audience", b"bytes"),
        ("audience", "\ud800"),
        ("subject_key", ""),
        ("subject_key", 5),
        ("compress", "zlib"),
        ("max_cookie_bytes", 4097),
        ("max_cookie_bytes", 1000.5),
        ("max_cookie_bytes", 10),
        ("clock_skew", -1),
        ("on_unreachable", "ignore"),
        ("on_unreachable", None),
        ("on_lost", "Accept"),
        ("on_lost", ["refuse"]),
        ("token_cache_size", -1),
        ("token_cache_size", 1.5),
        ("revocation_url", "http://localhost"),
        ("revocation_url", 5),
        ("max_staleness", 4000),
    ],
)
def test_wrong_values_are_named_with_what_is_allowed(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings, match="allowed: ") as refused:
        make(**{name: value})
    setting = name.upper() if name.startswith("session_") else "SESSION_" + name.upper()
    assert str(refused.value).startswith(f"{name} ({setting}) ")


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="cookie_colour"):
        make(cookie_colour="brown")


def test_a_wrong_address_is_not_shown() -> None:
    with pytest.raises(InvalidSettings) as refused:
        make(revocation_url="https://user:password@host")
    assert "password" not in str(refused.value)


@pytest.mark.parametrize("name", ["cookie_age", "absolute_age", "clock_skew"])
def test_times_are_seconds_or_a_timedelta(name: str) -> None:
    assert getattr(make(**{name: timedelta(minutes=2)}), name) == 120
    assert getattr(make(**{name: 90.5}), name) == 90.5


@pytest.mark.parametrize(
    ("given", "kept"),
    [("lax", "Lax"), ("STRICT", "Strict"), ("none", "None"), ("Lax", "Lax"), (None, None)],
)
def test_samesite_in_any_case(given: str | None, kept: str | None) -> None:
    assert make(cookie_samesite=given).cookie_samesite == kept


def test_session_dir_may_be_a_path(tmp_path: Path) -> None:
    assert make(session_dir=tmp_path).session_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"cookie_name": "__Host-id", "cookie_secure": False}, "cookie_secure"),
        ({"cookie_name": "__Secure-id", "cookie_secure": False}, "cookie_secure"),
        ({"cookie_name": "__hOSt-id", "cookie_secure": False}, "cookie_secure"),
        ({"cookie_name": "__Host-id", "cookie_path": "/account"}, "cookie_path"),
        ({"cookie_name": "__Host-id", "cookie_domain": "example.org"}, "cookie_domain"),
        ({"cookie_samesite": "None", "cookie_secure": False}, "cookie_samesite"),
        ({"cookie_partitioned": True, "cookie_secure": False}, "cookie_partitioned"),
    ],
)
def test_what_does_not_go_together(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSettings, match="^" + named):
        make(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"cookie_name": "__Host-id"},
        {"cookie_name": "__Secure-id", "cookie_path": "/account", "cookie_domain": "example.org"},
        {"cookie_samesite": "None"},
        {"cookie_partitioned": True},
        {"cookie_secure": False},
    ],
)
def test_what_goes_together(changed: dict[str, Any]) -> None:
    for name, value in changed.items():
        assert getattr(make(**changed), name) == value


# Read from a framework's settings.


def test_every_field_has_its_setting() -> None:
    given = {
        "cookie_name": "sid",
        "cookie_age": 100,
        "cookie_path": "/app",
        "cookie_domain": "example.org",
        "cookie_secure": True,
        "cookie_httponly": False,
        "cookie_samesite": "Strict",
        "expire_at_browser_close": True,
        "cookie_partitioned": True,
        "absolute_age": 1000,
        "audience": "shop",
        "subject_key": "member",
        "group_keys": ("tenant",),
        "compress": True,
        "max_cookie_bytes": 2000,
        "clock_skew": 5,
        "on_unreachable": "accept",
        "on_lost": "accept",
        "token_cache_size": 7,
        "revocation_url": "redis://localhost",
        "max_staleness": 1,
        "min_replicas": 1,
        "device_binding": "off",
        "device_binding_path": "/device",
        "device_proof_age": 60,
        "on_event": print,
    }
    mapping = {"SESSION_" + name.upper(): value for name, value in given.items()}
    mapping |= {"SESSION_SECRET_KEYS": [SECRET], "SESSION_DIR": "sessions"}
    read = SessionSettings.from_mapping(mapping)
    assert dataclasses.asdict(read) == given | {
        "secret_keys": (SECRET,),
        "session_dir": "sessions",
    }


def test_absent_settings_fall_back_to_what_is_given_and_to_defaults() -> None:
    read = SessionSettings.from_mapping({"SECRET_KEY": SECRET}, subject_key="member")
    assert read.subject_key == "member"
    assert read == make(subject_key="member")
    named = {"SECRET_KEY": SECRET, "SESSION_SUBJECT_KEY": None}
    assert SessionSettings.from_mapping(named, subject_key="member").subject_key is None


@pytest.mark.parametrize(
    ("mapping", "secrets"),
    [
        ({"SESSION_SECRET_KEYS": [SECRET], "SECRET_KEY": OTHER_SECRET}, (SECRET,)),
        ({"SESSION_SECRET_KEYS": SECRET, "SECRET_KEY": OTHER_SECRET}, (SECRET,)),
        ({"SECRET_KEY": SECRET}, (SECRET,)),
        ({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": None}, (SECRET,)),
        ({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": OTHER_SECRET}, (SECRET, OTHER_SECRET)),
        ({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": [OTHER_SECRET]}, (SECRET, OTHER_SECRET)),
    ],
)
def test_where_secrets_come_from(mapping: dict[str, Any], secrets: tuple[str, ...]) -> None:
    assert SessionSettings.from_mapping(mapping).secret_keys == secrets


@pytest.mark.parametrize(
    "mapping",
    [{}, {"SECRET_KEY": ""}, {"SECRET_KEY": "short"}, {"SECRET_KEY_FALLBACKS": [SECRET]}],
)
def test_no_good_secret_is_an_error(mapping: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match="at least 32 bytes"):
        SessionSettings.from_mapping(mapping)


def test_fallbacks_of_a_wrong_type() -> None:
    with pytest.raises(InvalidSettings, match="SECRET_KEY_FALLBACKS"):
        SessionSettings.from_mapping({"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": 5})


names = st.text("ab!-", min_size=1, max_size=3)


@given(names, st.text("ab!-", max_size=3), names, st.text("ab!-", max_size=3))
def test_no_two_applications_look_alike(name: str, audience: str, name2: str, audience2: str):
    first, second = (
        make(cookie_name=n, audience=a) for n, a in ((name, audience), (name2, audience2))
    )
    assert (first.application == second.application) == ((name, audience) == (name2, audience2))
