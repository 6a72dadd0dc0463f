"""The page of the demo, as text."""

from __future__ import annotations

import pytest

from duck_cookie_session.demo import page

STATE = {
    "node": 1,
    "process": 4711,
    "user": None,
    "cart": [],
    "session_id": None,
    "issued": None,
    "expires": None,
    "bytes": 0,
    "limit": 4096,
    "list": "SQLiteRevocationList",
    "https": False,
    "device_bound": False,
}


def _render(**changed: object) -> str:
    options = {"note": "", "has_copy": False, "answer": None}
    state = {**STATE, **{key: value for key, value in changed.items() if key in STATE}}
    options |= {key: value for key, value in changed.items() if key in options}
    return page.render(state, ("http://one", "http://two"), **options)


def test_the_page_says_only_notes_of_its_own() -> None:
    assert "Logged out." in _render(note="out")
    text = _render(note="<b>out</b>")
    assert 'role="status"' not in text
    assert "<b>" not in text


@pytest.mark.parametrize("field", ["user", "session_id", "list"])
def test_the_page_escapes_what_it_shows(field: str) -> None:
    known = {"session_id": "abc", "issued": 0, "expires": 60, "bytes": 200}
    text = _render(**{**known, field: "<i>\"&'"})
    assert "<i>" not in text
    assert "&lt;i&gt;&quot;&amp;&#x27;" in text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({**STATE, "node": 2}, "Node 2 refused the copy"),
        ({**STATE, "session_id": "x", "user": "<i>", "cart": ["a"]}, "&lt;i&gt;, 1 in the cart"),
        ({**STATE, "session_id": "x"}, "accepted the copy: a visitor, 0 in the cart"),
        ({"error": "OSError: <gone>"}, "Node 2 did not answer: OSError: &lt;gone&gt;"),
    ],
)
def test_the_page_says_what_the_other_node_answered(answer: dict[str, object], said: str) -> None:
    assert said in _render(answer=answer)


def test_the_copy_is_presented_only_where_there_is_one() -> None:
    assert "<button disabled>2. Present it" in _render()
    assert "<button>2. Present it" in _render(has_copy=True)


KNOWN = {"https": True, "session_id": "abc", "issued": 0, "expires": 60, "bytes": 200}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"user": "ada", "device_bound": True}, "bound to it: no copy"),
        ({"user": "ada"}, "not bound: reload"),
        ({}, "not bound: that is for a login"),
    ],
)
def test_the_page_over_https_says_whether_the_session_is_bound(
    changed: dict[str, object], said: str
) -> None:
    assert f'id="device">{said}' in _render(**{**KNOWN, **changed})
    assert 'id="device"' not in _render(**{**KNOWN, **changed, "https": False})


def test_the_page_of_a_bound_session_says_what_became_of_the_copy() -> None:
    bound = {**KNOWN, "user": "ada", "device_bound": True}
    live = {**STATE, "session_id": "abc", "user": "ada"}
    assert "present it again then" in _render(**bound, answer=live)
    assert "You are still logged in" in _render(**bound, answer=STATE)
    assert "You are still logged in" not in _render(**KNOWN, answer=STATE)
