"""What only the ASGI middleware does: websockets, lists across the network, how it is set up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from duck_cookie_session import (
    InvalidArgument,
    InvalidSettings,
    MemoryRevocationList,
    RevocationListUnavailable,
    SessionError,
    SessionSerializationError,
    SessionStorageConnector,
    SessionTooLarge,
    configure,
    get_session_storage_connector,
)
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.session_storage_connector import globals as process
from duck_cookie_session.testing import session_token
from tests.helpers import Clock, NetworkList, SwitchableList, make_settings

sys.path.append(str(Path(__file__).parent / "migration"))

lists = pytest.mark.parametrize("list_kind", ["connector", "far"])

App = Callable[[Any, Any, Any], Awaitable[None]]
Messages = list[dict[str, Any]]


@pytest.fixture
def connector(clock: Clock) -> Iterator[SessionStorageConnector]:
    yield from _connector(SwitchableList(clock), clock)


@pytest.fixture
def far(clock: Clock) -> Iterator[SessionStorageConnector]:
    yield from _connector(NetworkList(clock), clock)


def _connector(revocations: SwitchableList, clock: Clock) -> Iterator[SessionStorageConnector]:
    made = SessionStorageConnector(lambda: revocations, settings=make_settings(), clock=clock)
    yield made
    made.close()


@contextlib.contextmanager
def down(connector: SessionStorageConnector) -> Iterator[None]:
    """The list does not answer meanwhile."""
    assert isinstance(connector.revocations, SwitchableList)
    connector.revocations.down = True
    try:
        yield
    finally:
        connector.revocations.down = False


def run(
    app: App,
    *,
    token: str | None = None,
    kind: str = "http",
    path: str = "/",
    headers: list[tuple[bytes, bytes]] | None = None,
    extensions: tuple[str, ...] = (),
    sent: Messages | None = None,
) -> Messages:
    """Serve one request or handshake; the messages that went out, into `sent` too."""
    sent = [] if sent is None else sent
    if headers is None:
        headers = [] if token is None else [(b"cookie", f"session_id={token}".encode())]
    scope = {
        "type": kind,
        "path": path,
        "headers": headers,
        "extensions": {name: {} for name in extensions},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # a coroutine
    return sent


async def done(act: Callable[[Any], Any], session: Any) -> None:
    """Do something with a session, awaited if need be."""
    outcome = act(session)
    if asyncio.iscoroutine(outcome):
        await outcome


def view(act: Callable[[Any], Any], headers: Any = (), status: int = 200) -> App:
    """An application that does something with its session and then answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await done(act, scope["session"])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"of the application"})

    return app


def header(messages: Messages, name: str) -> list[str]:
    """Every value of a header of the first message."""
    pairs = messages[0].get("headers", ())
    return [value.decode() for given, value in pairs if given == name.encode()]


def test_headers_of_the_application_are_merged(connector: SessionStorageConnector) -> None:
    own = [(b"Vary", b"Accept"), (b"vary", b"Origin"), (b"cache-control", b"public"), (b"x", b"1")]
    given = tuple(own)
    app = CookieSessionMiddleware(view(lambda s: s.update(a=1), own), connector=connector)
    sent = run(app)
    assert header(sent, "vary") == ["Accept, Origin, Cookie"]
    assert header(sent, "cache-control") == ["no-store"]
    assert header(sent, "x") == ["1"]
    assert tuple(own) == given  # a response may be sent again, to somebody else


def test_an_untouched_request_goes_out_as_it_is(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})
    before = connector.stats()
    sent = run(CookieSessionMiddleware(view(lambda s: None), connector=connector), token=token)
    assert sent[0]["headers"] == ()
    assert connector.stats() == before


def test_a_cookie_may_come_in_several_headers(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})
    headers = [(b"cookie", b"theme=dark"), (b"cookie", f"session_id={token}".encode())]
    seen: list[Any] = []
    app = CookieSessionMiddleware(view(lambda s: seen.append(s["a"])), connector=connector)
    run(app, headers=headers)
    assert seen == [1]


def test_other_scopes_go_through(connector: SessionStorageConnector) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    run(CookieSessionMiddleware(app, connector=connector), kind="lifespan")
    assert "session" not in seen[0]


def test_what_starlette_gives_out_counts_as_accessed(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})
    app = CookieSessionMiddleware(view(lambda s: s.mark_accessed()), connector=connector)
    assert header(run(app, token=token), "vary") == ["Cookie"]


def test_json_can_encode_it(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})
    seen: list[str] = []
    app = CookieSessionMiddleware(view(lambda s: seen.append(json.dumps(s))), connector=connector)
    run(app, token=token)
    assert seen == ['{"a": 1}']


def test_an_exception_of_the_application_goes_on(connector: SessionStorageConnector) -> None:
    def fail(session: Any) -> None:
        session["a"] = 1
        raise LookupError

    with pytest.raises(LookupError):
        run(CookieSessionMiddleware(view(fail), connector=connector))


# How it is set up.


def test_settings_alone_keep_revocations_in_their_folder(tmp_path: Path) -> None:
    app = CookieSessionMiddleware(
        view(lambda s: s.update(a=1)), make_settings(session_dir=str(tmp_path))
    )
    assert header(run(app), "set-cookie")
    assert (tmp_path / "revocations.sqlite3").exists()


def test_settings_without_a_folder_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="SESSION_DIR"):
        CookieSessionMiddleware(view(lambda s: None), make_settings())


def test_what_is_something_else_is_refused(connector: SessionStorageConnector) -> None:
    for wrong in ({"settings": {}}, {"settings": connector}, {"connector": make_settings()}):
        with pytest.raises(InvalidArgument, match=r"not (a )?Session"):
            CookieSessionMiddleware(view(lambda s: None), **wrong)  # type: ignore[arg-type]


class EmptyList(SwitchableList):
    """A list that says of itself that it is empty."""

    def __len__(self) -> int:
        return 0


def test_a_list_that_is_false_is_a_list(clock: Clock) -> None:
    for connector in _connector(EmptyList(clock), clock):
        for settings in (None, make_settings(cookie_name="other")):
            connector.revocations.asked.clear()  # type: ignore[attr-defined]
            app = CookieSessionMiddleware(view(lambda s: s.update(a=1)), settings, connector)
            assert header(run(app), "set-cookie")
            assert connector.revocations.asked == ["lookup"]  # type: ignore[attr-defined]


def test_what_is_told_of_events_may_be_anything_that_can_be_called(
    tmp_path: Path, clean_process: None
) -> None:
    @dataclass  # which has no hash
    class Told:
        kinds: list[str] = field(default_factory=list)

        def __call__(self, event: Any) -> None:
            self.kinds.append(event.kind.name)

    told = Told()
    app = CookieSessionMiddleware(
        view(lambda session: session.update(user="alice")),
        make_settings(session_dir=str(tmp_path), on_event=told),
    )
    run(app)
    get_session_storage_connector().delete_subject("alice")
    assert told.kinds


def test_the_connector_of_the_process_is_the_middlewares(
    tmp_path: Path, clean_process: None
) -> None:
    settings = make_settings(session_dir=str(tmp_path))
    seen: list[Any] = []

    def act(session: Any) -> None:
        seen.append(session.get("user"))
        get_session_storage_connector().delete_subject("alice")

    app = CookieSessionMiddleware(view(act), settings)
    again = CookieSessionMiddleware(view(act), settings)  # as when an application is built twice
    token = session_token(get_session_storage_connector(), {"user": "alice"})
    run(app, token=token)
    run(again, token=token)
    assert seen == ["alice", None]
    other = make_settings(session_dir=str(tmp_path), cookie_name="admin")
    second = CookieSessionMiddleware(view(act), other)
    with pytest.raises(InvalidSettings, match=r"'session_id'.*'admin'.*connector="):
        get_session_storage_connector()
    del second


def test_a_second_cookie_may_share_the_list_of_a_connector(
    connector: SessionStorageConnector,
) -> None:
    other = make_settings(cookie_name="other")
    app = CookieSessionMiddleware(view(lambda s: s.update(a=1)), other, connector)
    assert header(run(app), "set-cookie")[0].startswith("other=")


def test_without_anything_the_connector_of_the_process_is_taken() -> None:
    app = CookieSessionMiddleware(view(lambda s: s.update(a=1)))
    configure(make_settings(), MemoryRevocationList)
    try:
        assert header(run(app), "set-cookie")
    finally:
        assert process.session_storage_connector is not None
        process.session_storage_connector.close()
        process.session_storage_connector = process.configured = None


NOTHING_GIVEN = """
import asyncio
from duck_cookie_session import InvalidSettings
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

async def nothing(*_): ...

try:
    asyncio.run(CookieSessionMiddleware(nothing)({"type": "http"}, nothing, nothing))
except InvalidSettings as error:
    print(error)
"""


def test_without_anything_and_no_connector_of_the_process(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", NOTHING_GIVEN], cwd=tmp_path, capture_output=True, text=True
    )
    assert "pass settings= or connector= to CookieSessionMiddleware" in ran.stdout, ran.stderr
    assert "web" not in ran.stdout


# Lists across the network.


def test_the_list_is_asked_before_the_application_runs(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})
    seen: list[Any] = []
    app = CookieSessionMiddleware(view(lambda s: seen.append(s["a"])), connector=far)
    run(app, token=token)
    assert seen == [1]


def test_a_visitor_costs_no_question_to_the_list(far: SessionStorageConnector) -> None:
    session_token(far, {})
    app = CookieSessionMiddleware(view(lambda s: s.get("a")), connector=far)
    with down(far):
        assert run(app)[0]["status"] == 200


def test_an_exempt_path_is_not_checked_ahead(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})
    seen: list[Any] = []

    async def look(session: Any) -> None:
        session.mark_accessed()  # what naming it does in Starlette 1.x
        with pytest.raises(SessionError, match="aload"):
            session["a"]
        seen.append(await session.aload())

    for exempt in ("/static/", ["/static/"]):
        app = CookieSessionMiddleware(view(lambda s: None), connector=far, exempt=exempt)
        with down(far):
            assert run(app, token=token, path="/static/a.css")[0]["status"] == 200
            assert run(app, token=token, path="/")[0]["status"] == 503
    run(CookieSessionMiddleware(view(look), connector=far, exempt=["/x"]), token=token, path="/x")
    assert seen == [{"a": 1}]


def test_a_logout_is_durable_before_the_response_starts(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})
    app = CookieSessionMiddleware(view(lambda s: s.clear()), connector=far)
    sent = run(app, token=token)
    assert "Max-Age=0" in header(sent, "set-cookie")[0]
    assert far.get_session(token) is None


def test_a_logout_counts_though_the_application_then_fails(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})

    def fail(session: Any) -> None:
        session.clear()
        raise LookupError

    app = CookieSessionMiddleware(view(fail), connector=far)
    with pytest.raises(LookupError):
        run(app, token=token)
    assert far.get_session(token) is None


def test_a_revocation_that_waits_is_no_error_if_the_session_was_revoked_meanwhile(
    far: SessionStorageConnector,
) -> None:
    token, other = (session_token(far, {"user": "u"}) for _ in range(2))

    def fail(session: Any) -> None:
        session.delete_other_sessions()
        far.delete_session(token)
        raise LookupError

    with pytest.raises(LookupError):
        run(CookieSessionMiddleware(view(fail), connector=far), token=token)
    assert far.get_session(other) is None


# What is cancelled.


class SuspendingList(NetworkList):
    """A network list whose awaited calls let others run in between, as a socket does."""

    async def aend(self, scope: bytes) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.end(scope)

    async def acompare_and_raise(self, scope: bytes, expected: int, **more: Any) -> int | None:
        for _ in range(5):
            await asyncio.sleep(0)
        return self.compare_and_raise(scope, expected, **more)


@pytest.fixture
def suspending(clock: Clock) -> Iterator[SessionStorageConnector]:
    yield from _connector(SuspendingList(clock), clock)


ENDINGS: dict[str, Callable[[Any], None]] = {
    "clear": lambda s: s.clear(),
    "delete_other_sessions": lambda s: s.delete_other_sessions(),
    "delete of another": lambda s: s.delete(s["other"]),
}


def _within_anyio(app: App) -> App:
    """Cancelled by anyio, which cancels again and again until its scope is left."""

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        with anyio.fail_after(60) as limits:
            scope["stop"] = lambda: setattr(limits, "deadline", anyio.current_time())
            await app(scope, receive, send)

    return limited


def _within_asyncio(app: App) -> App:
    """Cancelled by asyncio: once, or twice as by a server that stops."""

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        waits = asyncio.Event()
        scope["stop"] = waits.set
        task = asyncio.ensure_future(app(scope, receive, send))  # type: ignore[arg-type]
        await waits.wait()
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await task

    return limited


@pytest.mark.parametrize("act", ENDINGS)
@pytest.mark.parametrize("place", ["around the middleware", "around the view", "by the server"])
def test_what_was_revoked_is_revoked_whatever_is_cancelled(
    suspending: SessionStorageConnector, act: str, place: str
) -> None:
    other = session_token(suspending, {"user": "u"})
    token = session_token(suspending, {"user": "u", "other": other})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        ENDINGS[act](scope["session"])
        scope["stop"]()
        await asyncio.Event().wait()  # for ever

    inner = _within_anyio(app) if place == "around the view" else app
    made: App = CookieSessionMiddleware(inner, connector=suspending)
    if place == "around the middleware":
        made = _within_anyio(made)
    elif place == "by the server":
        made = _within_asyncio(made)

    with pytest.raises((TimeoutError, asyncio.CancelledError)):
        run(made, token=token)
    ended = token if act == "clear" else other
    assert suspending.get_session(ended) is None


@pytest.mark.parametrize("how", ["raises", "is cancelled", "returns"])
@pytest.mark.parametrize("act", ENDINGS)
def test_a_task_that_outlives_a_request_without_a_response_revokes_nothing_in_silence(
    suspending: SessionStorageConnector, act: str, how: str
) -> None:
    other = session_token(suspending, {"user": "u"})
    token = session_token(suspending, {"user": "u", "other": other})
    tasks: list[asyncio.Task[None]] = []

    async def late(session: Any) -> None:
        await asyncio.sleep(0)
        while not over:
            await asyncio.sleep(0)
        with pytest.raises(SessionError):
            ENDINGS[act](session)

    over: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"].get("user")
        tasks.append(asyncio.ensure_future(late(scope["session"])))
        if how == "raises":
            raise LookupError
        if how == "is cancelled":
            raise asyncio.CancelledError

    async def around(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(LookupError, asyncio.CancelledError):
            await CookieSessionMiddleware(app, connector=suspending)(scope, receive, send)
        over.append(True)
        await tasks[0]

    run(around, token=token)


def test_a_revocation_that_fails_though_its_request_was_cancelled_is_logged(
    suspending: SessionStorageConnector, caplog: pytest.LogCaptureFixture
) -> None:
    token = session_token(suspending, {"user": "u"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"].clear()
        suspending.revocations.down = True  # type: ignore[attr-defined]
        scope["stop"]()
        await asyncio.Event().wait()

    made = _within_anyio(CookieSessionMiddleware(app, connector=suspending))
    with pytest.raises(TimeoutError):
        run(made, token=token)
    assert "while its request was cancelled" in caplog.text


# What is owed when the application fails.

OWING: dict[str, Callable[[Any], Any]] = {
    "supersede": lambda s: s.asupersede(),
    "delete_other_sessions": lambda s: s.adelete_other_sessions(),
    "delete_other_sessions, queued": lambda s: s.delete_other_sessions(),
    "save after a login": lambda s: (s.update(user="v"), s.async_save())[1],
}


def _failing(act: Callable[[Any], Any], error: BaseException) -> App:
    async def fail(session: Any) -> None:
        await done(act, session)
        session["lost"] = True
        raise error

    return view(fail)


@lists
@pytest.mark.parametrize("act", OWING)
def test_a_cookie_that_is_owed_goes_out_with_the_500(
    request: pytest.FixtureRequest, list_kind: str, act: str
) -> None:
    node = request.getfixturevalue(list_kind)
    token = session_token(node, {"user": "u"})
    sent: Messages = []
    app = CookieSessionMiddleware(_failing(OWING[act], LookupError()), connector=node)
    with pytest.raises(LookupError):
        run(app, token=token, sent=sent)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 500
    assert header(sent, "cache-control") == ["no-store"]
    (cookie,) = header(sent, "set-cookie")
    assert node.get_session(token) is None
    user = "v" if "login" in act else "u"
    assert node.get_session(cookie.partition("=")[2].partition(";")[0]) == {"user": user}


def test_it_goes_out_though_the_list_fails_then(far: SessionStorageConnector) -> None:
    token = session_token(far, {"user": "u"})

    async def fail(session: Any) -> None:
        await session.asupersede()
        far.revocations.down = True  # type: ignore[attr-defined]
        await session.asupersede()

    sent: Messages = []
    with pytest.raises(RevocationListUnavailable):
        run(CookieSessionMiddleware(view(fail), connector=far), token=token, sent=sent)
    far.revocations.down = False  # type: ignore[attr-defined]
    (cookie,) = header(sent, "set-cookie")
    assert far.get_session(cookie.partition("=")[2].partition(";")[0]) == {"user": "u"}


class HeldList(NetworkList):
    """A network list that can keep whoever asks waiting."""

    waits: asyncio.Event | None = None

    async def alookup(self, scopes: Sequence[bytes], **more: Any) -> Any:
        if self.waits is not None:
            self.waits.set()
            await asyncio.Event().wait()  # for ever
        return self.lookup(scopes, **more)


@pytest.fixture
def held(clock: Clock) -> Iterator[SessionStorageConnector]:
    yield from _connector(HeldList(clock), clock)


@pytest.mark.parametrize("answered", [True, False])
def test_after_a_response_that_was_cancelled_before_it_started_another_one_saves(
    held: SessionStorageConnector, answered: bool
) -> None:
    """As where an application gives a response some seconds, and sends another at their end."""
    revocations: Any = held.revocations
    token = session_token(held, {"user": "u"})
    start = {"type": "http.response.start", "status": 200, "headers": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not answered:  # when the session was touched: the list is asked again, then
            revocations.down = True
            with pytest.raises(RevocationListUnavailable):
                await scope["session"].aload()
            with pytest.raises(SessionError):
                scope["session"].get("user")
            revocations.down = False
        else:
            await scope["session"].aload()
            scope["session"]["seen"] = 1
        revocations.waits = waits = asyncio.Event()
        first = asyncio.ensure_future(send(start))
        await waits.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        revocations.waits = None
        await scope["session"].aload()
        scope["session"]["seen"] = 2
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    sent: Messages = []
    made = CookieSessionMiddleware(app, connector=held, exempt=("/",))
    run(made, token=token, sent=sent)
    (cookie,) = header(sent, "set-cookie")
    value = cookie.partition("=")[2].partition(";")[0]
    assert held.get_session(value) == {"user": "u", "seen": 2}


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_cancellation_is_answered_by_nobody(
    connector: SessionStorageConnector, error: BaseException
) -> None:
    token = session_token(connector, {"user": "u"})
    sent: Messages = []
    app = CookieSessionMiddleware(_failing(OWING["supersede"], error), connector=connector)
    with pytest.raises(type(error)):
        run(app, token=token, sent=sent)
    assert sent == []


def test_where_nothing_is_owed_the_handlers_outside_answer(
    connector: SessionStorageConnector,
) -> None:
    token = session_token(connector, {"user": "u"})
    sent: Messages = []
    app = CookieSessionMiddleware(
        _failing(lambda s: s.get("a"), LookupError()), connector=connector
    )
    with pytest.raises(LookupError):
        run(app, token=token, sent=sent)
    assert sent == []


def test_a_response_that_has_started_is_not_answered_twice(
    connector: SessionStorageConnector,
) -> None:
    token = session_token(connector, {"user": "u"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await scope["session"].asupersede()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError

    sent: Messages = []
    with pytest.raises(LookupError):
        run(CookieSessionMiddleware(app, connector=connector), token=token, sent=sent)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert header(sent, "set-cookie")


def test_a_handshake_that_fails_hands_it_out_where_it_can_be_answered(
    connector: SessionStorageConnector,
) -> None:
    for extensions, types in (
        ((), []),
        (
            ("websocket.http.response",),
            ["websocket.http.response.start", "websocket.http.response.body"],
        ),
    ):
        token = session_token(connector, {"user": "u"})
        sent: Messages = []
        app = CookieSessionMiddleware(
            _failing(OWING["supersede"], LookupError()), connector=connector
        )
        with pytest.raises(LookupError):
            run(app, kind="websocket", token=token, sent=sent, extensions=extensions)
        assert [message["type"] for message in sent] == types
        assert not types or header(sent, "set-cookie")


@pytest.mark.parametrize("debug", [True, False])
def test_inside_the_middleware_that_answers_exceptions(
    connector: SessionStorageConnector, debug: bool
) -> None:
    """As Starlette's and FastAPI's add_middleware() puts it."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def failing(request: Any) -> PlainTextResponse:
        request.session.supersede()
        raise LookupError

    async def handled(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("of the application", 500)

    app = Starlette(
        debug=debug,
        routes=[Route("/", failing)],
        middleware=[Middleware(CookieSessionMiddleware, connector=connector)],
        exception_handlers={Exception: handled},
    )
    token = session_token(connector, {"user": "u"})
    sent: Messages = []
    with pytest.raises(LookupError):
        run_starlette(app, token=token, sent=sent)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    (cookie,) = header(sent, "set-cookie")
    assert connector.get_session(cookie.partition("=")[2].partition(";")[0]) == {"user": "u"}


# Saves that fail.


@pytest.mark.parametrize("value", ["x" * 5000, object()])
def test_a_save_that_fails_raises_in_debug_mode(
    connector: SessionStorageConnector, value: object
) -> None:
    token = session_token(connector, {"a": 1})
    app = view(lambda s: s.update(b=value))
    sent: Messages = []
    with pytest.raises((SessionTooLarge, SessionSerializationError)):
        run(CookieSessionMiddleware(app, connector=connector, debug=True), token=token, sent=sent)
    assert sent == []  # so that whoever answers exceptions can
    assert connector.get_session(token) == {"a": 1}


@pytest.mark.parametrize(
    ("value", "reason"), [("x" * 5000, "too large"), (object(), "not serializable")]
)
def test_a_save_that_fails_is_logged_and_counted_otherwise(
    connector: SessionStorageConnector,
    value: object,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = session_token(connector, {"a": 1})
    app = view(lambda s: s.update(heavy=value), [(b"x", b"1")])
    sent = run(CookieSessionMiddleware(app, connector=connector), token=token)
    assert sent[0]["status"] == 200
    assert header(sent, "x") == ["1"]
    assert header(sent, "vary") == ["Cookie"]
    assert not header(sent, "set-cookie")
    assert sent[1]["body"] == b"of the application"
    assert [(record.levelname, "heavy" in record.getMessage()) for record in caplog.records] == [
        ("ERROR", True)
    ]
    not_saved = connector.stats()["not_saved"]
    assert isinstance(not_saved, dict)
    assert {name: count for name, count in not_saved.items() if count} == {reason: 1}


def test_in_debug_mode_what_is_owed_goes_out_though_the_save_fails(
    connector: SessionStorageConnector,
) -> None:
    token = session_token(connector, {"a": 1})
    app = view(lambda s: (s.supersede(), s.update(b="x" * 5000)))
    sent: Messages = []
    with pytest.raises(SessionTooLarge):
        run(CookieSessionMiddleware(app, connector=connector, debug=True), token=token, sent=sent)
    (cookie,) = header(sent, "set-cookie")
    assert connector.get_session(cookie.partition("=")[2].partition(";")[0]) == {"a": 1}


# What caches may do.


@pytest.mark.parametrize(
    ("act", "own", "expected"),
    [
        (lambda s: None, None, []),
        (lambda s: None, "public, max-age=60", ["public, max-age=60"]),
        (lambda s: s.get("a"), None, ["private, no-cache"]),
        (lambda s: s.get("a"), "public, max-age=60", ["public, max-age=60"]),
        (lambda s: s.update(a=2), None, ["no-store"]),
        (lambda s: s.update(a=2), "public, max-age=60", ["no-store"]),
        (lambda s: s.clear(), None, ["no-store"]),
        (lambda s: s.clear(), "max-age=60", ["no-store"]),
    ],
)
def test_what_caches_are_told(
    connector: SessionStorageConnector,
    act: Callable[[Any], Any],
    own: str | None,
    expected: list[str],
) -> None:
    token = session_token(connector, {"a": 1})
    headers = [] if own is None else [(b"Cache-Control", own.encode())]
    sent = run(CookieSessionMiddleware(view(act, headers), connector=connector), token=token)
    found = [
        value.decode() for name, value in sent[0]["headers"] if name.lower() == b"cache-control"
    ]
    assert found == expected


def test_another_session_in_the_place_of_ours_is_logged_once(
    connector: SessionStorageConnector, caplog: pytest.LogCaptureFixture
) -> None:
    class Other(dict[str, object]):
        pass

    async def replacing(scope: Any, receive: Any, send: Any) -> None:
        scope["session"] = Other()
        await view(lambda s: s.update(a=1))(scope, receive, send)

    inner = CookieSessionMiddleware(view(lambda s: None), connector=connector)
    for app in (replacing, replacing, inner):
        assert header(run(CookieSessionMiddleware(app, connector=connector)), "set-cookie") == []
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "Other" in record.getMessage()
    assert "Take out the other session middleware" in record.getMessage()


# Once the response has started.

REFUSED: dict[str, Callable[[Any], Any]] = {
    "clear": lambda s: s.clear(),
    "flush": lambda s: s.flush(),
    "delete": lambda s: s.delete(),
    "set_expiry": lambda s: s.set_expiry(10),
    "create": lambda s: s.create(),
    "cycle_key": lambda s: s.cycle_key(),
    "supersede": lambda s: s.supersede(),
    "delete_other_sessions": lambda s: s.delete_other_sessions(),
    "save": lambda s: s.save(),
    "assign_new_session_key": lambda s: s.assign_new_session_key(),
    "aclear": lambda s: s.aclear(),
    "adelete": lambda s: s.adelete(),
    "asupersede": lambda s: s.asupersede(),
    "adelete_other_sessions": lambda s: s.adelete_other_sessions(),
    "async_save": lambda s: s.async_save(),
}
WRITES: dict[str, Callable[[Any], Any]] = {
    "set": lambda s: s.__setitem__("b", 1),
    "delete": lambda s: s.pop("b"),
    "update": lambda s: s.update(b=2),
    "|=": lambda s: s.__ior__({"b": 2}),
    "setdefault": lambda s: s.setdefault("c", 1),
    "popitem": lambda s: s.popitem(),
}


def socket(before: Callable[[Any], Any], after: Callable[[Any], Any] = lambda s: None) -> App:
    """An application that accepts a websocket, and does something before and after that."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        before(scope["session"])
        await send({"type": "websocket.accept", "headers": [(b"x", b"1")]})
        await done(after, scope["session"])
        await send({"type": "websocket.close", "code": 1000})

    return app


def streaming(before: Callable[[Any], Any], after: Callable[[Any], Any]) -> App:
    """An application that starts its response, and does something before and after that."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        before(scope["session"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await done(after, scope["session"])
        await send({"type": "http.response.body", "body": b"two"})

    return app


def _nothing(session: Any) -> None:
    pass


def _read(session: Any) -> None:
    session.get("a")


started_kinds = pytest.mark.parametrize("kind", ["http", "websocket"])
looked_at = pytest.mark.parametrize("before", [_nothing, _read])
STARTED = {"http": streaming, "websocket": socket}


@started_kinds
@looked_at
@lists
@pytest.mark.parametrize("change", REFUSED)
def test_what_would_kill_the_cookie_is_refused_once_the_response_has_started(
    request: pytest.FixtureRequest,
    list_kind: str,
    kind: str,
    before: Callable[[Any], None],
    change: str,
) -> None:
    node = request.getfixturevalue(list_kind)
    data = {"user": "u", "b": 1}
    token, other = session_token(node, data), session_token(node, data)

    async def later(session: Any) -> None:
        with pytest.raises(SessionError, match=r"response has started.*delete_session"):
            await done(REFUSED[change], session)
        assert dict(session) == data

    app = CookieSessionMiddleware(STARTED[kind](before, later), connector=node)
    sent = run(app, kind=kind, token=token)
    assert not header(sent, "set-cookie")
    assert node.get_session(token) == node.get_session(other) == data


@started_kinds
@looked_at
@pytest.mark.parametrize("write", WRITES)
def test_a_write_once_the_response_has_started_raises_in_debug_mode(
    connector: SessionStorageConnector, kind: str, before: Callable[[Any], None], write: str
) -> None:
    token = session_token(connector, {"b": 1})

    def later(session: Any) -> None:
        with pytest.raises(SessionError, match="after the response had started"):
            WRITES[write](session)
        assert dict(session) == {"b": 1}

    app = CookieSessionMiddleware(STARTED[kind](before, later), connector=connector, debug=True)
    run(app, kind=kind, token=token)
    assert connector.get_session(token) == {"b": 1}


@started_kinds
@looked_at
@pytest.mark.parametrize("write", WRITES)
def test_a_write_once_the_response_has_started_is_logged_otherwise(
    connector: SessionStorageConnector,
    kind: str,
    before: Callable[[Any], None],
    write: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = session_token(connector, {"b": 1})
    later = STARTED[kind](before, WRITES[write])
    run(CookieSessionMiddleware(later, connector=connector), kind=kind, token=token)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    key = {"setdefault": "session['c']", "popitem": "last key"}.get(write, "session['b']")
    assert key in errors[0].getMessage()
    assert connector.get_session(token) == {"b": 1}


def test_debug_is_what_the_application_says(connector: SessionStorageConnector) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    session: list[Any] = []

    async def look(request: Any) -> PlainTextResponse:
        session[:] = [request.session]
        return PlainTextResponse("seen")

    for debug in (True, False):
        app = Starlette(debug=debug, routes=[Route("/", look)])
        for asked, expected in ((None, debug), (not debug, not debug)):
            inside = CookieSessionMiddleware(app, connector=connector, debug=asked)
            sent = run_starlette(inside)
            assert sent[0]["status"] == 200
            with contextlib.ExitStack() as stack:
                if expected:
                    stack.enter_context(pytest.raises(SessionError))
                session[0]["late"] = 1


def run_starlette(app: App, **options: Any) -> Messages:
    """`run` with what Starlette's routing wants to know besides."""

    async def with_method(scope: Any, receive: Any, send: Any) -> None:
        scope.update(method="GET", query_string=b"", root_path="")
        await app(scope, receive, send)

    return run(with_method, **options)


def test_a_late_logout_has_a_way(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})

    async def log_out(session: Any) -> None:
        await far.adelete_session(session.session_id)

    run(CookieSessionMiddleware(streaming(_nothing, log_out), connector=far), token=token)
    assert far.get_session(token) is None


def test_a_late_logout_that_the_list_does_not_take_is_an_error(
    far: SessionStorageConnector,
) -> None:
    token = session_token(far, {"a": 1})

    async def log_out(session: Any) -> None:
        with down(far):
            await far.adelete_session(session.session_id)

    with pytest.raises(RevocationListUnavailable):
        run(CookieSessionMiddleware(streaming(_nothing, log_out), connector=far), token=token)
    assert far.get_session(token) == {"a": 1}


def _change_and_say_so(session: Any) -> None:
    session["cart"].append(1)
    session.modified = True


@started_kinds
@pytest.mark.parametrize("change", [lambda s: s["cart"].append(1), _change_and_say_so])
def test_a_nested_change_once_the_response_has_started_is_logged(
    connector: SessionStorageConnector,
    kind: str,
    change: Callable[[Any], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = session_token(connector, {"cart": []})
    later = STARTED[kind](_nothing, change)
    run(CookieSessionMiddleware(later, connector=connector), kind=kind, token=token)
    assert "after the response had started" in caplog.text
    assert connector.get_session(token) == {"cart": []}


@lists
@pytest.mark.parametrize("act", ["read", "write", "clear", "caught"])
def test_an_unreachable_list_is_503(
    request: pytest.FixtureRequest, list_kind: str, act: str
) -> None:
    node = request.getfixturevalue(list_kind)
    token = session_token(node, {"a": 1})

    def touch(session: Any) -> None:
        if act == "write":
            session["a"] = 2
        elif act == "clear":
            session.clear()
        else:
            session.get("a")

    async def caught(scope: Any, receive: Any, send: Any) -> None:
        try:
            touch(scope["session"])
        except SessionError:  # as a framework does that answers for its views
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"of the application"})

    app = CookieSessionMiddleware(caught if act == "caught" else view(touch), connector=node)
    with down(node):
        sent = run(app, token=token)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503
    assert header(sent, "retry-after") == ["1"]
    assert not header(sent, "set-cookie")
    assert b"application" not in sent[1]["body"]
    assert node.get_session(token) == {"a": 1}


# Websockets.


def test_a_websocket_reads_its_session(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})
    seen: list[Any] = []
    look = lambda session: seen.append(session["a"])  # noqa: E731  # twice the same
    app = CookieSessionMiddleware(socket(look, look), connector=connector)
    sent = run(app, kind="websocket", token=token)
    assert seen == [1, 1]
    assert not header(sent, "set-cookie")
    assert header(sent, "x") == ["1"]


def test_a_handshake_may_set_the_cookie(connector: SessionStorageConnector) -> None:
    app = CookieSessionMiddleware(socket(lambda s: s.update(a=1)), connector=connector)
    (cookie,) = header(run(app, kind="websocket"), "set-cookie")
    token = cookie.partition("=")[2].partition(";")[0]
    assert connector.get_session(token) == {"a": 1}


def test_a_refused_handshake_still_revokes(far: SessionStorageConnector) -> None:
    token = session_token(far, {"a": 1})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        scope["session"].clear()
        await send({"type": "websocket.close", "code": 4000})

    sent = run(CookieSessionMiddleware(app, connector=far), kind="websocket", token=token)
    assert sent == [{"type": "websocket.close", "code": 4000}]
    assert far.get_session(token) is None


def test_a_refused_handshake_changes_no_session(connector: SessionStorageConnector) -> None:
    token = session_token(connector, {"a": 1})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        scope["session"].cycle_key()  # the cookie with the new id could not go out
        await send({"type": "websocket.close", "code": 4000})

    run(CookieSessionMiddleware(app, connector=connector), kind="websocket", token=token)
    assert connector.get_session(token) == {"a": 1}


@lists
def test_a_handshake_without_the_list_is_refused(
    request: pytest.FixtureRequest, list_kind: str
) -> None:
    node = request.getfixturevalue(list_kind)
    token = session_token(node, {"a": 1})
    app = CookieSessionMiddleware(socket(lambda s: s["a"]), connector=node)
    with down(node):
        (closed,) = run(app, kind="websocket", token=token)
        denied = run(app, kind="websocket", token=token, extensions=("websocket.http.response",))
    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)
    assert denied[0]["type"] == "websocket.http.response.start"
    assert denied[0]["status"] == 503
    assert denied[1]["type"] == "websocket.http.response.body"


def test_the_old_cookie_is_read_one_last_time(connector: SessionStorageConnector) -> None:
    import of_starlette
    from starlette.middleware.sessions import SessionMiddleware

    old = SessionMiddleware(view(lambda s: s.update(a=1)), of_starlette.OLD_SECRET)
    (cookie,) = header(run(old), "set-cookie")
    seen: list[Any] = []
    inner = of_starlette.TakeOver(view(lambda s: seen.append(s.get("a")), []))
    app = CookieSessionMiddleware(inner, connector=connector)
    sent = run(app, headers=[(b"cookie", cookie.partition(";")[0].encode())])
    deleting, ours = header(sent, "set-cookie")
    assert deleting == "session=; Path=/; Max-Age=0"
    run(app, token=ours.partition("=")[2].partition(";")[0])
    run(app, headers=[(b"cookie", b"session=junk")])
    assert seen == [1, 1, None]
