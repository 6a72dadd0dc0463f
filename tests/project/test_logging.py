"""The logger `duck_cookie_session`: every refusal with its reason, and nothing that is secret."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionRevoked,
    SessionTooLarge,
    session_headers,
)
from duck_cookie_session.testing import session_token
from tests.helpers import DAY, LOOKED_AT, SECRET, Clock, Node, SwitchableList

USER = "alice@example.org"
VALUE = "the-value-of-the-session"
INJECTED = "x\r\n2026-01-01 ERROR forged line\x1b[2J\u2028"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What the library logs; at the end nothing of it may show a secret or break its line."""
    caplog.set_level(logging.DEBUG, "duck_cookie_session")
    yield caplog
    for record in caplog.get_records("call"):
        assert record.name == "duck_cookie_session"
        text = record.getMessage()
        assert text.isprintable()
        for hidden in (SECRET, USER, VALUE, "forged", "gAAAA"):
            assert hidden not in text


def test_an_error_report_with_local_variables_shows_no_data(node: Node) -> None:
    token = session_token(node.connector, {"user": USER, "value": VALUE})
    session = node.request(token)
    session["value"] = VALUE * 200
    with pytest.raises(SessionTooLarge) as caught:
        session.save()
    seen = set()
    for frame, _ in traceback.walk_tb(caught.tb.tb_next):
        for name, value in frame.f_locals.items():
            seen.add(name)
            assert not any(hidden in repr(value) for hidden in (USER, VALUE, token)), name
    assert {"base", "claims", "data", "plan", "request", "rules", "self"} <= seen


def test_nor_one_of_an_outage(make_node: Callable[..., Node], clock: Clock) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations)
    token = session_token(node.connector, {"user": USER, "value": VALUE})
    revocations.down = True

    async def awaited() -> None:
        await node.request(token).aload()

    for read in (
        lambda: node.request(token).get("value"),
        lambda: node.request(token).session_id,
        lambda: asyncio.run(awaited()),
    ):
        with pytest.raises(RevocationListUnavailable) as caught:
            read()
        for frame, _ in traceback.walk_tb(caught.tb):
            if frame.f_code.co_filename == __file__:
                continue
            for name, value in frame.f_locals.items():
                shown = repr(value)
                assert not any(hidden in shown for hidden in (USER, VALUE, token)), name


def messages(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.levelno == logging.INFO]


def start(node: Node) -> str:
    return node.start(user=USER, key=VALUE)


def refusals(node: Node, clock: Clock, foreign: Node) -> Iterator[tuple[str, str]]:
    """Every reason, and a token that is refused for it by then."""
    yield "malformed", "gAAAAA="
    yield "malformed", INJECTED
    yield "no key", start(foreign)
    token = start(node)
    node.connector.delete_session(token)
    yield "ended", token
    token = start(node)
    node.request(token).supersede()
    yield "superseded", token
    token = start(node)
    node.connector.delete_subject(USER)
    yield "subject revoked", token
    token = start(node)
    node.connector.clear_all_sessions()
    yield "all revoked", token
    token = session_token(node.connector, {"user": USER}, expiry=60)
    clock.tick(61)
    yield "expired", token


def test_each_refusal_is_logged_once_with_its_reason_and_no_full_id(
    node: Node,
    make_node: Callable[..., Node],
    revocations: SwitchableList,
    clock: Clock,
    log: pytest.LogCaptureFixture,
) -> None:
    for reason, token in refusals(node, clock, make_node(revocations, audience="another")):
        session_id = node.request(token).session_id or ""
        log.clear()
        assert node.read(token) is None
        (message,) = messages(log)
        assert message.startswith(f"Session refused: {reason} (session id ")
        assert not session_id or session_id not in message


def test_too_old_is_logged(
    make_node: Callable[..., Node],
    revocations: SwitchableList,
    clock: Clock,
    log: pytest.LogCaptureFixture,
) -> None:
    node = make_node(revocations, cookie_age=9 * DAY)
    token = start(node)
    session_id = node.request(token).session_id or ""
    clock.tick(3 * DAY)
    assert make_node(revocations, absolute_age=2 * DAY).read(token) is None
    assert messages(log) == [f"Session refused: too old (session id {session_id[:6]}...)"]


def test_a_log_line_and_the_session_can_be_matched_by_the_start_of_the_id(
    node: Node, log: pytest.LogCaptureFixture
) -> None:
    token = start(node)
    session_id = node.request(token).session_id or ""
    node.connector.delete_session(token)
    node.read(token)
    assert messages(log) == [f"Session refused: ended (session id {session_id[:6]}...)"]


def test_a_save_that_is_refused_is_logged_like_a_read(
    node: Node, log: pytest.LogCaptureFixture
) -> None:
    token = start(node)
    late, winner = node.request(token), node.request(token)
    late["key"] = VALUE
    winner.supersede()
    with pytest.raises(SessionRevoked):
        late.save()
    assert len(messages(log)) == 1
    assert messages(log)[0].startswith("Session refused: superseded (session id ")


def test_of_a_session_that_is_too_large_the_keys_are_logged_and_no_value(
    node: Node, log: pytest.LogCaptureFixture
) -> None:
    session = node.request()
    session["cart"] = VALUE * 300
    session["key\r\nof two lines"] = 1
    assert session_headers(session) == LOOKED_AT
    (record,) = [record for record in log.records if record.levelno == logging.ERROR]
    assert "'cart': 72" in record.getMessage()
    with pytest.raises(SessionTooLarge):
        session.save()


def test_hostile_text_never_reaches_the_log(node: Node, log: pytest.LogCaptureFixture) -> None:
    for text in (INJECTED, INJECTED * 1000, "gAAAA" + INJECTED, "%s%n%d{0}", "\ud800", "\0"):
        assert node.read(text) is None
        node.connector.delete_session(text)
        session = node.request(text)
        session.get("a")
        session_headers(session)
    assert set(messages(log)) == {"Session refused: malformed (session id unknown)"}


def test_an_unreachable_list_is_warned_of_once_a_second(
    make_node: Callable[..., Node],
    revocations: SwitchableList,
    clock: Clock,
    log: pytest.LogCaptureFixture,
) -> None:
    node = make_node(revocations, on_unreachable="accept")
    token = start(node)
    revocations.down = True
    log.clear()
    for _ in range(5):
        assert node.read(token) is not None
    clock.tick(1)
    assert node.read(token) is not None
    assert [record.levelname for record in log.records] == ["WARNING", "WARNING"]


def test_an_unreachable_list_is_an_error_by_default(
    node: Node, revocations: SwitchableList, log: pytest.LogCaptureFixture
) -> None:
    token = start(node)
    revocations.down = True
    with pytest.raises(RevocationListUnavailable) as caught:
        node.read(token)
    assert token not in str(caught.value)
