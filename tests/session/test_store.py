"""SessionStore as an application and Duck use it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from duck_cookie_session import (
    InvalidArgument,
    RevocationList,
    RevocationListUnavailable,
    SessionError,
    SessionRevoked,
    SessionSerializationError,
    SessionStore,
    SessionTooLarge,
    asession_headers,
    session_headers,
)
from tests.helpers import (
    DAY,
    LOOKED_AT,
    START,
    Clock,
    NetworkList,
    Node,
    SwitchableList,
    sent_cookie,
)

MakeNode = Callable[..., Node]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


# Built for every request, touched by few.


@pytest.mark.parametrize("key", [None, "", "a cookie", 5, b"bytes", object()])
def test_building_never_raises_and_touches_nothing(key: Any) -> None:
    session = SessionStore(key, disable_warnings=True)
    assert not session.loaded
    assert not session.accessed
    assert not session.modified
    assert not session.needs_update()
    assert repr(session) == "<SessionStore not loaded>"


def test_an_untouched_session_is_never_decrypted(node: Node, revocations: SwitchableList) -> None:
    token = node.start(a=1)
    before, asked = node.connector.stats(), len(revocations.asked)
    session = node.request(token)
    assert session_headers(session) == []
    assert node.connector.stats() == before
    assert len(revocations.asked) == asked


def test_a_key_may_be_found_by_a_function(node: Node) -> None:
    token = node.start(a=1)
    called = []

    def find() -> str:
        called.append(1)
        return token

    session = SessionStore(find, connector=node.connector)  # type: ignore[arg-type]  # for adapters
    assert not called
    assert session["a"] == 1
    assert session.session_key == token
    assert called == [1]


# Load.


def test_load_gives_a_plain_dict_each_time(node: Node) -> None:
    session = node.request(node.start(a=1), disable_warnings=True)
    loaded = session.load()
    assert type(loaded) is dict
    assert loaded == session.load() == {"a": 1}
    assert loaded is not session.load()
    assert session.loaded


def test_loading_again_warns_unless_told_not_to(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    token = node.start(a=1)
    caplog.clear()
    for disable in (True, False):
        session = node.request(token, disable_warnings=disable)
        session.load()
        session.load()
        warned = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert bool(warned) != disable


def test_writes_survive_loading_again(node: Node) -> None:
    session = node.request(node.start(a=1), disable_warnings=True)
    session["a"] = 2
    assert session.load() == {"a": 2}


# Save.


def test_save_gives_none_and_sets_the_key(node: Node, other: Node) -> None:
    session = node.request()
    session["a"] = 1
    assert session.created_at is None
    session_id = session.session_id
    assert session.save() is None  # type: ignore[func-returns-value]  # that is the test
    assert other.read(session.session_key) == {"a": 1}
    assert session.created_at == at(START)
    assert session.session_id == session_id
    session.save("ignored", "as Duck may give")


def test_save_again_and_again_keeps_the_id(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    session.save()
    session_id = session.session_id
    for number in range(3):
        session["a"] = number
        session.save()
        assert session.session_id == session_id
        assert node.read(session.session_key) == {"a": number}


def test_saving_by_hand_saves_what_was_not_changed(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    session = node.request(token)
    clock.tick(1)
    session.save()
    assert session.session_key != token
    assert node.read(session.session_key) == {"a": 1}


def test_a_value_and_none_again_is_no_session(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    del session["a"]
    assert not session.needs_update()
    assert sent_cookie(session_headers(session)) is None


def test_a_session_that_was_nobodys_and_is_emptied_costs_no_entry(node: Node) -> None:
    session = node.request(node.start(flash="saved"))
    del session["flash"]
    assert sent_cookie(session_headers(session)) == ""
    prefix = node.connector.rules.scopes.prefix
    assert node.revocations.survey(prefix).entries == 0


def test_a_users_session_that_is_emptied_is_ended(node: Node) -> None:
    token = node.start(user=1)
    session = node.request(token)
    del session["user"]
    assert sent_cookie(session_headers(session)) == ""
    assert node.read(token) is None


def test_without_a_subject_key_any_session_that_is_emptied_is_ended(
    make_node: MakeNode, revocations: RevocationList
) -> None:
    node = make_node(revocations, subject_key=None)
    token = node.start(a=1)
    session = node.request(token)
    session.pop("a")
    assert sent_cookie(session_headers(session)) == ""
    assert node.read(token) is None


def test_a_save_by_hand_keeps_an_empty_session(node: Node) -> None:
    session = node.request(node.start(a=1))
    del session["a"]
    session.save()
    assert node.read(session.session_key) == {}


# modified


def test_modified_forces_a_save(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.modified = True
    assert session.modified
    assert session.needs_update()
    session.save()
    assert not session.modified


def test_modified_false_takes_the_present_state_as_the_base(node: Node) -> None:
    session = node.request(node.start(a=1, b=[1]))
    session["a"] = 2
    session["b"].append(2)
    session.modified = False
    assert not session.modified
    assert not session.needs_update()
    session["b"].append(3)
    assert session.modified


def test_modified_false_on_what_can_not_be_stored(node: Node) -> None:
    session = node.request()
    session["a"] = object()
    with pytest.raises(SessionSerializationError):
        session.modified = False


def test_a_nested_value_that_can_not_be_stored_is_a_change(node: Node) -> None:
    session = node.request(node.start(a=[1]))
    session["a"].append(object())
    assert session.modified
    with pytest.raises(SessionSerializationError, match=r"session\['a'\]\[1\]"):
        session.save()


# Too large.


def test_too_large_leaves_everything_as_it_was(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session["big"] = os.urandom(4000)
    with pytest.raises(SessionTooLarge) as refused:
        session.save()
    assert refused.value.heaviest[0][0] == "'big'"
    assert session.session_key == token
    assert session._request.outgoing is None
    assert session.modified
    assert len(session["big"]) == 4000
    assert node.read(token) == {"a": 1}
    del session["big"]
    session.save()
    assert node.read(session.session_key) == {"a": 1}


def test_a_login_that_is_too_large_ends_nothing(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session.update(user=1, big=os.urandom(4000))
    with pytest.raises(SessionTooLarge):
        session.save()
    assert node.read(token) == {"a": 1}


# session_key


def test_another_key_unloads_an_unchanged_store(node: Node) -> None:
    first, second = node.start(a=1), node.start(b=2)
    session = node.request(first)
    assert session["a"] == 1
    session.session_key = second
    assert not session.loaded
    assert session == {"b": 2}
    assert node.read(first)


def test_the_same_key_changes_nothing(node: Node) -> None:
    session = node.request(node.start(a=1))
    session["a"] = 2
    session.session_key = session.session_key
    assert session.loaded
    assert session == {"a": 2}


def test_a_key_after_a_logout_is_that_session(node: Node) -> None:
    ended, other = node.start(a=1), node.start(b=2)
    session = node.request(ended)
    session.clear()
    session.session_key = other
    assert session == {"b": 2}
    assert sent_cookie(session_headers(session)) is None
    assert node.read(other) == {"b": 2}
    assert node.read(ended) is None


@pytest.mark.parametrize("touched", [True, False])
def test_writes_lie_over_what_another_key_loads(node: Node, touched: bool) -> None:
    """As under Duck: a view wrote to the store before the cookie's key was assigned."""
    first = node.start(kept=1, changed=1, removed=1, nested=[1]) if touched else None
    session = node.request(first)
    session["changed"] = 2
    session["new"] = [3]
    if touched:
        del session["removed"]
        session["nested"].append(2)
    second = node.start(other=1, changed=0, removed=0, nested=0)
    session.session_key = second
    assert session.modified
    assert session.needs_update()
    left = {"other": 1, "changed": 2, "removed": 0, "nested": 0, "new": [3]}
    if touched:
        del left["removed"]
        left["nested"] = [1, 2]
    assert session == left
    session.save()
    assert node.read(session.session_key) == left


@pytest.mark.parametrize("key", [None, ""])
def test_no_key_begins_a_new_session(node: Node, key: str | None) -> None:
    first = node.start(a=1)
    session = node.request(first)
    session["b"] = 2
    session.session_key = key
    assert session == {"b": 2}
    session.save()
    assert node.read(session.session_key) == {"b": 2}
    assert node.read(first) == {"a": 1}  # only clear, delete and flush revoke
    assert node.request(first).session_id != session.session_id


def test_no_key_on_an_unchanged_store_is_a_visitor(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.get("a")
    session.session_key = ""
    assert session == {}
    assert not session.needs_update()


def test_a_forced_save_follows_to_another_key(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.modified = True
    session.session_key = node.start(b=2)
    assert session.modified
    assert session == {"b": 2}
    assert session.modified


def test_a_cookie_is_a_token_or_nothing(node: Node) -> None:
    """Cookie text never becomes a session id."""
    chosen = SessionStore.generate_session_id()
    session = node.request(chosen)
    session["a"] = 1
    session.save()
    assert session.session_id != chosen
    assert session.session_key != chosen


@pytest.mark.parametrize(
    "ends",
    [
        lambda s: s.session_storage_connector.delete_session(s.session_key),
        lambda s: (s.get("a"), s.session_storage_connector.delete_session(s.session_key)),
        lambda s: s.delete(s.session_key),
        lambda s: s.delete(),
    ],
)
def test_whoever_knows_an_id_and_sends_it_as_a_cookie_ends_nothing(
    node: Node, ends: Callable[[SessionStore], object]
) -> None:
    victim = node.request(node.start(user=1))
    visitor = node.request(victim.session_id)
    ends(visitor)
    assert node.read(victim.session_key) == {"user": 1}


# create, assign_new_session_key, exists


def test_create_is_a_new_session_empty_and_unsaved(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    assert session["a"] == 1
    session.create()
    assert session == {}
    assert session.session_key is None
    assert not session.needs_update()
    session["b"] = 2
    session.save()
    assert node.read(session.session_key) == {"b": 2}
    assert node.read(token) == {"a": 1}


def test_assign_new_session_key(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    old_id = session.session_id
    new = session.assign_new_session_key()
    assert new == session.session_key != token
    assert session.session_id != old_id
    assert node.read(new) == node.read(token) == {"a": 1}


def test_assign_new_session_key_that_fails_changes_nothing(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session_id = session.session_id
    session["big"] = os.urandom(4000)
    with pytest.raises(SessionTooLarge):
        session.assign_new_session_key()
    assert (session.session_id, session.session_key) == (session_id, token)


def test_exists(node: Node, other: Node, clock: Clock) -> None:
    token = node.start(a=1)
    expiring = node.connector.set_session(None, {"a": 1}, expiry=60)
    assert node.request(token).exists()
    assert node.request().exists(token)
    assert not node.request().exists()
    assert not node.request("nonsense").exists()
    assert not node.request(token).exists("nonsense")
    assert node.request(token).exists(expiring)
    clock.tick(60)
    assert not node.request(token).exists(expiring)
    other.connector.delete_session(token)
    assert not node.request(token).exists()


def test_an_empty_session_exists(node: Node) -> None:
    assert node.request(node.start()).exists()


# clear, delete


def test_what_is_written_after_a_logout_is_a_new_session(node: Node) -> None:
    token = node.start(user=1, a=1)
    session = node.request(token)
    old_id = session.session_id
    session.clear()
    session["message"] = "bye"
    headers = session_headers(session)
    new = sent_cookie(headers)
    assert node.read(new) == {"message": "bye"}
    assert session.session_id != old_id
    assert node.read(token) is None


def test_a_visitor_gets_no_cookie_from_clear(node: Node) -> None:
    for clear in (SessionStore.clear, SessionStore.flush, SessionStore.delete):
        session = node.request()
        session["a"] = 1
        session.set_expiry(5)
        clear(session)
        assert session == {}
        assert not session.modified
        assert session_headers(session) == LOOKED_AT


def test_an_ended_session_is_a_change_until_its_cookie_is_deleted(node: Node) -> None:
    session = node.request(node.start(user=1))
    session.clear()
    assert session.modified
    assert session.needs_update()
    session.save()
    assert not session.modified
    assert not session.needs_update()
    assert session.session_key == ""


def test_delete_another_session(node: Node) -> None:
    mine, another, third = node.start(a=1), node.start(b=2), node.start(c=3)
    session = node.request(mine)
    session.delete(another)
    session.delete(node.request(third).session_id)
    session.delete("nonsense")
    assert node.read(another) is node.read(third) is None
    assert session == {"a": 1}
    assert not session.needs_update()


def test_clear_after_a_save_in_the_same_request(node: Node) -> None:
    session = node.request()
    session["a"] = 1
    session.save()
    token = session.session_key
    session.clear()
    assert sent_cookie(session_headers(session)) == ""
    assert node.read(token) is None


def test_delete_other_sessions_needs_a_subject(node: Node) -> None:
    for token in (None, node.start(a=1)):
        with pytest.raises(SessionError, match="no subject"):
            node.request(token).delete_other_sessions()


# Expiry, as it is shown.


def test_expiry_of_a_visitor_and_of_a_session(node: Node, clock: Clock) -> None:
    session = node.request()
    assert session.get_expiry_date() == at(START + 7 * DAY)
    session["a"] = 1
    session.save()
    clock.tick(100)
    assert session.get_expiry_date() == at(START + 7 * DAY)
    assert session.get_expiry_age() == 7 * DAY - 100
    assert session.get_expiry_date().tzinfo is UTC
    assert not session.session_expired()


def test_expiry_as_it_was_set(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.set_expiry(60)
    assert session.get_expiry_date() == at(START + 60)
    session.set_expiry(datetime(2030, 1, 1))
    assert session.get_expiry_date() == at(START + 30 * DAY)  # absolute_age
    session.set_expiry(timedelta(hours=1))
    assert session.get_expiry_age() == 3600


@pytest.mark.parametrize("wrong", ["60", [], True, float("nan"), float("inf")])
def test_a_wrong_expiry_is_an_error_at_once(node: Node, wrong: Any) -> None:
    session = node.request(node.start(a=1))
    with pytest.raises(InvalidArgument):
        session.set_expiry(wrong)
    assert not session.needs_update()


def test_setting_an_expiry_is_due_for_a_cookie_and_survives_a_failure(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.set_expiry(60)
    session["big"] = os.urandom(4000)
    with pytest.raises(SessionTooLarge):
        session.save()
    del session["big"]
    session.save()
    assert session.get_expiry_age() == 60
    assert not session.needs_update()


def test_setting_an_expiry_gives_a_visitor_no_cookie(node: Node) -> None:
    session = node.request()
    session.set_expiry(60)
    assert session_headers(session) == LOOKED_AT


# Duck's own SessionMiddleware, call by call.


def duck_responds(session: SessionStore, cookie: str | None) -> tuple[str | None, datetime] | None:
    """What its process_response does: the cookie's value and its Expires, or no cookie."""
    if not session.needs_update():
        return None
    expired = session.session_expired()
    if expired:
        session.set_expiry(None)
    session.save()
    key = session.session_key
    if cookie and cookie == key and not expired:
        return None
    return key, session.get_expiry_date()


def duck_request(node: Node, cookie: str | None) -> SessionStore:
    session = SessionStore(None, connector=node.connector)  # type: ignore[arg-type]  # as Duck does
    if not session.session_key and cookie is not None:
        session.session_key = cookie
    return session


def test_duck_untouched_and_read(node: Node) -> None:
    token = node.start(a=1)
    assert duck_responds(duck_request(node, token), token) is None
    session = duck_request(node, token)
    assert session.get("a") == 1
    assert duck_responds(session, token) is None


def test_duck_visitor_write_login_logout(node: Node, other: Node) -> None:
    session = duck_request(node, None)
    session["cart"] = []
    sent = duck_responds(session, None)
    assert sent is not None
    cookie, expires = sent
    assert expires == at(START + 7 * DAY)

    session = duck_request(other, cookie)
    session["cart"].append("apple")
    session["user"] = 1
    sent = duck_responds(session, cookie)
    assert sent is not None
    user, _ = sent
    assert node.read(cookie) is None
    assert node.read(user) == {"cart": ["apple"], "user": 1}

    session = duck_request(node, user)
    session.clear()
    assert duck_responds(session, user) == ("", EPOCH)
    assert other.read(user) is None


def test_duck_logout_and_a_message(node: Node) -> None:
    token = node.start(user=1)
    session = duck_request(node, token)
    session.clear()
    session["message"] = "bye"
    sent = duck_responds(session, token)
    assert sent is not None
    assert sent[1] == at(START + 7 * DAY)
    assert node.read(sent[0]) == {"message": "bye"}


def test_duck_renews_what_expires_during_a_request(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=60)
    session = duck_request(node, token)
    session["a"] = 2
    clock.tick(61)
    sent = duck_responds(session, token)
    assert sent is not None
    assert sent[1] == at(clock.now + 7 * DAY)
    assert node.read(sent[0]) == {"a": 2}


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_duck_refused_cookie(node: Node, token: str) -> None:
    session = duck_request(node, token)
    assert session.get("a") is None
    session.clear()
    assert duck_responds(session, token) is None


def test_duck_re_issue(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(4 * DAY)
    session = duck_request(node, token)
    assert session["a"] == 1
    sent = duck_responds(session, token)
    assert sent is not None
    assert sent[1] == at(clock.now + 7 * DAY)


def test_duck_middleware_written_before_the_cookie_was_read(node: Node) -> None:
    token = node.start(a=1)
    session = SessionStore(None, connector=node.connector)  # type: ignore[arg-type]  # as Duck does
    session["early"] = True
    session.session_key = token
    sent = duck_responds(session, token)
    assert sent is not None
    assert node.read(sent[0]) == {"a": 1, "early": True}


# The connector of a store.


def test_check_session_storage_connector(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.session_storage_connector = None
    with pytest.raises(ValueError, match="no session storage connector"):
        session.get("a")
    session.session_storage_connector = object()
    with pytest.raises(TypeError, match="is of type object, not a SessionStorageConnector"):
        session.get("a")
    session.session_storage_connector = node.connector
    assert session.get("a") == 1


def test_the_decorator_suits_other_stores(node: Node) -> None:
    class Other:
        session_storage_connector: Any

        @SessionStore.check_session_storage_connector
        def ask(self, what: str) -> str:
            """What it says."""
            return what

    other = Other()
    with pytest.raises(ValueError, match="connector"):
        other.ask("a")
    other.session_storage_connector = "a text"
    with pytest.raises(TypeError, match="connector"):
        other.ask("a")
    other.session_storage_connector = node.connector
    assert other.ask("a") == "a"
    assert Other.ask.__doc__ == "What it says."


# In a running event loop.


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    asyncio.run(run())


@pytest.fixture
def network(make_node: MakeNode, clock: Clock) -> Node:
    """A node whose list is across the network."""
    return make_node(NetworkList(clock))


PLAIN: dict[str, Callable[[SessionStore], Any]] = {
    "look": lambda s: s.get("a"),
    "write": lambda s: s.update(a=1),
    "load": lambda s: s.load(),
    "save": lambda s: s.save(),
    "exists": lambda s: s.exists(),
    "supersede": lambda s: s.supersede(),
    "clear": lambda s: s.clear(),
    "expiry": lambda s: s.get_expiry_date(),
    "id": lambda s: s.session_id,
    "delete_other_sessions": lambda s: s.delete_other_sessions(),
}


@pytest.mark.parametrize("call", PLAIN)
def test_plain_calls_say_what_to_await(network: Node, call: str) -> None:
    token = network.start(user=1)
    twin = {"exists": "aexists", "save": "async_save"}.get(call, "aload")  # the rest load first

    async def work() -> None:
        session = network.request(token)
        with pytest.raises(SessionError, match=rf"await.*\b{twin}\b"):
            PLAIN[call](session)
        assert await session.aload() == {"user": 1}

    in_loop(work)


@pytest.mark.parametrize(
    ("call", "twin"),
    [("save", "async_save"), ("exists", "aexists"), ("supersede", "asupersede")],
)
def test_plain_calls_that_must_ask_even_once_loaded(network: Node, call: str, twin: str) -> None:
    token = network.start(user=1)

    async def work() -> None:
        session = network.request(token)
        await session.aload()
        session["a"] = 1
        with pytest.raises(SessionError, match=rf"await.*\b{twin}\b"):
            PLAIN[call](session)
        with pytest.raises(SessionError, match=r"await.*\basession_headers\b"):
            session_headers(session)

    in_loop(work)


def test_a_visitor_needs_no_awaiting(network: Node) -> None:
    async def work() -> None:
        session = network.request()
        session["a"] = 1
        assert session == {"a": 1}
        await session.async_save()
        assert await network.request(session.session_key).aload() == {"a": 1}

    in_loop(work)


def test_awaited_twins_act_at_once(network: Node) -> None:
    async def work() -> None:
        tokens = [network.start(user=number) for number in range(5)]
        sessions = [network.request(token) for token in tokens]
        await sessions[0].aclear()
        await sessions[1].aflush()
        await sessions[2].adelete()
        await sessions[3].adelete(tokens[4])
        for number in (0, 1, 2, 4):
            assert await network.request(tokens[number]).aload() == {}
        assert await sessions[3].aload() == {"user": 3}
        for number in range(3):
            assert sent_cookie(await asession_headers(sessions[number])) == ""
        assert sent_cookie(await asession_headers(sessions[3])) is None

    in_loop(work)


def test_asupersede(network: Node) -> None:
    async def work() -> None:
        token = network.start(credit=5)
        one, another = network.request(token), network.request(token)
        await one.aload()
        await another.aload()
        await one.asupersede()
        with pytest.raises(SessionRevoked):
            await another.asupersede()
        with pytest.raises(SessionRevoked):
            await network.request(token).asupersede()
        one["credit"] = 0
        new = sent_cookie(await asession_headers(one))
        assert await network.request(new).aload() == {"credit": 0}
        await network.request().asupersede()

    in_loop(work)


def test_adelete_other_sessions(network: Node) -> None:
    async def work() -> None:
        mine, elsewhere = network.start(user=1), network.start(user=1)
        session = network.request(mine)
        await session.adelete_other_sessions()
        assert await network.request(elsewhere).aload() == {}
        new = sent_cookie(await asession_headers(session))
        assert await network.request(new).aload() == {"user": 1}

    in_loop(work)


def test_aexists(network: Node) -> None:
    async def work() -> None:
        token = network.start(a=1)
        assert await network.request(token).aexists()
        assert await network.request().aexists(token)
        await network.request(token).aclear()
        assert not await network.request(token).aexists()
        assert not await network.request().aexists()

    in_loop(work)


REVOKES: dict[str, Callable[[SessionStore], None]] = {
    "clear": lambda s: s.clear(),
    "flush": lambda s: s.flush(),
    "delete": lambda s: s.delete(),
}


@pytest.mark.parametrize("revoke", REVOKES)
@pytest.mark.parametrize("failed", [False, True])
def test_plain_revocations_are_done_before_the_response(
    network: Node, revoke: str, failed: bool
) -> None:
    async def work() -> None:
        token = network.start(user=1)
        session = network.responding(token)
        await session.aload()
        REVOKES[revoke](session)
        assert session == {}
        assert session.needs_update()
        assert await network.request(token).aload() == {"user": 1}
        assert sent_cookie(await asession_headers(session, failed=failed)) == ""
        assert await network.request(token).aload() == {}

    in_loop(work)


def test_plain_revocations_are_done_by_an_awaited_save_too(network: Node) -> None:
    async def work() -> None:
        token = network.start(user=1)
        session = network.responding(token)
        await session.aload()
        session.clear()
        await session.async_save()
        assert session.session_key == ""
        assert await network.request(token).aload() == {}

    in_loop(work)


def test_a_session_that_was_touched_in_vain(network: Node) -> None:
    """A view that forgot to await, and caught the error, changes nothing."""

    async def work() -> None:
        session = network.responding(network.start(user=1))
        with pytest.raises(SessionError, match="await"):
            session["a"] = 1
        assert await asession_headers(session) == LOOKED_AT
        assert session == {"user": 1}

    in_loop(work)


def test_what_a_visitor_revokes_is_done_and_gives_no_cookie(network: Node) -> None:
    async def work() -> None:
        token = network.start(user=1)
        session = network.responding()
        session.delete(token)
        assert await asession_headers(session) == LOOKED_AT
        assert await network.request(token).aload() == {}

    in_loop(work)


def test_all_revocations_of_a_request_are_done(network: Node) -> None:
    async def work() -> None:
        mine, elsewhere, another = (network.start(user=n) for n in (1, 1, 2))
        session = network.responding(mine)
        await session.aload()
        session.delete_other_sessions()
        session.delete(another)
        session.clear()
        session["message"] = "bye"
        new = sent_cookie(await asession_headers(session))
        for token in (mine, elsewhere, another):
            assert await network.request(token).aload() == {}
        assert await network.request(new).aload() == {"message": "bye"}

    in_loop(work)


def test_delete_other_sessions_waits_and_then_keeps_its_own(network: Node) -> None:
    async def work() -> None:
        mine, elsewhere = network.start(user=1), network.start(user=1)
        session = network.responding(mine)
        await session.aload()
        session.delete_other_sessions()
        new = sent_cookie(await asession_headers(session))
        assert await network.request(elsewhere).aload() == {}
        assert await network.request(new).aload() == {"user": 1}

    in_loop(work)


def test_a_session_ended_meanwhile_still_does_its_other_revocations(network: Node) -> None:
    async def work() -> None:
        mine, elsewhere, another = (network.start(user=n) for n in (1, 1, 2))
        session = network.responding(mine)
        await session.aload()
        session.delete_other_sessions()
        session.delete(another)
        await network.connector.adelete_session(mine)
        assert await asession_headers(session) == LOOKED_AT
        for token in (elsewhere, another):
            assert await network.request(token).aload() == {}

    in_loop(work)


def test_a_revocation_that_waits_and_fails_is_tried_again(network: Node) -> None:
    revocations: Any = network.revocations

    async def work() -> None:
        token = network.start(user=1)
        session = network.responding(token)
        await session.aload()
        session.clear()
        revocations.read_only = True
        with pytest.raises(RevocationListUnavailable):
            await asession_headers(session)
        assert session._request.list_failed
        revocations.read_only = False
        assert sent_cookie(await asession_headers(session)) == ""
        assert await network.request(token).aload() == {}

    in_loop(work)


def test_outside_an_adapter_a_plain_revocation_in_a_coroutine_is_refused(network: Node) -> None:
    """It can't wait for the network, and nothing would carry it out later."""

    async def work() -> None:
        token, another = network.start(user=1), network.start(user=2)
        session = network.request(token)
        await session.aload()
        for call in (
            session.clear,
            session.flush,
            session.delete,
            lambda: session.delete(another),
            session.delete_other_sessions,
        ):
            with pytest.raises(SessionError, match="aclear, adelete"):
                call()
        assert session == {"user": 1}
        assert await network.request(another).aload() == {"user": 2}

    in_loop(work)


def test_unreachable_when_awaited(network: Node) -> None:
    revocations: Any = network.revocations

    async def work() -> None:
        token = network.start(a=1)
        revocations.down = True
        session = network.request(token)
        for call in (session.aload, session.async_save, session.aclear, session.asupersede):
            with pytest.raises(RevocationListUnavailable):
                await call()
        assert session._request.list_failed
        revocations.down = False
        assert await session.aload() == {"a": 1}

    in_loop(work)


def test_accept_when_awaited(make_node: MakeNode, clock: Clock) -> None:
    revocations = NetworkList(clock)
    node = make_node(revocations, on_unreachable="accept")

    async def work() -> None:
        token = node.start(a=1)
        revocations.down = True
        assert await node.request(token).aload() == {"a": 1}

    in_loop(work)


def test_a_local_list_needs_no_awaiting(node: Node) -> None:
    async def work() -> None:
        token = node.start(user=1)
        session = node.request(token)
        assert session["user"] == 1
        session.supersede()
        session.save()
        assert node.read(token) is None
        session.clear()
        assert node.read(session.session_key) is None
        assert sent_cookie(session_headers(session)) == ""
        token = node.start(user=1)
        session = node.request(token)
        assert await session.aload() == {"user": 1}
        await session.aclear()
        assert sent_cookie(await asession_headers(session)) == ""
        assert node.read(token) is None

    in_loop(work)


def test_tasks_share_no_lock_over_an_await(network: Node) -> None:
    """Two tasks of one request save one store at the same time: neither waits for ever."""

    async def work() -> None:
        session = network.request(network.start(a=0))
        await session.aload()

        async def add(key: str) -> None:
            session[key] = 1
            await session.async_save()

        await asyncio.wait_for(asyncio.gather(*(add(key) for key in "bcde")), timeout=20)
        await session.async_save()
        assert await network.request(session.session_key).aload() == dict.fromkeys("bcde", 1) | {
            "a": 0
        }

    in_loop(work)


# Several threads with one store.


def in_threads(*work: Callable[[], object]) -> None:
    barrier = threading.Barrier(len(work))
    failed: list[BaseException] = []

    def run(one: Callable[[], object]) -> None:
        barrier.wait()
        try:
            one()
        except BaseException as error:  # noqa: BLE001  # shown by the test
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_threads_load_once(node: Node, revocations: SwitchableList) -> None:
    session = node.request(node.start(a=1))
    revocations.asked.clear()
    in_threads(*[lambda: session["a"]] * 8)
    assert revocations.asked == ["lookup"]


def test_threads_write_and_save(node: Node) -> None:
    session = node.request(node.start(a=1))

    def work(number: int) -> None:
        for step in range(20):
            session[f"{number}-{step % 3}"] = step
            session.save()

    in_threads(*[lambda n=n: work(n) for n in range(4)])  # type: ignore[misc]  # n is bound here
    if session.modified:
        session.save()
    read = node.read(session.session_key)
    assert read == dict(session)
    assert read is not None
    assert all(read[f"{n}-{step % 3}"] == step for n in range(4) for step in (17, 18, 19))


def test_a_write_beside_a_save_is_not_lost(node: Node) -> None:
    """Between the packing of the data and the end of the save, another thread writes."""
    session = node.request(node.start(a=1))
    session["a"] = 2
    lookup = node.revocations.lookup

    def write_then_look(*args: Any, **options: Any) -> Any:
        in_threads(lambda: session.__setitem__("b", 3))
        return lookup(*args, **options)

    node.revocations.lookup = write_then_look  # type: ignore[method-assign]  # to act just then
    session.save()
    node.revocations.lookup = lookup  # type: ignore[method-assign]
    assert session.modified
    session.save()
    assert node.read(session.session_key) == {"a": 2, "b": 3}


def test_threads_supersede_and_one_wins(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    token = node.start(credit=5)
    sessions = [one.request(token) for one in (node, other, node, other)]
    for session in sessions:
        assert session["credit"] == 5
    won: list[SessionStore] = []

    def spend(session: SessionStore) -> None:
        try:
            session.supersede()
        except SessionRevoked:
            return
        won.append(session)

    in_threads(*[lambda s=s: spend(s) for s in sessions])  # type: ignore[misc]  # s is bound here
    assert len(won) == 1


def test_check_asks_the_list_ahead(node: Node, revocations: SwitchableList) -> None:
    """What an adapter calls before a coroutine touches the session."""
    token = node.start(a=1)
    revocations.asked.clear()
    session = node.request(token)
    session._request.check()
    session._request.check()
    assert revocations.asked == ["lookup"]
    assert not session.loaded
    assert not session.accessed
    assert session["a"] == 1
    session._request.check()
    assert revocations.asked == ["lookup"]
    node.request()._request.check()


def test_check_while_unreachable(node: Node, revocations: SwitchableList) -> None:
    session = node.request(node.start(a=1))
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        session._request.check()
    assert session._request.list_failed


def test_a_visitor_is_cleared_when_awaited(network: Node) -> None:
    async def work() -> None:
        session = network.request()
        session["a"] = 1
        await session.aclear()
        assert session == {}
        assert await asession_headers(session) == LOOKED_AT

    in_loop(work)
