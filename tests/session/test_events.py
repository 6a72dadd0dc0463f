"""What an application is told of its sessions."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import (
    EventKind,
    InvalidSettings,
    MemoryRevocationList,
    RevocationListUnavailable,
    SessionEvent,
    SessionStorageConnector,
    SessionStore,
    SQLiteRevocationList,
    session_headers,
)
from duck_cookie_session.errors import Reason
from tests.helpers import DAY, Clock, NetworkList, Node, SwitchableList, make_settings

MakeNode = Callable[..., Node]
told: list[SessionEvent] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    told.clear()


@pytest.fixture
def node(make_node: MakeNode, clock: Clock) -> Node:
    return make_node(MemoryRevocationList(clock), on_event=told.append, group_keys=("tenant",))


def kinds() -> list[EventKind]:
    return [event.kind for event in told]


def test_a_visitor_who_logs_in_and_out(node: Node, clock: Clock) -> None:
    token = node.start(cart=[1])
    session = node.request(token)
    visitor = session.session_id
    session["n"] = 1
    session.save()
    session["user"] = "anna"
    session.save()
    session = node.request(session.session_key)
    user = session.session_id
    session.clear()
    now = datetime.fromtimestamp(clock(), UTC)
    assert kinds() == [
        EventKind.BEGUN,
        EventKind.SAVED,
        EventKind.ENDED,
        EventKind.LOGIN,
        EventKind.ENDED,
    ]
    begun, saved, moved, login, ended = told
    assert (begun.session_id, begun.subject, begun.previous_id) == (visitor, None, None)
    assert saved.session_id == moved.session_id == visitor
    assert (login.session_id, login.previous_id, login.subject) == (user, visitor, "anna")
    assert (login.created, login.time) == (now, now)
    assert login.expires is not None
    assert (login.expires - now).total_seconds() == 7 * DAY
    assert ended.session_id == user


def test_a_login_without_a_session_before(node: Node) -> None:
    node.start(user="anna")
    assert [(event.kind, event.previous_id) for event in told] == [(EventKind.LOGIN, None)]


def test_another_id_under_the_same_subject(node: Node) -> None:
    session = node.request(node.start(user="anna"))
    before = session.session_id
    session.cycle_key()
    session.save()
    assert kinds()[1:] == [EventKind.ENDED, EventKind.BEGUN]
    assert told[-1].previous_id == before


def test_revocations_name_their_scope(node: Node) -> None:
    session = node.request(node.start(user="anna", tenant="acme"))
    told.clear()
    session.supersede()
    session.delete_other_sessions()
    node.connector.delete_subject("bert")
    node.connector.delete_group("tenant", "acme")
    node.connector.clear_all_sessions()
    assert {event.kind for event in told} == {EventKind.REVOKED}
    assert [(event.scope, event.subject) for event in told] == [
        ("session", "anna"),
        ("subject", "anna"),
        ("subject", "bert"),
        ("group", None),
        ("everything", None),
    ]
    assert told[0].session_id == session.session_id


ACTS: dict[str, tuple[Callable[[Node, SessionStore], Any], Callable[..., Any], list[EventKind]]] = {
    "save": (
        lambda node, session: (session.update(n=1), session.save()),
        lambda node, session: (session.update(n=1), session.async_save())[1],
        [EventKind.SAVED],
    ),
    "logout": (
        lambda node, session: session.clear(),
        lambda node, session: session.aclear(),
        [EventKind.ENDED],
    ),
    "logout of another": (
        lambda node, session: session.delete(node.connector.generate_session_id()),
        lambda node, session: session.adelete(node.connector.generate_session_id()),
        [EventKind.ENDED],
    ),
    "supersede": (
        lambda node, session: session.supersede(),
        lambda node, session: session.asupersede(),
        [EventKind.REVOKED],
    ),
    "delete_other_sessions": (
        lambda node, session: session.delete_other_sessions(),
        lambda node, session: session.adelete_other_sessions(),
        [EventKind.REVOKED],
    ),
    "another group": (
        lambda node, session: (session.update(tenant="zeta"), session.save()),
        lambda node, session: (session.update(tenant="zeta"), session.async_save())[1],
        [EventKind.REVOKED, EventKind.SAVED],
    ),
    "login as another": (
        lambda node, session: (session.update(user="bert"), session.save()),
        lambda node, session: (session.update(user="bert"), session.async_save())[1],
        [EventKind.ENDED, EventKind.LOGIN],
    ),
    "delete_session": (
        lambda node, session: node.connector.delete_session(session.session_id),
        lambda node, session: node.connector.adelete_session(session.session_id),
        [EventKind.ENDED],
    ),
    "delete_subject": (
        lambda node, session: node.connector.delete_subject("anna"),
        lambda node, session: node.connector.adelete_subject("anna"),
        [EventKind.REVOKED],
    ),
    "delete_group": (
        lambda node, session: node.connector.delete_group("tenant", "acme"),
        lambda node, session: node.connector.adelete_group("tenant", "acme"),
        [EventKind.REVOKED],
    ),
    "end_group": (
        lambda node, session: node.connector.end_group("tenant", "acme"),
        lambda node, session: node.connector.aend_group("tenant", "acme"),
        [EventKind.REVOKED],
    ),
    "clear_all_sessions": (
        lambda node, session: node.connector.clear_all_sessions(),
        lambda node, session: node.connector.aclear_all_sessions(),
        [EventKind.REVOKED],
    ),
    "refused": (
        lambda node, session: node.request("no token").load(),
        lambda node, session: node.request("no token").aload(),
        [EventKind.REFUSED],
    ),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("awaited", [False, True])
def test_each_is_told_once_when_it_is_done_by_whoever_did_it(
    make_node: MakeNode, clock: Clock, act: str, awaited: bool
) -> None:
    """Awaited over a list that every question takes to another thread."""
    revocations = NetworkList(clock)
    where: list[object] = []

    def on_event(event: SessionEvent) -> None:
        told.append(event)
        task = asyncio.current_task() if asyncio._get_running_loop() else None
        where.append((threading.get_ident(), task))

    node = make_node(revocations, on_event=on_event, group_keys=("tenant",))
    session = node.request(node.start(user="anna", tenant="acme"))
    assert session["user"] == "anna"
    plain, twin, expected = ACTS[act]
    told.clear()
    where.clear()
    if awaited:

        async def main() -> object:
            await twin(node, session)
            return threading.get_ident(), asyncio.current_task()

        here = asyncio.run(main())
    else:
        plain(node, session)
        here = threading.get_ident(), None
    assert kinds() == expected
    assert set(where) == {here}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("awaited", [False, True])
def test_an_exception_in_it_harms_none_of_them(
    make_node: MakeNode, clock: Clock, caplog: pytest.LogCaptureFixture, act: str, awaited: bool
) -> None:
    def fails(event: SessionEvent) -> None:
        told.append(event)
        raise RuntimeError("the audit log is full")

    node = make_node(NetworkList(clock), on_event=fails, group_keys=("tenant",))
    session = node.request(node.start(user="anna", tenant="acme"))
    assert session["user"] == "anna"
    plain, twin, expected = ACTS[act]
    told.clear()
    caplog.clear()
    if awaited:

        async def main() -> None:
            await twin(node, session)

        asyncio.run(main())
    else:
        plain(node, session)
    assert kinds() == expected
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert logged == [f"on_event failed for a session event ({kind.value})" for kind in expected]


@pytest.mark.parametrize("act", sorted(ACTS.keys() - {"refused"}))
def test_what_the_list_did_not_do_is_not_told(make_node: MakeNode, clock: Clock, act: str) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations, on_event=told.append, group_keys=("tenant",))
    session = node.request(node.start(user="anna", tenant="acme"))
    assert session["user"] == "anna"
    told.clear()
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        ACTS[act][0](node, session)
    assert told == []


def test_a_logout_that_comes_after_another_is_not_told_as_one(node: Node) -> None:
    token = node.start(user="anna")
    sessions = [node.request(token), node.request(token)]
    for session in sessions:
        del session["user"]
        session["said"] = "good-bye"
    for session in sessions:
        session_headers(session)
    assert kinds() == [
        *(EventKind.LOGIN, EventKind.ENDED, EventKind.BEGUN),
        EventKind.REFUSED,
    ]


def test_a_list_that_went_back_in_time_is_told_once(
    make_node: MakeNode, clock: Clock, tmp_path: Path
) -> None:
    node = make_node(SQLiteRevocationList(tmp_path, clock=clock), on_event=told.append)
    node.connector.delete_subject("bert")
    node.connector.close()
    file = tmp_path / "revocations.sqlite3"
    copy = file.read_bytes()
    node = make_node(SQLiteRevocationList(tmp_path, clock=clock), on_event=told.append)
    node.connector.delete_subject("bert")
    tokens = [node.start(user=n) for n in range(3)]
    node.connector.close()
    for other in tmp_path.iterdir():
        other.unlink()
    file.write_bytes(copy)
    node = make_node(SQLiteRevocationList(tmp_path, clock=clock), on_event=told.append)
    told.clear()
    assert [node.read(token) for token in tokens] == [None] * 3
    assert kinds() == [
        EventKind.ROLLED_BACK,
        EventKind.REFUSED,
        EventKind.REFUSED,
        EventKind.REFUSED,
    ]
    assert [event.reason for event in told[1:]] == [Reason.FORGOTTEN] + [Reason.ALL_REVOKED] * 2


@pytest.mark.parametrize("act", ACTS)
def test_without_a_callable_nothing_of_it_runs(make_node: MakeNode, clock: Clock, act: str) -> None:
    node = make_node(NetworkList(clock), group_keys=("tenant",))
    session = node.request(node.start(user="anna", tenant="acme"))
    assert session["user"] == "anna"
    ran: set[str] = set()
    sys.setprofile(lambda frame, event, argument: ran.add(frame.f_code.co_filename))
    try:
        ACTS[act][0](node, session)
    finally:
        sys.setprofile(None)
    files = {Path(name).name for name in ran}
    assert files & {"connector.py", "store.py"}
    assert "events.py" not in files


def test_refusals_name_their_reason(node: Node) -> None:
    session = node.request(node.start(user="anna"))
    token, session_id = session.session_key, session.session_id
    session.clear()
    node.read(token)
    node.read("no token")
    assert [(event.reason, event.session_id) for event in told[2:]] == [
        (Reason.ENDED, session_id),
        (Reason.MALFORMED, None),
    ]


def test_an_exception_is_logged_and_harms_nothing(
    make_node: MakeNode, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(event: SessionEvent) -> None:
        raise RuntimeError("the audit log is full")

    node = make_node(MemoryRevocationList(clock), on_event=fails)
    with caplog.at_level(logging.ERROR):
        assert node.read(node.start(user=1)) == {"user": 1}
    assert "on_event failed for a session event (login)" in caplog.text


def test_no_token_and_no_data_in_an_event(node: Node) -> None:
    session = node.request(node.start(user="anna", secret="hidden-value"))
    session.save()
    shown = repr(told)
    assert "hidden-value" not in shown
    assert str(session.session_key) not in shown


def test_given_to_the_connector_it_counts_before_the_setting(clock: Clock) -> None:
    mine: list[SessionEvent] = []
    revocations = MemoryRevocationList(clock)
    connector = SessionStorageConnector(
        lambda: revocations, settings=make_settings(on_event=told.append), on_event=mine.append
    )
    try:
        connector.set_session(None, {"n": 1})
    finally:
        connector.close()
    assert (len(mine), len(told)) == (1, 0)


def test_named_by_its_path(make_node: MakeNode, clock: Clock) -> None:
    assert make_settings(on_event="builtins.print").on_event is print


async def _awaitable(event: SessionEvent) -> None:
    raise AssertionError("nobody awaits it")


class _AwaitableObject:
    async def __call__(self, event: SessionEvent) -> None:
        raise AssertionError("nobody awaits it")


WRONG = (
    *("no.such.module", "builtins.no_such_name", "print", ".print", "..", "a." * 500 + "a"),
    *(7, _awaitable, _AwaitableObject()),
)


def _short(value: Any) -> str | None:
    return value[:30] if isinstance(value, str) else None


@pytest.mark.parametrize("wrong", WRONG, ids=_short)
def test_what_nobody_could_call_is_refused(clock: Clock, wrong: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"on_event \(SESSION_ON_EVENT\)"):
        make_settings(on_event=wrong)
    with pytest.raises(InvalidSettings, match=r"on_event \(SESSION_ON_EVENT\)"):
        SessionStorageConnector(
            lambda: MemoryRevocationList(clock), settings=make_settings(), on_event=wrong
        )


class _Told(list[SessionEvent]):
    def __call__(self, event: SessionEvent) -> None:
        self.append(event)


def test_a_callable_that_is_false_is_called(make_node: MakeNode, clock: Clock) -> None:
    own = _Told()
    make_node(MemoryRevocationList(clock), on_event=own).start(n=1)
    assert len(own) == 1


@pytest.mark.parametrize("field", ["kind", "time", "session_id"])
def test_events_are_frozen(node: Node, field: str) -> None:
    node.start(n=1)
    with pytest.raises(AttributeError):
        setattr(told[0], field, None)
