"""What only Django's engine and middleware do, over Django's own settings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings

from tests.helpers import SECRET, NetworkList
from tests.helpers.device_browser import Answer, DeviceBrowser, signed

sys.path.append(str(Path(__file__).parent / "migration"))

if not settings.configured:
    settings.configure(
        SECRET_KEY=SECRET,
        SESSION_ENGINE="duck_cookie_session.contrib.django",
        SESSION_COOKIE_NAME="session_id",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangosOwn
from django.core.management import call_command
from django.db.models import TextChoices
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.test.utils import (
    override_settings,
    setup_test_environment,
    teardown_test_environment,
)
from django.urls import re_path
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from duck_cookie_session import (
    InvalidSettings,
    SessionError,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
    SQLiteRevocationList,
    get_session_storage_connector,
)
from duck_cookie_session.contrib.django import SessionMiddleware, SessionStore, get_connector
from duck_cookie_session.errors import RevocationListUnavailable
from duck_cookie_session.session.judging import Opened
from duck_cookie_session.testing import read_session, session_token

COOKIE = "session_id"


class SwitchableFile(SQLiteRevocationList):
    """An SQLite list that can stop answering."""

    down = False
    ahead = 0.0

    def __init__(self, directory: str) -> None:
        super().__init__(directory, clock=lambda: time.time() + self.ahead)

    def lookup(self, *args: Any, **options: Any) -> Any:
        if type(self).down:
            raise RevocationListUnavailable("The list of this test is switched off.")
        return super().lookup(*args, **options)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> Iterator[None]:
    with override_settings(SESSION_DIR=str(tmp_path), SESSION_STORAGE=SwitchableFile):
        yield
    SwitchableFile.down, SwitchableFile.ahead = False, 0.0


def started(**data: Any) -> SessionStore:
    """A saved session."""
    session = SessionStore()
    session.update(data)
    session.save()
    return session


def serve(
    view: Callable[[Any], Any], token: str | None = None, middleware: Any = SessionMiddleware
) -> Any:
    """One request through the middleware."""
    factory = RequestFactory()
    if token is not None:
        factory.cookies[COOKIE] = token
    request = factory.get("/")

    def answered(given: Any) -> Any:
        answer = view(given.session)
        return answer if isinstance(answer, HttpResponseBase) else HttpResponse("of the view")

    return middleware(answered)(request)


def token_of(response: Any) -> str:
    value: str = response.cookies[COOKIE].value
    return value


# Settings.


def test_djangos_names_count() -> None:
    with override_settings(
        SESSION_COOKIE_AGE=77, SESSION_COOKIE_SAMESITE=False, SECRET_KEY_FALLBACKS=["f" * 40]
    ):
        made = get_connector().settings
    assert made.cookie_age == 77
    assert made.cookie_samesite is None
    assert made.secret_keys == (SECRET, "f" * 40)
    assert made.subject_key == "_auth_user_id"
    assert get_connector().settings.cookie_samesite == "Lax"


def test_a_wrong_setting_is_named() -> None:
    with (
        override_settings(SESSION_ABSOLUTE_AGE=0),
        pytest.raises(InvalidSettings, match="SESSION_ABSOLUTE_AGE"),
    ):
        get_connector()


def test_without_a_folder_the_error_says_so() -> None:
    with override_settings(SESSION_DIR=None), pytest.raises(InvalidSettings, match="SESSION_DIR"):
        get_connector()


BOUND = {
    "SESSION_DEVICE_BINDING": "offer",
    "SESSION_COOKIE_NAME": "__Host-session",
    "SESSION_COOKIE_SECURE": True,
    "MIDDLEWARE": ["duck_cookie_session.contrib.django.SessionMiddleware"],
}
WRONG: dict[str, dict[str, Any]] = {
    "SESSION_ABSOLUTE_AGE": {"SESSION_ABSOLUTE_AGE": 0},
    "SESSION_DIR": {"SESSION_DIR": None, "SESSION_STORAGE": SQLiteRevocationList},
    "has only 5 bytes": {"SECRET_KEY": "short"},
    "bytes in secret 2": {"SECRET_KEY_FALLBACKS": ["also short"]},
    "SESSION_COOKIE_SAMESITE": {"SESSION_COOKIE_SAMESITE": "lux"},
    "not a revocation list": {"SESSION_STORAGE": "django.http.HttpResponse"},
    "can't be imported": {"SESSION_STORAGE": "of.nothing"},
    "not a class": {"SESSION_STORAGE": 7},
    "a __Host- name": BOUND | {"SESSION_COOKIE_NAME": "sessionid"},
    "SESSION_COOKIE_SECURE": BOUND | {"SESSION_COOKIE_SECURE": False},
    "answers no browser": BOUND
    | {"MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"]},
}


@pytest.mark.parametrize("match", WRONG)
def test_a_wrong_value_is_refused_at_start(match: str) -> None:
    from duck_cookie_session.contrib.django._checks import check_settings

    with override_settings(**WRONG[match]):
        with pytest.raises(InvalidSettings, match=match):
            SessionMiddleware(lambda request: HttpResponse())  # what load_middleware() does
        (error,) = check_settings()
    assert error.is_serious()
    assert match in error.msg
    assert check_settings() == []


def manage(command: str, **changed: Any) -> subprocess.CompletedProcess[str]:
    """A command of manage.py, in a project of its own."""
    given = {
        "SECRET_KEY": SECRET,
        "SESSION_ENGINE": "duck_cookie_session.contrib.django",
        "SESSION_DIR": "sessions",
        "ROOT_URLCONF": "__main__",
        "DEFAULT_AUTO_FIELD": "django.db.models.AutoField",
        **changed,
    }
    given["INSTALLED_APPS"] = [
        *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"),
        *("duck_cookie_session.contrib.django", *changed.get("INSTALLED_APPS", ())),
    ]
    program = (
        "from django.conf import settings\n"
        f"settings.configure(**{given!r})\n"
        "urlpatterns = []\n"
        "from django.core.management import execute_from_command_line\n"
        f"execute_from_command_line(['manage.py', {command!r}])\n"
    )
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )


@pytest.mark.slow
def test_manage_py_check_says_what_is_wrong() -> None:
    assert manage("check").returncode == 0
    wrong = manage("check", SESSION_ABSOLUTE_AGE=0)
    assert wrong.returncode == 1
    assert "duck_cookie_session.E001" in wrong.stderr
    assert "SESSION_ABSOLUTE_AGE" in wrong.stderr
    others = "django.contrib.sessions.backends.db"
    assert manage("check", SESSION_ABSOLUTE_AGE=0, SESSION_ENGINE=others).returncode == 0


def test_manage_py_check_warns_of_a_misspelt_name_and_not_of_other_packages() -> None:
    from duck_cookie_session.contrib.django._checks import check_names

    with override_settings(
        SESSION_SAVE_EVERY_REQUEST=False, SESSION_SECURITY_WARN_AFTER=540, SESSION_REDIS={}
    ):
        assert check_names() == []
    with override_settings(SESSION_SUBJECT_KEYS="user", SESSION_REVOCATION_DATABASES=None):
        found = check_names()
    assert [message.id for message in found] == ["duck_cookie_session.W003"] * 2
    assert "'SESSION_REVOCATION_DATABASES'" in found[0].msg
    assert found[0].hint == "Did you mean SESSION_REVOCATION_DATABASE?"
    assert "'SESSION_SUBJECT_KEYS'" in found[1].msg
    assert found[1].hint == "Did you mean SESSION_SUBJECT_KEY?"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "code", "said"),
    [
        ("duck_cookie_session.engine", 1, "no engine for Django, and would save nothing"),
        ("duck_cookie_session.contrib.djang", 1, "No module named"),
        ("django.contrib.sessions.backends.db", 0, "end none of them"),
    ],
)
def test_manage_py_check_says_where_sessions_are_kept_otherwise(
    engine: str, code: int, said: str
) -> None:
    found = manage("check", SESSION_ENGINE=engine)
    assert found.returncode == code
    assert said in found.stderr
    assert "SESSION_ENGINE = 'duck_cookie_session.contrib.django'" in found.stderr


def test_an_engine_that_is_none_of_djangos_is_refused_when_the_server_starts() -> None:
    with (
        override_settings(SESSION_ENGINE="duck_cookie_session.engine"),
        pytest.raises(InvalidSettings, match="no engine for Django"),
    ):
        SessionMiddleware(lambda request: None)


PACKAGES = {
    "allauth.usersessions": ["allauth", "allauth.account", "allauth.usersessions"],
    "user_sessions": ["user_sessions"],
    "qsessions": ["qsessions"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGES)
def test_manage_py_check_names_packages_that_keep_the_key(name: str) -> None:
    account = "allauth.account.middleware.AccountMiddleware"
    found = manage(
        "check",
        INSTALLED_APPS=PACKAGES[name],
        MIDDLEWARE=[account] if "allauth" in name else [],
    )
    assert found.returncode == 0, found.stderr
    assert "duck_cookie_session.W001" in found.stderr
    assert f"({name})" in found.stderr
    assert "session_id" in found.stderr


def test_the_connector_of_the_process_is_the_projects(clean_process: None) -> None:
    token = started(_auth_user_id="7").session_key
    assert get_session_storage_connector() is get_connector()
    with override_settings(SESSION_COOKIE_NAME="another"):  # nobody was served yet
        assert get_session_storage_connector().settings.cookie_name == "another"
    get_session_storage_connector().delete_subject("7")
    assert SessionStore(token).get("_auth_user_id") is None


def test_secrets_rotate() -> None:
    token = started(a=1).session_key
    with override_settings(SECRET_KEY="n" * 40, SECRET_KEY_FALLBACKS=[SECRET]):
        assert SessionStore(token)["a"] == 1
    with override_settings(SECRET_KEY="n" * 40):
        assert SessionStore(token).get("a") is None


# Expiry in all its forms.


def expires_in(session: SessionStore) -> float:
    """Seconds until the saved token expires."""
    opened = get_connector().load(session.session_key)
    assert isinstance(opened, Opened)
    return opened.claims.expires_ms / 1000 - time.time()


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (300, 300),
        (timedelta(minutes=5), 300),
        ("in two hours", 7200),
        (None, 1_209_600),
        (0, 1_209_600),  # until the browser closes; the server's own limit stays
    ],
)
def test_expiry(use_tz: bool, given: Any, seconds: float) -> None:
    if given == "in two hours":
        given = datetime.now(UTC) + timedelta(hours=2)
    with override_settings(USE_TZ=use_tz):
        session = SessionStore()
        session["a"] = 1
        session.set_expiry(given)
        session.save()
        assert seconds - 60 < expires_in(session) <= seconds
        assert session.get_expire_at_browser_close() is (given == 0)


def test_expiry_in_local_time_without_a_zone() -> None:
    with override_settings(USE_TZ=False):
        session = SessionStore()
        session["a"] = 1
        session.set_expiry(datetime.now() + timedelta(hours=1))
        session.save()
        assert 3590 < expires_in(session) <= 3600


def test_a_lifetime_is_renewed_and_a_date_is_not() -> None:
    lifetime, date = started(a=1), started(a=1)
    lifetime.set_expiry(300)
    date.set_expiry(timedelta(seconds=300))
    for session in (lifetime, date):
        session.save()
        again = SessionStore(session.session_key)
        again["b"] = 2
        again.save()
        renewed = get_connector().load(again.session_key).claims
        assert (renewed.lifetime_ms == 300_000) is (session is lifetime)
        assert again["a"] == 1


def test_an_age_of_its_own_counts() -> None:
    class Short(SessionStore):
        def get_session_cookie_age(self) -> int:
            return 60

    session = Short()
    session["a"] = 1
    session.save()
    assert 50 < expires_in(session) <= 60


# The engine.


def test_the_subject_is_the_user() -> None:
    session = started(_auth_user_id="7")
    get_connector().delete_subject("7")
    assert SessionStore(session.session_key).get("_auth_user_id") is None


@pytest.mark.parametrize(
    "ends",
    [
        lambda session, sent: session.delete(),
        lambda session, sent: asyncio.run(session.adelete()),
        lambda session, sent: (session.get("a"), session.delete()),
        lambda session, sent: session.delete(session.session_key),
        lambda session, sent: session.delete(sent),
        lambda session, sent: get_connector().delete_session(session.session_key),
        lambda session, sent: session.flush(),
    ],
)
def test_whoever_knows_an_id_and_sends_it_as_a_cookie_ends_nothing(
    ends: Callable[[Any, str], object],
) -> None:
    victim = started(_auth_user_id="7")
    ends(SessionStore(victim.session_id), victim.session_id)
    assert SessionStore(victim.session_key).get("_auth_user_id") == "7"


def test_the_id_stays_and_the_key_does_not() -> None:
    session = started(a=1)
    key, identity = session.session_key, session.session_id
    session["a"] = 2
    session.save()
    assert session.session_key != key
    assert session.session_id == identity
    session.cycle_key()
    assert session.session_id != identity
    assert SessionStore().session_id is None


def test_a_nested_change_is_a_change() -> None:
    session = SessionStore(started(cart=[1]).session_key)
    assert session["cart"] == [1]
    assert not session.modified
    session["cart"].append(2)
    assert session.modified
    session.modified = False
    assert not session.modified


def test_lazy_texts_and_choices_are_stored_as_their_text() -> None:
    class Size(TextChoices):
        LARGE = "L", "Large"

    session = started(
        said=[gettext_lazy("hello"), mark_safe("<b>")],
        at=lazystr("/a"),
        _auth_user_id=Size.LARGE,
    )
    read = SessionStore(session.session_key)
    assert dict(read.items()) == {"said": ["hello", "<b>"], "at": "/a", "_auth_user_id": "L"}
    assert {type(value) for value in (*read["said"], read["at"], read["_auth_user_id"])} == {str}
    assert get_connector().delete_subject("L") is None
    assert not SessionStore(session.session_key).exists(session.session_key)


def test_what_cant_be_packed_is_modified_and_fails_at_the_save() -> None:
    session = SessionStore(started(cart=[1]).session_key)
    session["cart"].append(object())
    assert session.modified
    response = serve(lambda s: s["cart"].append(object()), session.session_key)
    assert response.content == b"of the view"
    assert COOKIE not in response.cookies


def test_login_of_a_session_that_ended_meanwhile() -> None:
    session = started(a=1)
    late = SessionStore(session.session_key)
    assert late["a"] == 1
    session.flush()
    with pytest.raises(SessionInterrupted):
        late.cycle_key()


def test_a_save_of_its_own_within_a_late_request_is_refused() -> None:
    session = started(a=1)
    token = session.session_key
    session.flush()
    late = SessionStore(token)
    late["b"] = 1
    with pytest.raises(UpdateError):
        late.save()


def test_a_late_request_that_awaits_its_session_sends_no_cookie() -> None:
    session = started(a=1)
    factory = AsyncRequestFactory()
    factory.cookies[COOKIE] = session.session_key
    session.flush()

    async def view(request: Any) -> HttpResponse:
        await request.session.aload()
        request.session["b"] = 1
        return HttpResponse()

    answered = asyncio.run(SessionMiddleware(view)(factory.get("/")))
    assert COOKIE not in answered.cookies


@pytest.mark.parametrize("middleware", [SessionMiddleware, DjangosOwn])
@pytest.mark.parametrize("twin", [False, True])
def test_a_user_ends_every_other_session(middleware: Any, twin: bool) -> None:
    mine, elsewhere = (started(_auth_user_id="7").session_key for _ in range(2))

    def view(session: SessionStore) -> None:
        if twin:
            asyncio.run(session.adelete_other_sessions())
        else:
            session.delete_other_sessions()

    new = token_of(serve(view, mine, middleware))
    lives = [SessionStore(token).get("_auth_user_id") for token in (mine, elsewhere, new)]
    assert lives == [None, None, "7"]


@pytest.mark.parametrize("middleware", [SessionMiddleware, DjangosOwn])
@pytest.mark.parametrize("twin", [False, True])
def test_of_two_that_supersede_one_wins(middleware: Any, twin: bool) -> None:
    before = started(_auth_user_id="7", credit=5).session_key

    def spend(session: SessionStore) -> None:
        session["credit"] -= 5
        if twin:
            asyncio.run(session.asupersede())
        else:
            session.supersede()

    slower = SessionStore(before)
    assert slower["credit"] == 5
    after = token_of(serve(spend, before, middleware))
    with pytest.raises(SessionRevoked):
        spend(slower)
    assert (SessionStore(before).get("credit"), SessionStore(after).get("credit")) == (None, 0)


def test_a_view_that_fails_after_it_ended_the_others_keeps_its_session() -> None:
    mine = started(_auth_user_id="7").session_key

    def view(session: SessionStore) -> HttpResponse:
        session.delete_other_sessions()
        session["half"] = "done"
        return HttpResponse(status=500)

    new = SessionStore(token_of(serve(view, mine)))
    assert dict(new.items()) == {"_auth_user_id": "7"}


@pytest.mark.skipif(django.VERSION < (5, 1), reason="awaitable sessions came with Django 5.1")
def test_awaitable_twins() -> None:
    async def tour() -> None:
        session = SessionStore()
        session["a"] = 1
        await session.acreate()
        token = session.session_key
        again = SessionStore(token)
        assert await again.aload() == {"a": 1}
        assert await again.aexists(token)
        assert await again.aget("a") == 1
        await again.acycle_key()
        assert not await again.aexists(token)
        await again.adelete()
        assert not await again.aexists(again.session_key)

    asyncio.run(tour())


def test_clearsessions_purges_the_list() -> None:
    connector = get_connector()
    started(a=1).flush()
    assert connector.revocations.survey(connector.rules.scopes.prefix).entries == 1
    call_command("clearsessions")
    assert connector.revocations.survey(connector.rules.scopes.prefix).entries == 1
    SwitchableFile.ahead = connector.settings.absolute_age + 3600
    call_command("clearsessions")
    assert connector.revocations.survey(connector.rules.scopes.prefix).entries == 0


# The middleware.


@pytest.mark.parametrize("middleware", [SessionMiddleware, DjangosOwn])
def test_the_deleting_cookie_is_that_of_djangos_settings(middleware: Any) -> None:
    with override_settings(SESSION_COOKIE_DOMAIN=".example.org", SESSION_COOKIE_PATH="/shop"):
        token = started(a=1).session_key
        response = serve(lambda s: s.flush(), token, middleware)
    cookie = response.cookies[COOKIE]
    assert cookie.value == ""
    assert int(cookie["max-age"]) == 0
    assert (cookie["domain"], cookie["path"]) == (".example.org", "/shop")
    assert response.headers["Vary"] == "Cookie"


def test_a_cookie_that_is_no_key_is_left_alone() -> None:
    for view in (lambda s: s.get("a"), lambda s: s.flush()):
        assert COOKIE not in serve(view, "abc").cookies
    assert COOKIE not in serve(lambda s: s.get("a"), "abc", DjangosOwn).cookies


@pytest.mark.parametrize("blank", ["\u2000", "\u00a0", "\x85", "\x0b", "\x0c", "\x1c", " ", "\t"])
def test_a_cookie_behind_a_blank_never_takes_the_place_of_the_first(blank: str) -> None:
    victim, attacker = started(a="victim").session_key, started(a="attacker").session_key
    request = RequestFactory().get("/")
    # As WSGI has it: the bytes of the header, each one a character.
    header = f"{COOKIE}={victim}; {blank}{COOKIE}={attacker}"
    request.META["HTTP_COOKIE"] = header.encode().decode("latin-1")
    seen: list[Any] = []

    def view(given: Any) -> HttpResponse:
        seen.append(given.session["a"])
        return HttpResponse()

    SessionMiddleware(view)(request)
    request.META["HTTP_COOKIE"] = header  # as ASGI servers may have it
    SessionMiddleware(view)(request)
    assert seen == ["victim", "victim"]


@pytest.mark.parametrize("middleware", [SessionMiddleware, DjangosOwn])
def test_a_store_put_in_the_place_of_the_requests_own_is_saved(middleware: Any) -> None:
    """As django-allauth does when a login at a provider begins."""

    def view(given: Any) -> HttpResponse:
        given.session["state"] = "kept"
        given.session.save()
        given.session = SessionStore(given.session.session_key)
        given.session.modified = True
        return HttpResponse()

    request = RequestFactory().get("/")
    response = middleware(view)(request)
    assert SessionStore(token_of(response))["state"] == "kept"


def test_reading_a_session_past_half_of_its_life_renews_it() -> None:
    with override_settings(SESSION_COOKIE_AGE=3600):
        connector = get_connector()
        old = connector.rules._clock
        connector.rules._clock = lambda: old() - 2000
        token = started(a=1).session_key
        connector.rules._clock = old
        response = serve(lambda s: s.get("a"), token)
        assert SessionStore(token_of(response))["a"] == 1
        assert response.headers["Cache-Control"] == "no-store"
        untouched = serve(lambda s: None, token)
        assert COOKIE not in untouched.cookies


def test_a_read_never_fails_for_a_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(SESSION_COOKIE_AGE=3600):
        connector = get_connector()
        old = connector.rules._clock
        connector.rules._clock = lambda: old() - 2000
        token = started(a=1).session_key
        connector.rules._clock = old

        def look(session: Any) -> HttpResponse:
            answer = HttpResponse(str(session["a"]))
            SwitchableFile.down = True
            return answer

        response = serve(look, token)
        assert (response.status_code, response.content) == (200, b"1")
        assert COOKIE not in response.cookies


def test_too_large_is_logged_with_the_heaviest_keys(caplog: pytest.LogCaptureFixture) -> None:
    token = started(a=1).session_key
    response = serve(lambda s: s.update({"big": "x" * 5000}), token)
    assert response.content == b"of the view"
    assert "big" in caplog.text
    assert response.headers["Vary"] == "Cookie"
    with pytest.raises(SessionTooLarge):
        serve(lambda s: s.update({"big": "x" * 5000}), token, DjangosOwn)


@pytest.mark.parametrize("value", ["x" * 5000, object()])
@pytest.mark.parametrize("mode", ["debug", "testing"])
def test_a_save_that_fails_raises_in_debug_and_testing_modes(mode: str, value: object) -> None:
    token = started(a=1).session_key
    with contextlib.ExitStack() as stack:
        if mode == "debug":
            stack.enter_context(override_settings(DEBUG=True))
        else:
            setup_test_environment()
            stack.callback(teardown_test_environment)
        with pytest.raises((SessionTooLarge, SessionSerializationError)):
            serve(lambda s: s.update({"big": value}), token)
    assert SessionStore(token)["a"] == 1


def test_a_save_that_fails_is_counted() -> None:
    token = started(a=1).session_key
    serve(lambda s: s.update({"big": "x" * 5000}), token)
    serve(lambda s: s.update({"odd": object()}), token)
    not_saved = get_connector().stats()["not_saved"]
    assert isinstance(not_saved, dict)
    assert (not_saved["too large"], not_saved["not serializable"]) == (1, 1)


@pytest.mark.parametrize(
    ("act", "own", "expected"),
    [
        (lambda s: None, None, None),
        (lambda s: None, "public, max-age=60", "public, max-age=60"),
        (lambda s: s.get("a"), None, "private, no-cache"),
        (lambda s: s.get("a"), "public, max-age=60", "public, max-age=60"),
        (lambda s: s.update({"a": 2}), None, "no-store"),
        (lambda s: s.update({"a": 2}), "public, max-age=60", "no-store"),
        (lambda s: s.flush(), "public, max-age=60", "no-store"),
    ],
)
def test_what_caches_are_told(act: Any, own: str | None, expected: str | None) -> None:
    def view(session: Any) -> HttpResponse:
        act(session)
        return HttpResponse(headers={} if own is None else {"Cache-Control": own})

    assert serve(view, started(a=1).session_key).get("Cache-Control") == expected


def test_a_partitioned_cookie() -> None:
    with override_settings(SESSION_COOKIE_PARTITIONED=True, SESSION_COOKIE_SECURE=True):
        written = serve(lambda s: s.update({"a": 1}))
        deleted = serve(lambda s: s.flush(), token_of(written))
        for response, start in ((written, COOKIE + "=gAAAA"), (deleted, COOKIE + "=; ")):
            for sent in (response, pickle.loads(pickle.dumps(response))):  # noqa: S301  # our own
                line = sent.cookies[COOKIE].OutputString()
                assert line.startswith(start)
                assert {"Partitioned", "Secure", "Path=/"} <= set(line.split("; "))
        assert SessionStore(token_of(written)).get("a") is None
        assert "Max-Age=0" in line


class Far(NetworkList):
    """A list across the network, whose awaited calls let others run in between."""

    async def aend(self, scope: bytes) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self.end(scope)


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far(time.time)
    with override_settings(SESSION_STORAGE=lambda: made):
        yield made


def test_a_logout_in_an_async_view_that_is_cancelled(far: Far) -> None:
    token = started(a=1).session_key
    waits = asyncio.Event()

    async def view(request: Any) -> HttpResponse:
        await request.session.aload()
        request.session.flush()
        waits.set()
        await asyncio.Event().wait()  # for ever
        return HttpResponse()

    async def cancelled() -> None:
        factory = AsyncRequestFactory()
        factory.cookies[COOKIE] = token
        task = asyncio.ensure_future(SessionMiddleware(view)(factory.get("/")))
        await waits.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert SessionStore(token).get("a") is None


def test_a_task_that_outlives_a_cancelled_async_view_revokes_nothing_in_silence(far: Far) -> None:
    token = started(a=1).session_key
    waits, over = asyncio.Event(), asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def late(session: Any) -> None:
        await over.wait()
        with pytest.raises(SessionError):
            session.flush()

    async def view(request: Any) -> HttpResponse:
        await request.session.aload()
        tasks.append(asyncio.ensure_future(late(request.session)))
        waits.set()
        await asyncio.Event().wait()  # for ever
        return HttpResponse()

    async def cancelled() -> None:
        factory = AsyncRequestFactory()
        factory.cookies[COOKIE] = token
        task = asyncio.ensure_future(SessionMiddleware(view)(factory.get("/")))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        over.set()
        await tasks[0]

    asyncio.run(cancelled())


# Once the response has started.


def stream(late: Callable[[Any], Any], **options: Any) -> tuple[Any, list[str]]:
    """A streaming response that does something with the session within its body."""
    raised: list[str] = []
    sessions: list[Any] = []

    def body() -> Iterator[str]:
        yield "one "
        try:
            late(sessions[0])
        except SessionError as error:
            raised.append(str(error))
        yield "two"

    def view(session: Any) -> StreamingHttpResponse:
        sessions.append(session)
        return StreamingHttpResponse(body())

    response = serve(view, **options)
    assert b"".join(response.streaming_content) == b"one two"
    return response, raised


@pytest.mark.parametrize("name", ["flush", "delete", "cycle_key", "save", "create"])
def test_what_would_kill_the_cookie_is_refused_once_the_response_has_started(name: str) -> None:
    token = started(a=1).session_key
    _, raised = stream(lambda session: getattr(session, name)(), token=token)
    assert len(raised) == 1
    assert "The response has started" in raised[0]
    assert SessionStore(token)["a"] == 1


LATE: dict[str, Callable[[Any], Any]] = {
    "b": lambda s: s.update({"b": 1}),
    "a": lambda s: s.pop("a"),
    "c": lambda s: s.setdefault("c", 1),
    "_session_expiry": lambda s: s.set_expiry(10),
}


@pytest.mark.parametrize("key", LATE)
@pytest.mark.parametrize("debug", [True, False])
def test_a_write_once_the_response_has_started(
    key: str, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    token = started(a=1).session_key
    with override_settings(DEBUG=debug):
        _, raised = stream(LATE[key], token=token)
    said = raised if debug else [record.getMessage() for record in caplog.records]
    lost = [text for text in said if "after the response had started" in text]
    assert len(lost) == 1
    assert f"session[{key!r}]" in lost[0]
    assert SessionStore(token)["a"] == 1


def test_unreachable_is_503() -> None:
    token = started(a=1).session_key
    SwitchableFile.down = True
    response = serve(lambda s: s.__setitem__("b", 1) or None, None)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    with pytest.raises(RevocationListUnavailable):
        serve(lambda s: s.get("a"), token)  # a view that raises: Django makes a 500 of that first

    def caught(session: Any) -> HttpResponse:
        with pytest.raises(RevocationListUnavailable):
            session.get("a")
        return HttpResponse(status=500)

    assert serve(caught, token).status_code == 503


@pytest.mark.parametrize("middleware", [SessionMiddleware, DjangosOwn])
def test_save_every_request(middleware: Any) -> None:
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        token = started(a=1).session_key
        again = token_of(serve(lambda s: s.get("a"), token, middleware))
        assert SessionStore(again)["a"] == 1
        assert COOKIE not in serve(lambda s: s.get("a"), None, middleware).cookies


def test_other_engines_go_through() -> None:
    with override_settings(SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
        response = serve(lambda s: s.update({"a": 1}))
    assert response.cookies[COOKIE].value


@pytest.mark.parametrize("engine", ["db", "cache", "cached_db", "signed_cookies"])
def test_the_old_session_is_read_one_last_time(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import of_django

    module = import_module(f"django.contrib.sessions.backends.{engine}")
    monkeypatch.setattr(of_django, "OldSession", module.SessionStore)
    call_command("migrate", verbosity=0)
    old = module.SessionStore()
    old["a"] = 1
    old.save()
    seen: list[Any] = []

    def ask(**cookies: str | None) -> Any:
        factory = RequestFactory()
        factory.cookies.load({name: value for name, value in cookies.items() if value})
        request = factory.get("/")

        def view(given: Any) -> HttpResponse:
            seen.append(given.session.get("a"))
            return HttpResponse()

        return SessionMiddleware(of_django.take_over(view))(request)

    response = ask(sessionid=old.session_key)
    assert response.cookies["sessionid"].value == ""
    ask(session_id=token_of(response))
    ask(sessionid=old.session_key)
    assert seen == [1, 1, 1 if engine == "signed_cookies" else None]


@override_settings(SESSION_STORAGE="duck_cookie_session.testing.MemoryListForTests")
def test_the_helpers_for_tests_read_djangos_response() -> None:
    connector = get_connector()
    token = session_token(connector, {"seen": 4})
    written = serve(lambda session: session.update({"seen": session["seen"] + 1}), token)
    assert read_session(connector, written) == {"seen": 5}
    assert read_session(connector, serve(lambda session: session.flush(), token)) == {}
    assert read_session(connector, serve(lambda session: session.get("seen"))) is None


# Bound to the device; the stories are in tests/device.


class Urls:
    """What ROOT_URLCONF is there."""

    @staticmethod
    def login(request: Any) -> HttpResponse:
        request.session["_auth_user_id"] = "7"
        return HttpResponse()

    urlpatterns = (re_path("^login$", login),)


def test_the_answers_to_a_browser_that_binds_sessions_stand_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(**BOUND, ROOT_URLCONF=Urls, SESSION_SAVE_EVERY_REQUEST=True):
        client = Client()
        offered = client.get("/login")["Secure-Session-Registration"]
        browser = DeviceBrowser(lambda *_: Answer(200, [], b""), time.time)
        browser.take(Answer(200, [("Secure-Session-Registration", offered)], b""))
        (offer,) = browser.offers
        response = signed(offer.private, offer.challenge, with_key=True)
        headers = {"Secure-Session-Response": response}
        answer = client.post("/.session-device/registration", headers=headers)
        assert answer.status_code == 200
        kinds = [name[: -len("-12345678")] for name in answer.cookies]
        assert kinds == ["__Host-session-key", "__Host-session-proof"]
        caplog.clear()
        headers = {"Sec-Secure-Session-Id": answer.json()["session_identifier"]}
        answer = client.post("/.session-device/refresh", headers=headers)
    assert answer.status_code == 403
    assert not answer.cookies
    # Django logs such an answer as a warning; this one is how each renewal begins.
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == []
