"""SessionStorageConnector: sessions in, tokens out; and the one connector of a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import (
    InvalidArgument,
    InvalidSettings,
    MemoryRevocationList,
    NonPersistentStorageError,
    RevocationListUnavailable,
    SessionRevoked,
    SessionSerializationError,
    SessionStorageConnector,
    SessionStore,
    SessionTooLarge,
    SQLiteRevocationList,
    configure,
    get_session_storage_connector,
    session_headers,
)
from duck_cookie_session.session_storage_connector import globals as process
from duck_cookie_session.token.format import id_from_text
from tests.helpers import (
    DAY,
    OTHER_SECRET,
    SECRET,
    Clock,
    NetworkList,
    Node,
    SwitchableList,
    make_settings,
)

MakeNode = Callable[..., Node]


def id_of(node: Node, token: str | None) -> str | None:
    return node.request(token).session_id


def created(node: Node, token: str | None) -> float:
    found = node.request(token).created_at
    assert found is not None
    return found.timestamp()


# set, get, update


def test_set_and_get(node: Node, other: Node) -> None:
    token = node.connector.set_session(None, {"a": [1, ("b", {2})]})
    assert other.read(token) == {"a": [1, ("b", {2})]}
    assert other.read(token) is not other.read(token)


def test_every_type_comes_back(node: Node) -> None:
    data = {
        "int": 10**30,
        1: date(2027, 1, 1),
        "when": datetime(2027, 1, 1, tzinfo=UTC),
        "price": Decimal("1.50"),
        "id": UUID(int=7),
        "text": "\ud800é",
        "set": frozenset({1, "a"}),
        None: timedelta(seconds=1),
    }
    assert node.read(node.connector.set_session(None, data)) == data


def test_a_live_token_goes_on(node: Node, clock: Clock) -> None:
    first = node.connector.set_session(None, {"a": 1})
    clock.tick(100)
    second = node.connector.set_session(first, {"b": 2})
    assert node.read(second) == {"b": 2}
    assert id_of(node, second) == id_of(node, first)
    assert created(node, second) == created(node, first)
    assert second != first
    assert node.read(first) == {"a": 1}  # an older state, good until it is superseded or ended


@pytest.mark.parametrize("key", [None, "", "no token", "A" * 22, 5, b"bytes"])
def test_anything_else_starts_a_session_under_a_fresh_id(node: Node, key: Any) -> None:
    token = node.connector.set_session(key, {"a": 1})
    assert node.read(token) == {"a": 1}
    assert id_of(node, token) != key
    assert id_of(node, token) != id_of(node, node.connector.set_session(key, {}))


def test_an_expired_token_starts_a_session(node: Node, clock: Clock) -> None:
    old = node.connector.set_session(None, {"a": 1}, expiry=60)
    clock.tick(60)
    new = node.connector.set_session(old, {"b": 2})
    assert id_of(node, new) is not None
    assert created(node, new) == clock.now


def test_a_token_of_another_application_starts_a_session(
    node: Node, make_node: MakeNode, revocations: SwitchableList
) -> None:
    foreign = make_node(revocations, audience="other").start(a=1)
    assert node.read(node.connector.set_session(foreign, {"b": 2})) == {"b": 2}


@pytest.mark.parametrize("method", ["set_session", "update_session"])
@pytest.mark.parametrize("scope", ["session", "subject", "everything"])
def test_a_revoked_token_is_refused(node: Node, other: Node, method: str, scope: str) -> None:
    token = node.start(user=1)
    if scope == "session":
        other.connector.delete_session(token)
    elif scope == "subject":
        other.connector.delete_subject(1)
    else:
        other.connector.clear_all_sessions()
    with pytest.raises(SessionRevoked):
        getattr(node.connector, method)(token, {"user": 1})


def test_expiry_in_seconds(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=60)
    clock.tick(59.9)
    assert node.read(token)
    clock.tick(0.1)
    assert node.read(token) is None


@pytest.mark.parametrize("expiry", [0, -5, 0.0001])
def test_an_expiry_of_nothing_expires_now(node: Node, expiry: float) -> None:
    assert node.read(node.connector.set_session(None, {"a": 1}, expiry=expiry)) is None


def test_update_merges(node: Node) -> None:
    token = node.connector.update_session(node.start(a=1, b=1), {"b": 2, "c": 3})
    assert node.read(token) == {"a": 1, "b": 2, "c": 3}


def test_update_of_nothing_starts_a_session(node: Node) -> None:
    assert node.read(node.connector.update_session(None, {"a": 1})) == {"a": 1}
    assert node.read(node.connector.update_session("nonsense", {"a": 1})) == {"a": 1}


def test_update_keeps_the_lifetime(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=100)
    clock.tick(60)
    token = node.connector.update_session(token, {"b": 2})
    clock.tick(99)
    assert node.read(token)
    clock.tick(1)
    assert node.read(token) is None


def test_update_keeps_a_fixed_expiry(node: Node, clock: Clock) -> None:
    session = node.request(node.start(a=1))
    session.set_expiry(datetime.fromtimestamp(clock.now + 100, UTC))
    session.save()
    clock.tick(60)
    token = node.connector.update_session(session.session_key, {"b": 2})
    clock.tick(39)
    assert node.read(token)
    clock.tick(1)
    assert node.read(token) is None


def test_set_takes_the_default_lifetime_again(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=100)
    token = node.connector.set_session(token, {"a": 1})
    clock.tick(7 * DAY - 1)
    assert node.read(token)
    clock.tick(1)
    assert node.read(token) is None


@pytest.mark.parametrize("method", ["set_session", "update_session"])
@pytest.mark.parametrize("data", [None, 5, [("a", 1)], "text"])
def test_data_must_be_a_dict(node: Node, method: str, data: Any) -> None:
    with pytest.raises(InvalidArgument, match="must be a dict"):
        getattr(node.connector, method)(None, data)


@pytest.mark.parametrize("expiry", ["60", True, [], float("nan")])
def test_a_wrong_expiry(node: Node, expiry: Any) -> None:
    with pytest.raises(InvalidArgument, match="An expiry is"):
        node.connector.set_session(None, {}, expiry=expiry)


def test_data_that_do_not_fit(node: Node) -> None:
    token = node.start(a=1)
    with pytest.raises(SessionTooLarge):
        node.connector.update_session(token, {"b": os.urandom(4000)})
    with pytest.raises(SessionSerializationError, match=r"session\['b'\]\[0\]"):
        node.connector.update_session(token, {"b": [object()]})
    assert node.read(token) == {"a": 1}


def test_too_large_says_by_how_much_and_why(node: Node) -> None:
    with pytest.raises(SessionTooLarge) as refused:
        node.connector.set_session(None, {"big": os.urandom(3500), "small": 1, "middle": "x" * 99})
    error = refused.value
    assert error.limit == 4096
    assert error.size > 4096
    assert [key for key, _ in error.heaviest] == ["'big'", "'middle'", "'small'"]
    assert "'big': 350" in str(error)


def test_max_cookie_bytes_counts_the_whole_line(
    make_node: MakeNode, revocations: SwitchableList
) -> None:
    """Front ends drop a line that is longer than 4,096 bytes, attributes and all."""
    settings = {"cookie_name": "n" * 50, "cookie_domain": "shop.example"}
    session = make_node(revocations, **settings).request()
    session["a"] = "x" * 100
    line = dict(session_headers(session))["Set-Cookie"]
    longest = len(line.replace("Max-Age=604800", "Max-Age=2592000"))
    for limit, fits in ((longest, True), (longest - 1, False)):
        node = make_node(revocations, max_cookie_bytes=limit, **settings)
        if fits:
            assert node.read(node.start(a="x" * 100))
        else:
            with pytest.raises(SessionTooLarge):
                node.start(a="x" * 100)


def test_compression_makes_room(make_node: MakeNode, revocations: SwitchableList) -> None:
    node = make_node(revocations, compress=True)
    token = node.start(a="again and again " * 1000)
    assert len(token) < 500
    assert node.read(token) == {"a": "again and again " * 1000}


# delete and clear


@pytest.mark.parametrize("by", ["token", "older token", "id"])
def test_delete_session(two_nodes: tuple[Node, Node], by: str) -> None:
    node, other = two_nodes
    older = node.start(a=1)
    token = node.connector.update_session(older, {"b": 2})
    given = {"token": token, "older token": older, "id": id_of(node, token)}[by]
    node.connector.delete_session(given)
    for reader in two_nodes:
        assert reader.read(token) is None
        assert reader.read(older) is None
        assert reader.read(other.start(a=1)) is not None


def test_delete_by_an_expired_token_ends_the_session(node: Node, clock: Clock) -> None:
    old = node.connector.set_session(None, {"a": 1}, expiry=60)
    token = node.connector.set_session(old, {"a": 1}, expiry=600)
    clock.tick(100)
    node.connector.delete_session(old)
    assert node.read(token) is None


@pytest.mark.parametrize("nothing", [None, "", "nonsense", "A" * 21])
def test_there_is_nothing_to_delete(node: Node, revocations: SwitchableList, nothing: Any) -> None:
    token = node.start(a=1)
    node.connector.delete_session(nothing)
    assert node.read(token)
    assert "end" not in revocations.asked


@pytest.mark.parametrize("wrong", [5, b"bytes", ["token"]])
def test_what_can_name_no_session_is_told(node: Node, wrong: Any) -> None:
    with pytest.raises(InvalidArgument, match="A session is named by"):
        node.connector.delete_session(wrong)
    with pytest.raises(InvalidArgument, match="A session is named by"):
        asyncio.run(node.connector.adelete_session(wrong))


def test_delete_again_is_no_error(node: Node) -> None:
    token = node.start(a=1)
    node.connector.delete_session(token)
    node.connector.delete_session(token)
    assert node.read(token) is None


@pytest.mark.parametrize(
    ("held", "given"), [(5, 5), (5, "5"), ("5", 5), (UUID(int=5), str(UUID(int=5)))]
)
def test_delete_subject(two_nodes: tuple[Node, Node], held: Any, given: Any) -> None:
    node, other = two_nodes
    first, second = node.start(user=held), other.start(user=held)
    stranger, visitor = node.start(user="6"), node.start()
    node.connector.delete_subject(given)
    for reader in two_nodes:
        assert reader.read(first) is reader.read(second) is None
        assert reader.read(stranger) == {"user": "6"}
        assert reader.read(visitor) == {}
        assert reader.read(reader.start(user=held)) == {"user": held}  # logged in again at once


@pytest.mark.parametrize("subject", [None, 1.5, True, b"anna", ["anna"]])
def test_delete_what_is_no_subject(node: Node, subject: Any) -> None:
    with pytest.raises(InvalidArgument):
        node.connector.delete_subject(subject)


def test_a_subject_that_no_session_may_have(node: Node) -> None:
    with pytest.raises(InvalidArgument):
        node.start(user=1.5)


def test_clear_all_sessions(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    tokens = [node.start(a=1), other.start(user=1)]
    other.connector.clear_all_sessions()
    for reader in two_nodes:
        assert [reader.read(token) for token in tokens] == [None, None]
        assert reader.read(reader.start(a=1)) == {"a": 1}


def test_applications_that_share_a_list_stay_apart(
    make_node: MakeNode, revocations: SwitchableList
) -> None:
    shop, forum = make_node(revocations, audience="shop"), make_node(revocations, audience="forum")
    token = forum.start(user=1)
    shop.connector.delete_subject(1)
    shop.connector.clear_all_sessions()
    shop.connector.delete_session(token)
    assert forum.read(token) == {"user": 1}


def test_awaitable_twins(make_node: MakeNode, clock: Clock) -> None:
    node = make_node(NetworkList(clock))

    async def all_of_them() -> None:
        tokens = node.start(a=1), node.start(user=1), node.start(a=1)
        await node.connector.adelete_session(tokens[0])
        await node.connector.adelete_session("nonsense")
        assert [bool(node.read(token)) for token in tokens] == [False, True, True]
        await node.connector.adelete_subject(1)
        assert [bool(node.read(token)) for token in tokens] == [False, False, True]
        await node.connector.aclear_all_sessions()
        assert not node.read(tokens[2])

    asyncio.run(all_of_them())


# ids, save, close


def test_session_ids_are_128_random_bits() -> None:
    made = {SessionStorageConnector.generate_session_id() for _ in range(100)}
    assert len(made) == 100
    assert all(id_from_text(text) for text in made)


def test_save_purges_the_list(make_node: MakeNode, tmp_path: Path, clock: Clock) -> None:
    for revocations in (MemoryRevocationList(clock), SQLiteRevocationList(tmp_path, clock=clock)):
        node = make_node(revocations, audience=type(revocations).__name__)
        prefix = node.connector.rules.scopes.prefix
        for _ in range(50):
            node.connector.delete_session(node.start(a=1))
        clock.tick(30 * DAY + 61)
        node.connector.save()
        assert revocations.survey(prefix).entries == 0
        node.connector.close()


def test_close_is_idempotent_and_no_end(two_nodes: tuple[Node, Node]) -> None:
    node, _ = two_nodes
    token = node.start(a=1)
    node.connector.close()
    node.connector.close()
    assert node.read(token) == {"a": 1}


# What is given as storage.


def test_called_without_arguments_or_with_the_folder(tmp_path: Path) -> None:
    settings = make_settings(session_dir=tmp_path / "sessions")
    first = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    second = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    token = first.set_session(None, {"a": 1})
    assert second.get_session(token) == {"a": 1}
    assert (tmp_path / "sessions" / "revocations.sqlite3").is_file()
    memory = SessionStorageConnector(MemoryRevocationList, settings=settings)
    for connector in (first, second, memory):
        connector.close()


def test_a_list_that_needs_a_folder_and_gets_none() -> None:
    with pytest.raises(InvalidSettings, match="SESSION_DIR"):
        SessionStorageConnector(SQLiteRevocationList, settings=make_settings())


def test_a_second_memory_list_is_refused_while_the_first_is_open() -> None:
    settings = make_settings()
    first = SessionStorageConnector(MemoryRevocationList, settings=settings)
    with pytest.raises(NonPersistentStorageError):
        SessionStorageConnector(MemoryRevocationList, settings=settings)
    first.close()
    second = SessionStorageConnector(MemoryRevocationList, settings=settings)
    second.close()


def test_one_memory_list_may_serve_several(make_node: MakeNode, clock: Clock) -> None:
    shared = SwitchableList(clock)
    first, second = make_node(shared), make_node(shared, audience="another application")
    first.connector.close()
    with pytest.raises(NonPersistentStorageError):
        make_node(SwitchableList(clock))
    second.connector.close()
    make_node(SwitchableList(clock))


def test_a_connector_that_was_dropped_is_in_nobodys_way(clock: Clock) -> None:
    for _ in range(3):
        connector = SessionStorageConnector(MemoryRevocationList, settings=make_settings())
        assert connector.set_session(None, {})
        del connector


class Cache:
    """As Duck's own caches: neither persistent nor atomic."""

    def set(self, key: str, value: object, expiry: float) -> None: ...


@pytest.mark.parametrize("storage", [Cache, Cache(), dict, None, "a text", lambda: Cache(), int])
def test_what_is_no_list_is_refused_with_the_line_to_write(storage: Any) -> None:
    with pytest.raises(InvalidSettings) as refused:
        SessionStorageConnector(storage, settings=make_settings())
    assert 'SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"' in str(refused.value)


def test_an_error_of_the_storage_class_is_not_hidden() -> None:
    def broken() -> MemoryRevocationList:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        SessionStorageConnector(broken, settings=make_settings())


# Secrets.


def test_rotation_ends_no_session(make_node: MakeNode, revocations: SwitchableList) -> None:
    before = make_node(revocations, secret_keys=[OTHER_SECRET])
    staged = make_node(revocations, secret_keys=[OTHER_SECRET, SECRET])
    promoted = make_node(revocations, secret_keys=[SECRET, OTHER_SECRET])
    retired = make_node(revocations, secret_keys=[SECRET])
    old = before.start(a=1)
    assert staged.read(old) == promoted.read(old) == {"a": 1}
    assert before.read(staged.connector.update_session(old, {})) == {"a": 1}
    new = promoted.connector.update_session(old, {})
    assert staged.read(new) == retired.read(new) == {"a": 1}
    assert before.read(new) is None
    assert retired.read(old) is None
    promoted.connector.delete_session(new)
    assert before.read(old) is None


# No input whatever makes get_session raise.


@given(st.data())
def test_get_session_never_raises(node: Node, data: Any) -> None:
    anything = data.draw(
        st.one_of(
            st.text(), st.binary(), st.integers(), st.floats(), st.lists(st.text()), st.booleans()
        )
    )
    assert node.read(anything) is None
    if isinstance(anything, str):
        node.connector.delete_session(anything)


def test_unreachable_is_the_one_error(node: Node, revocations: SwitchableList) -> None:
    token = node.start(a=1)
    revocations.down = True
    assert node.read("nonsense") is None
    with pytest.raises(RevocationListUnavailable):
        node.read(token)
    for revoke in (
        lambda: node.connector.delete_session(token),
        lambda: node.connector.delete_subject(1),
        lambda: node.connector.clear_all_sessions(),
        lambda: node.connector.set_session(token, {}),
        lambda: node.connector.set_session(None, {}),
    ):
        with pytest.raises(RevocationListUnavailable):
            revoke()
    revocations.down = False
    assert node.read(token) == {"a": 1}


# The connector of the process.


@pytest.mark.usefixtures("clean_process")
class TestProcess:
    def test_configured(self, tmp_path: Path) -> None:
        configure(make_settings(session_dir=tmp_path), SQLiteRevocationList)
        connector = get_session_storage_connector()
        assert connector is get_session_storage_connector()
        assert connector is process.session_storage_connector
        assert connector.settings.session_dir == str(tmp_path)
        session = SessionStore(None)
        session["a"] = 1
        session.save()
        assert connector.get_session(session.session_key) == {"a": 1}

    def test_configured_again_replaces_and_closes(self) -> None:
        configure(make_settings(), MemoryRevocationList)
        first = get_session_storage_connector()
        configure(make_settings(cookie_name="other"), MemoryRevocationList)
        assert get_session_storage_connector() is not first

    @pytest.mark.parametrize("wrong", [None, {"SECRET_KEY": SECRET}, SECRET])
    def test_configured_with_what_is_no_settings(self, wrong: Any) -> None:
        with pytest.raises(InvalidArgument, match="not SessionSettings"):
            configure(wrong, MemoryRevocationList)

    @pytest.mark.parametrize("wrong", [Cache, Cache(), None, "a text", SQLiteRevocationList])
    def test_configured_with_what_can_give_no_list(self, wrong: Any) -> None:
        """At once, and what was configured before stays."""
        configure(make_settings(), MemoryRevocationList)
        with pytest.raises(InvalidSettings, match=r"SESSION_STORAGE|session_dir"):
            configure(make_settings(), wrong)
        assert isinstance(get_session_storage_connector().revocations, MemoryRevocationList)

    @pytest.mark.parametrize("wrong", [{"SECRET_KEY": SECRET}, SECRET])
    def test_built_with_what_is_no_settings(self, wrong: Any) -> None:
        with pytest.raises(InvalidArgument, match="not SessionSettings"):
            SessionStorageConnector(MemoryRevocationList, settings=wrong)

    def test_a_store_builds_nothing_until_it_is_touched(self) -> None:
        configure(make_settings(), MemoryRevocationList)
        session = SessionStore("some cookie")
        assert process.session_storage_connector is None
        session.get("a")
        assert process.session_storage_connector is not None

    def test_many_threads_get_one(self) -> None:
        built = []

        def storage() -> MemoryRevocationList:
            built.append(1)
            return MemoryRevocationList()

        configure(make_settings(), storage)
        barrier = threading.Barrier(8)
        got = []

        def work() -> None:
            barrier.wait()
            got.append(get_session_storage_connector())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(connector) for connector in got}) == 1
        assert built == [1]


def run_python(code: str) -> str:
    """Run a program of its own; what it printed."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_neither_configured_nor_under_duck_names_both_ways() -> None:
    said = run_python(
        """
        import sys
        sys.modules["duck"] = None  # as if it were not installed
        import duck_cookie_session as d
        for build in (
            d.get_session_storage_connector,
            lambda: d.SessionStore("cookie").get("a"),
            lambda: d.SessionStorageConnector(d.MemoryRevocationList),
        ):
            try:
                build()
            except d.InvalidSettings as error:
                print(error)
        """
    )
    assert len(said.splitlines()) == 3
    for line in said.splitlines():
        assert "configure(" in line
        assert "SESSION_STORAGE" in line


DUCK = """
    import sys, types
    duck, settings = types.ModuleType("duck"), types.ModuleType("duck.settings")
    settings.SETTINGS = {settings}
    duck.settings = settings
    sys.modules["duck"], sys.modules["duck.settings"] = duck, settings
    import duck_cookie_session as d
"""


def test_built_from_the_settings_of_duck(tmp_path: Path) -> None:
    mapping = {
        "SECRET_KEY": SECRET,
        "SESSION_STORAGE": "duck_cookie_session.SQLiteRevocationList",
        "SESSION_DIR": str(tmp_path),
        "SESSION_COOKIE_NAME": "sid",
    }
    said = run_python(
        DUCK.format(settings=mapping)
        + """
    connector = d.get_session_storage_connector()
    s = connector.settings
    print(s.cookie_name, s.session_dir, s.subject_key, type(connector.revocations).__name__)
    """
    )
    assert said == f"sid {tmp_path} _auth_user_id SQLiteRevocationList"


@pytest.mark.parametrize("storage", [None, "", "nodots", "no.such.module.List", "os.path.nothing"])
def test_a_storage_that_duck_names_wrongly(storage: Any) -> None:
    said = run_python(
        DUCK.format(settings={"SECRET_KEY": SECRET, "SESSION_STORAGE": storage})
        + """
    try:
        d.get_session_storage_connector()
    except d.InvalidSettings as error:
        print(error)
    """
    )
    assert 'SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"' in said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
def test_fork(tmp_path: Path) -> None:
    """Sessions of the parent live in the child and its revocations are seen by the parent."""
    said = run_python(
        f"""
        import os, threading
        from duck_cookie_session import *
        settings = SessionSettings(secret_keys={SECRET!r}, session_dir={str(tmp_path)!r})
        configure(settings, SQLiteRevocationList)
        connector = get_session_storage_connector()
        kept, ended = connector.set_session(None, {{"a": 1}}), connector.set_session(None, {{}})
        child = os.fork()
        if not child:
            mine = get_session_storage_connector()
            good = mine.get_session(kept) == {{"a": 1}}
            mine.delete_session(ended)
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        print(connector.get_session(kept), connector.get_session(ended))
        """
    )
    assert said == "{'a': 1} None"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
def test_fork_while_threads_are_at_work(tmp_path: Path) -> None:
    """No lock that a thread held at the fork stays locked in the child."""
    said = run_python(
        f"""
        import os, threading, warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        from duck_cookie_session import *
        settings = SessionSettings(
            secret_keys={SECRET!r}, session_dir={str(tmp_path)!r}, token_cache_size=2
        )
        configure(settings, SQLiteRevocationList)
        connector = get_session_storage_connector()
        stop = threading.Event()

        def work():
            while not stop.is_set():
                connector.get_session(connector.set_session(None, {{"a": 1}}))
                connector.stats()

        def fork():
            for _ in range(10):
                child = os.fork()
                if not child:
                    work_once = connector.set_session(None, {{"a": 1}})
                    connector.stats()
                    connector.delete_session(work_once)
                    os._exit(0 if connector.get_session(work_once) is None else 1)
                assert os.waitpid(child, 0)[1] == 0

        workers = [threading.Thread(target=work) for _ in range(2)]
        forkers = [threading.Thread(target=fork) for _ in range(2)]
        for thread in workers + forkers:
            thread.start()
        for thread in forkers:
            thread.join()
        stop.set()
        for thread in workers:
            thread.join()
        print("done")
        """
    )
    assert said == "done"


def test_a_clock_that_is_no_clock_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="clock is of type int"):
        SessionStorageConnector(MemoryRevocationList, settings=make_settings(), clock=5)  # type: ignore
