from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionSerializationError,
    SessionStore,
    session_headers,
)
from duck_cookie_session.errors import DeviceReason, LogoutReason, Reason
from duck_cookie_session.session.stats import COUNTED, NOT_SAVED, Stats
from duck_cookie_session.testing import session_token
from tests.helpers import DAY, LOOKED_AT, Clock, Node, SwitchableList


def counted(node: Node) -> dict[str, Any]:
    """What is not zero."""
    found: dict[str, Any] = dict(node.connector.stats())
    for name in ("refused", "device_refused", "provider_logouts_refused", "not_saved"):
        found[name] = {reason: n for reason, n in found[name].items() if n}
    return {name: number for name, number in found.items() if number}


def test_all_names_are_there_from_the_start() -> None:
    zeros: dict[str, Any] = dict.fromkeys(COUNTED, 0)
    assert Stats().as_dict() == zeros | {
        "refused": dict.fromkeys((reason.value for reason in Reason), 0),
        "device_refused": dict.fromkeys((reason.value for reason in DeviceReason), 0),
        "provider_logouts_refused": dict.fromkeys((reason.value for reason in LogoutReason), 0),
        "not_saved": dict.fromkeys(NOT_SAVED.values(), 0),
    }


def test_looking_changes_nothing() -> None:
    stats = Stats()
    stats.count("read")
    assert stats.as_dict() == stats.as_dict() == stats.as_dict()


def test_many_threads_lose_none() -> None:
    stats = Stats()

    def work() -> None:
        for _ in range(2_000):
            stats.count("read")
            stats.count_refused(Reason.EXPIRED)
            if _ % 100 == 0:
                stats.as_dict()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = stats.as_dict()
    assert found["read"] == 8_000
    assert found["refused"]["expired"] == 8_000  # type: ignore[index,call-overload]  # a dict there


def test_a_session_from_first_to_last(node: Node) -> None:
    token = node.start(a=1)
    node.read(token)
    node.connector.update_session(token, {"b": 2})
    node.connector.delete_session(token)
    node.read(token)
    node.read("no token at all")
    found = counted(node)
    assert found["issued"] == 2
    assert found["read"] == 1
    assert found["revoked"] == 1
    assert found["refused"] == {"ended": 1, "malformed": 1}


def test_each_reason(make_node, revocations: SwitchableList, clock: Clock) -> None:
    node = make_node(revocations, cookie_age=10 * DAY, absolute_age=10 * DAY)
    foreign = make_node(revocations, audience="another application")
    node.read(foreign.start(a=1))
    expiring = session_token(node.connector, {"a": 1}, expiry=1)
    superseded = node.start(a=1)
    node.request(superseded).supersede()
    subject, everything = node.start(user=1), node.start(user=2)
    node.connector.delete_subject(1)
    clock.tick(1)
    node.read(expiring)
    node.read(superseded)
    node.read(subject)
    node.connector.clear_all_sessions()
    node.read(everything)
    assert counted(node)["refused"] == {
        "no key": 1,
        "expired": 1,
        "superseded": 1,
        "subject revoked": 1,
        "all revoked": 1,
    }


def test_too_old_is_a_reason_of_its_own(make_node, revocations, clock: Clock) -> None:
    token = make_node(revocations, cookie_age=9 * DAY).start(a=1)
    shorter = make_node(revocations, absolute_age=2 * DAY)
    clock.tick(3 * DAY)
    assert shorter.read(token) is None
    assert counted(shorter)["refused"] == {"too old": 1}


def test_reissued_and_unreachable(node: Node, revocations: SwitchableList, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(5 * DAY)
    session = node.request(token)
    session.get("a")
    session.save()
    assert counted(node)["reissued"] == 1
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        node.read(token)
    assert counted(node)["unreachable"] == 1


def test_a_response_whose_session_is_not_saved_is_counted_by_its_reason(
    node: Node, clock: Clock
) -> None:
    def respond(change: Callable[[SessionStore], object], token: str | None = None) -> None:
        session = node.request(token)
        change(session)
        assert session_headers(session) == LOOKED_AT

    def end_meanwhile(session: SessionStore) -> None:
        session["a"] = 2
        node.connector.delete_session(session.session_key)

    def expire_meanwhile(session: SessionStore) -> None:
        session["a"] = 2
        clock.tick(8 * DAY)

    respond(lambda session: session.update(a="x" * 5_000))
    respond(lambda session: session.update(a=object()))
    respond(lambda session: session.update(user=1.5))
    respond(end_meanwhile, node.start(a=1))
    respond(expire_meanwhile, node.start(a=1))
    assert counted(node)["not_saved"] == {
        "too large": 1,
        "not serializable": 1,
        "wrong argument": 1,
        "revoked": 1,
        "expired": 1,
    }


def test_a_response_that_is_not_saved_in_debug_mode_is_counted_and_raised(node: Node) -> None:
    session = node.request()
    session._request.debug = True
    session["a"] = object()
    with pytest.raises(SessionSerializationError, match=r"session\['a'\]"):
        session_headers(session)
    assert counted(node)["not_saved"] == {"not serializable": 1}
