from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionStorageConnector,
    SessionStore,
    session_headers,
)
from duck_cookie_session._cookie import find_cookie, merge_vary, set_cookie
from duck_cookie_session.testing import read_session, session_token
from tests.helpers import (
    DAY,
    LOOKED_AT,
    Clock,
    NetworkList,
    Node,
    SwitchableList,
    make_settings,
    sent_cookie,
)

# Found in a request.


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("id=a", "a"),
        ("id=a; other=b", "a"),
        ("other=b; id=a", "a"),
        ("other=b;id=a", "a"),
        ("other=b;\tid=a ", "a"),
        ("  id=a", "a"),
        ("id=", ""),
        ("id=first; id=second", "first"),
        ("xid=b; id=a", "a"),
        ("id2=b; id=a", "a"),
        ("other=id=b; id=a", "a"),
        ("other=b id=c; id=a", "a"),
        ('id="a"', '"a"'),
        ("id=a=b", "a=b"),
        ("ID=a", None),
        ("id", None),
        ("id =a", None),
        ("", None),
        ("other=b", None),
        ("xid=a", None),
        ("other=id=a", None),
    ],
)
def test_find_cookie(header: str, value: str | None) -> None:
    assert find_cookie(header, "id") == value
    found = find_cookie(header.encode(), b"id")
    assert found == (None if value is None else value.encode())


pieces = st.sampled_from(["id", "x", "=", ";", " ", "\t", "id=", "; id=", "v"])


@given(st.lists(pieces, max_size=12).map("".join))
def test_find_cookie_is_what_splitting_gives(header: str) -> None:
    pairs = (part.strip(" \t").partition("=") for part in header.split(";"))
    expected = [value.strip(" \t") for name, equals, value in pairs if name == "id" and equals]
    assert find_cookie(header, "id") == (expected[0] if expected else None)


def test_time_grows_with_the_length_of_the_header_only() -> None:
    """64 kB that look like the cookie all over take moments, not seconds."""
    for hostile in ("id=" * 20_000, " id=" * 15_000, "x" + " " * 60_000 + "id=", "=id;" * 15_000):
        started = time.perf_counter()
        find_cookie(hostile, "id")
        assert time.perf_counter() - started < 0.5


# Set in a response.


@pytest.mark.parametrize(
    ("changed", "max_age", "cookie"),
    [
        ({}, 60, "session_id=T; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax"),
        ({}, None, "session_id=T; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            {"cookie_name": "id", "cookie_path": "/app", "cookie_domain": "example.org"},
            60,
            "id=T; Path=/app; Max-Age=60; Domain=example.org; Secure; HttpOnly; SameSite=Lax",
        ),
        (
            {"cookie_secure": False, "cookie_httponly": False, "cookie_samesite": None},
            60,
            "session_id=T; Path=/; Max-Age=60",
        ),
        (
            {"cookie_samesite": "None", "cookie_partitioned": True},
            60,
            "session_id=T; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
    ],
)
def test_set_cookie(changed: dict[str, Any], max_age: int | None, cookie: str) -> None:
    assert set_cookie(make_settings(**changed), "T", max_age) == cookie


def test_a_deleting_cookie_has_the_attributes_of_the_one_it_deletes() -> None:
    settings = make_settings(cookie_path="/app", cookie_domain="example.org")
    assert set_cookie(settings, "", 60) == (
        "session_id=; Path=/app; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; "
        "Domain=example.org; Secure; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        (None, "Cookie"),
        ("", "Cookie"),
        (" , ", "Cookie"),
        ("Accept", "Accept, Cookie"),
        ("Accept,Origin", "Accept, Origin, Cookie"),
        ("Accept, cookie", "Accept, cookie"),
        ("*", "*"),
        ("X-Cookie", "X-Cookie, Cookie"),
    ],
)
def test_merge_vary(existing: str | None, merged: str) -> None:
    assert merge_vary(existing) == merged


# What a response must carry.


def test_nothing_where_nobody_looked(node: Node) -> None:
    assert session_headers(node.request()) == []
    session = node.request(node.start(a=1))
    assert session_headers(session) == []
    assert not session.loaded


def test_a_look_varies_and_nothing_else(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.get("a")
    assert session_headers(session) == LOOKED_AT
    headers = session_headers(session, vary="Accept", cache_control="public, max-age=60")
    assert headers == [("Vary", "Accept, Cookie")]


def test_a_visitor_who_is_only_looked_at_gets_no_cookie(node: Node) -> None:
    session = node.request()
    session.get("a")
    assert session_headers(session) == LOOKED_AT


def test_a_write_sends_the_token_and_no_store(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    headers = dict(session_headers(session))
    assert headers["Cache-Control"] == "no-store"
    assert headers["Vary"] == "Cookie"
    assert headers["Set-Cookie"].startswith(f"session_id={session.session_key}; Path=/; ")
    assert "Max-Age=604800;" in headers["Set-Cookie"]
    assert read_session(node.connector, headers) == {"a": 1}


def test_max_age_is_what_is_left_rounded_up(node: Node, clock: Clock) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(60.2)
    assert "Max-Age=61;" in dict(session_headers(session))["Set-Cookie"]


def test_expired_at_once_is_max_age_zero(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(0)
    assert "Max-Age=0;" in dict(session_headers(session))["Set-Cookie"]


def test_browser_length_has_no_max_age(make_node: Any, revocations: Any) -> None:
    node = make_node(revocations, expire_at_browser_close=True)
    session = node.request()
    session["a"] = 1
    cookie = dict(session_headers(session))["Set-Cookie"]
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie


def test_asked_twice_gives_the_same(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    assert session_headers(session) == session_headers(session)


def test_a_logout_deletes_the_cookie(node: Node) -> None:
    session = node.request(node.start(user=1))
    session.clear()
    headers = session_headers(session)
    assert sent_cookie(headers) == ""
    assert ("Cache-Control", "no-store") in headers
    assert "Max-Age=0" in dict(headers)["Set-Cookie"]


def test_a_refused_token_deletes_no_cookie(node: Node, clock: Clock) -> None:
    expired = session_token(node.connector, {"a": 1}, expiry=1)
    revoked = node.start(a=1)
    node.connector.delete_session(revoked)
    clock.tick(3600)
    for token in (expired, revoked, "forged", node.start(a=1)[:-1]):
        session = node.request(token)
        assert session == {}
        session.clear()
        session.flush()
        session.delete()
        assert session_headers(session) == LOOKED_AT


def test_re_issued_past_half_of_its_life(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    for days, renewed in ((3.4, False), (3.6, True)):
        clock.now += days * DAY
        session = node.request(token)
        session.get("a")
        assert (sent_cookie(session_headers(session)) is not None) == renewed
        clock.now -= days * DAY


# Requests that fail.


def test_a_failed_request_saves_nothing(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session["a"] = 2
    assert session_headers(session, failed=True) == LOOKED_AT
    assert node.read(token) == {"a": 1}
    new = node.request()
    new["a"] = 1
    assert session_headers(new, failed=True) == LOOKED_AT


def test_a_failed_request_logs_out_all_the_same(node: Node) -> None:
    token = node.start(user=1)
    session = node.request(token)
    session.clear()
    session["a"] = 1
    assert sent_cookie(session_headers(session, failed=True)) == ""
    assert node.read(token) is None


def test_a_failed_request_that_superseded_gets_its_data_as_loaded(node: Node) -> None:
    token = node.start(credit=5)
    session = node.request(token)
    session.supersede()
    session["credit"] = 0
    new = sent_cookie(session_headers(session, failed=True))
    assert node.read(token) is None
    assert node.read(new) == {"credit": 5}


def test_a_failed_request_keeps_the_session_beside_a_password_change(node: Node) -> None:
    mine, elsewhere = node.start(user=1), node.start(user=1)
    session = node.request(mine)
    session.delete_other_sessions()
    new = sent_cookie(session_headers(session, failed=True))
    assert node.read(elsewhere) is None
    assert node.read(new) == {"user": 1}


def test_a_list_that_fails_between_the_two_steps_of_a_password_change(
    clock: Clock, make_node
) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations)
    mine, elsewhere = node.start(user=1), node.start(user=1)
    session = node.request(mine)
    revocations.fails_after_raise = True
    with pytest.raises(RevocationListUnavailable):
        session.delete_other_sessions()
    sent = sent_cookie(session_headers(session, failed=True))
    revocations.fails_after_raise = revocations.down = False
    assert node.read(sent) == {"user": 1}
    session = node.request(sent)
    session.delete_other_sessions()
    assert node.read(elsewhere) is None


def test_nobody_looked_and_it_failed(node: Node) -> None:
    assert session_headers(node.request(node.start(a=1)), failed=True) == []


# Saves that fail: the response goes out, the browser keeps its cookie.


def test_too_large_is_logged_with_its_heaviest_keys(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session["large"] = os.urandom(4000)
    with caplog.at_level(logging.ERROR):
        assert session_headers(session) == LOOKED_AT
    assert "'large': 40" in caplog.text
    assert node.read(token) == {"a": 1}


@pytest.mark.parametrize("wrong", [object(), {"nested": [object()]}])
def test_what_can_not_be_stored_is_logged(
    node: Node, caplog: pytest.LogCaptureFixture, wrong: object
) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session["wrong"] = wrong
    with caplog.at_level(logging.ERROR):
        assert session_headers(session) == LOOKED_AT
    assert "session['wrong']" in caplog.text
    assert node.read(token) == {"a": 1}


def test_a_wrong_subject_is_logged_without_it(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    session = node.request()
    session["user"] = ["anna"]
    with caplog.at_level(logging.ERROR):
        assert session_headers(session) == LOOKED_AT
    assert "A subject is of type list" in caplog.text
    assert "anna" not in caplog.text


def test_revoked_meanwhile_is_no_error_and_no_cookie(
    node: Node, other: Node, caplog: pytest.LogCaptureFixture
) -> None:
    token = node.start(user=1)
    session = node.request(token)
    session["a"] = 1
    other.connector.delete_session(token)
    with caplog.at_level(logging.INFO):
        assert session_headers(session) == LOOKED_AT
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "Session not saved" in caplog.text


def test_what_was_saved_before_the_revocation_does_not_go_out(node: Node, other: Node) -> None:
    session = node.request(node.start())
    session["a"] = 1
    session.save()
    other.connector.delete_session(session.session_key)
    session["a"] = 2
    assert session_headers(session) == LOOKED_AT


def test_of_two_saves_of_a_login_at_once_the_one_that_counts_goes_out(clock: Clock) -> None:
    connector = SessionStorageConnector(
        lambda: NetworkList(clock), settings=make_settings(), clock=clock
    )
    session = SessionStore(session_token(connector, {"a": 1}), connector=connector)

    async def log_in() -> list[BaseException | None]:
        await session.aload()
        session["user"] = 1
        both = (session.async_save(), session.async_save())
        return list(await asyncio.gather(*both, return_exceptions=True))

    assert sorted(map(repr, asyncio.run(log_in())))[0] == "None"
    token = sent_cookie(session_headers(session))
    assert connector.get_session(token) == {"a": 1, "user": 1}
    connector.close()


def test_expired_meanwhile_is_no_error_and_no_cookie(node: Node, clock: Clock) -> None:
    session = node.request(session_token(node.connector, {"a": 1}, expiry=60))
    session["a"] = 2
    clock.tick(60)
    assert session_headers(session) == LOOKED_AT


# The list does not answer.


def test_unreachable_is_raised_before_any_header(node: Node, revocations: SwitchableList) -> None:
    session = node.request(node.start(a=1))
    session["a"] = 2
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        session_headers(session)
    assert session._request.list_failed
    assert session.modified


def test_a_read_only_request_does_not_fail_for_a_re_issue(
    node: Node, revocations: SwitchableList, clock: Clock
) -> None:
    token = node.start(a=1)
    clock.tick(5 * DAY)
    session = node.request(token)
    session.get("a")
    revocations.down = True
    assert session_headers(session) == LOOKED_AT


def test_a_request_that_failed_for_the_list_is_a_503(
    node: Node, revocations: SwitchableList
) -> None:
    session = node.request(node.start(a=1))
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        session.get("a")
    with pytest.raises(RevocationListUnavailable):
        session_headers(session, failed=True)


@pytest.mark.parametrize("beside", ["x" * 5_000, object()], ids=["too large", "no such type"])
@pytest.mark.parametrize("act", ["", "supersede", "delete_other_sessions"])
def test_a_logout_counts_though_what_was_written_beside_it_cannot_be_saved(
    two_nodes: tuple[Node, Node], beside: object, act: str
) -> None:
    node, other = two_nodes
    token = node.start(user="alice", n=1)
    session = node.request(token)
    if act:
        getattr(session, act)()
    del session["user"]
    session["message"] = beside
    assert sent_cookie(session_headers(session)) == ""
    assert other.read(token) is None


@pytest.mark.parametrize("act", ["supersede", "delete_other_sessions"])
def test_a_logout_counts_though_the_session_lives_on_under_a_newer_token(
    two_nodes: tuple[Node, Node], act: str
) -> None:
    node, other = two_nodes
    token = node.start(user="alice")
    session, faster = node.request(token), other.request(token)
    del session["user"]
    getattr(faster, act)()
    new = sent_cookie(session_headers(faster))
    assert node.read(new) == {"user": "alice"}
    assert sent_cookie(session_headers(session)) is None  # a login beside it keeps its cookie
    assert other.read(new) is None


def test_a_user_whose_save_fails_stays_logged_in(node: Node) -> None:
    token = node.start(user="alice", n=1)
    session = node.request(token)
    session["message"] = "x" * 5_000
    assert sent_cookie(session_headers(session)) is None
    assert node.read(token) == {"user": "alice", "n": 1}
