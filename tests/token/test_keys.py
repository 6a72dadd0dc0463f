from __future__ import annotations

import itertools
from typing import Any

import pytest

from duck_cookie_session.token.keys import KeyRing, derive_key
from tests.helpers import OTHER_SECRET, SECRET, make_settings

AT = 1_800_000_000


def ring(*secrets: str | bytes, **changed: Any) -> KeyRing:
    return KeyRing.of(make_settings(secret_keys=secrets or (SECRET,), **changed))


def test_the_first_seals_and_all_open() -> None:
    both = ring(SECRET, OTHER_SECRET)
    assert both.decrypt(both.encrypt(b"data", AT)) == (b"data", 0)
    assert both.decrypt(ring(OTHER_SECRET).encrypt(b"data", AT)) == (b"data", 1)
    assert ring(OTHER_SECRET).decrypt(both.encrypt(b"data", AT)) is None


def test_a_rotation_never_refuses_a_token() -> None:
    """Stage, promote, retire; at each step nodes of this step and the next serve side by side."""
    steps = [ring(OTHER_SECRET), ring(OTHER_SECRET, SECRET), ring(SECRET, OTHER_SECRET)]
    for one, another in itertools.pairwise(steps):
        assert one.decrypt(another.encrypt(b"data", AT)) is not None
        assert another.decrypt(one.encrypt(b"data", AT)) is not None
    retired = ring(SECRET)
    assert retired.decrypt(steps[-1].encrypt(b"data", AT)) == (b"data", 0)
    assert retired.decrypt(steps[0].encrypt(b"data", AT)) is None


def test_text_counts_as_utf_8() -> None:
    assert ring(SECRET.encode()).decrypt(ring(SECRET).encrypt(b"data", AT)) == (b"data", 0)


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ({"cookie_name": "a"}, {"cookie_name": "b"}),
        ({"audience": "a"}, {"audience": "b"}),
        ({"cookie_name": "ab", "audience": "c"}, {"cookie_name": "a", "audience": "bc"}),
    ],
)
def test_another_application_has_another_key(one: dict[str, str], another: dict[str, str]) -> None:
    token = ring(**one).encrypt(b"data", AT)
    assert ring(**one).decrypt(token) == (b"data", 0)
    assert ring(**another).decrypt(token) is None


def test_a_key_is_that_of_fernet_and_says_nothing_of_the_secret() -> None:
    key = derive_key(SECRET, make_settings().application)
    assert len(key) == 44
    assert SECRET.encode() not in key
    assert SECRET not in repr(ring())
