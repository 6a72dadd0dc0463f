"""The one decision: what it costs, and the id that it gives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from duck_cookie_session import SessionStore, session_headers
from duck_cookie_session.token import payload
from tests.helpers import LOOKED_AT, Node, sent_cookie

Act = Callable[[SessionStore], object]


def packed_in(work: Callable[[], object]) -> int:
    """How often the contents of a session are packed in a piece of work."""
    code, count = payload._packed.__code__, 0

    def see(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code is code

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("act", "times", "sends"),
    [
        (lambda session: session["n"], 0, False),
        (lambda session: "n" in session and len(session) and list(session), 0, False),
        (lambda session: session.get("user"), 0, False),
        (lambda session: session["cart"], 1, False),  # handed out, so that it may have changed
        (lambda session: session["cart"].append(3), 1, True),
        (lambda session: session.update(n=2), 1, True),
        (lambda session: session.__setitem__("n", 2), 1, True),
        (lambda session: session.update(user="bob"), 1, True),
        (lambda session: session.clear(), 0, True),
        (lambda session: session.cycle_key(), 0, True),
        (lambda session: session.supersede(), 0, True),
        (lambda session: session.set_expiry(60), 0, True),
    ],
)
def test_a_response_packs_once_and_only_what_may_have_changed(
    node: Node, act: Act, times: int, sends: bool
) -> None:
    session = node.request(node.start(user="alice", cart=[1, 2], n=1))
    headers = []

    def respond() -> None:
        act(session)
        headers.extend(session_headers(session))

    assert packed_in(respond) == times
    assert (headers != LOOKED_AT) is sends


def test_saving_by_hand_packs_once_too(node: Node) -> None:
    session = node.request(node.start(cart=[1]))
    session["cart"].append(2)
    assert packed_in(session.save) == 1


@pytest.mark.parametrize(
    "change", [lambda cart: cart.append(2), lambda cart: cart.clear(), lambda cart: None]
)
def test_a_change_after_needs_update_is_saved(
    node: Node, change: Callable[[list[int]], None]
) -> None:
    """Duck's own middleware asks in steps; the answer is not kept."""
    session = node.request(node.start(user="alice", cart=[1]))
    cart = session["cart"]
    assert not session.needs_update()
    change(cart)
    assert session.needs_update() is (cart != [1])
    session.save()
    assert node.read(session.session_key) == {"user": "alice", "cart": cart}


def test_untouched_nothing_is_packed_or_opened(node: Node) -> None:
    session = node.request(node.start(cart=[1]))
    assert packed_in(lambda: session_headers(session)) == 0
    assert not session.loaded


# The id of a new session.


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update(user="bob"),
        lambda session: session.pop("user"),
        lambda session: session.cycle_key(),
        lambda session: (session.cycle_key(), session.update(user="bob")),
        lambda session: (session.supersede(), session.update(user="bob")),
        lambda session: (session.clear(), session.update(user="bob")),
    ],
)
def test_the_id_noted_at_the_change_is_what_lives_on(node: Node, change: Act) -> None:
    session = node.request(node.start(user="alice", a=1))
    before = session.session_id
    change(session)
    noted = session.session_id
    assert noted not in (None, before)
    session["later"] = 1
    token = sent_cookie(session_headers(session))
    assert node.request(token).session_id == session.session_id == noted


def test_the_id_of_a_visitor_who_logs_in(node: Node) -> None:
    session = node.request()
    assert session.session_id is None
    session["cart"] = [1]
    visitor = session.session_id
    assert visitor is not None
    session["user"] = "alice"
    noted = session.session_id
    assert noted not in (None, visitor)
    assert node.request(sent_cookie(session_headers(session))).session_id == noted


def test_the_id_survives_a_save_that_fails(node: Node) -> None:
    session = node.request(node.start(user="alice"))
    session.cycle_key()
    noted = session.session_id
    session["much"] = "x" * 5_000
    assert session_headers(session) == LOOKED_AT
    del session["much"]
    assert node.request(sent_cookie(session_headers(session))).session_id == noted
