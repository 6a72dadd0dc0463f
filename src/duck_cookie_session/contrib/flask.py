"""Session interface for Flask.

    app.config.update(SECRET_KEY=..., SESSION_DIR=..., SESSION_COOKIE_SECURE=True)
    CookieSessionInterface(app)

Flask's own config names count: `SECRET_KEY`, `SECRET_KEY_FALLBACKS`, `SESSION_COOKIE_*`,
`PERMANENT_SESSION_LIFETIME` (31 days, of which a session gets `SESSION_ABSOLUTE_AGE` at most),
`SESSION_REFRESH_EACH_REQUEST` (for requests that accessed the session). Every other field of
SessionSettings is `SESSION_` and its name in capitals. `SESSION_COOKIE_SECURE` is Flask's False
unless set; an unset `SESSION_COOKIE_SAMESITE` means Lax.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from datetime import timedelta
from typing import Any

from flask import Flask, Response
from flask import request as flask_request
from flask.sessions import SessionInterface, SessionMixin

from .._cookie import find_cookie
from .._device_endpoints import Answer, device_answer, environ_header
from .._log import logger
from ..errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from ..response import SERVER_ERROR, UNAVAILABLE_BODY, UNAVAILABLE_HEADERS, session_headers
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import SessionStorageConnector
from ..session.duck import import_storage
from ..session.phase import Phase
from ..session.process import register
from ..session.store import SessionStore
from ..settings import SessionSettings, setting_name

_CONFIG = (
    *("SECRET_KEY", "PERMANENT_SESSION_LIFETIME", "APPLICATION_ROOT", "SESSION_SECRET_KEYS"),
    *(setting_name(field.name) for field in fields(SessionSettings) if field.name != "secret_keys"),
)


SUBJECT_KEY = "_user_id"
"""Where Flask-Login keeps the user's id: the default of SESSION_SUBJECT_KEY."""

_ANSWER = "duck_cookie_session.device_answer"  # of the WSGI environment


class FlaskSession(SessionStore, SessionMixin):
    """A SessionStore with the attributes that Flask's sessions have."""

    @property
    def new(self) -> bool:  # type: ignore[override]  # a class attribute in Flask's mixin
        """Whether the request came without a live session."""
        self._touch()
        return self._request.base is None

    @property
    def accessed(self) -> bool:
        """Whether anybody looked into the session; Flask 3.1.3 sets it where `session` is named."""
        return self._request.accessed

    @accessed.setter
    def accessed(self, value: bool) -> None:
        self._request.accessed = value

    @property
    def modified(self) -> bool:
        """Whether the session changed, in nested values too; stays True once it was saved."""
        return self._request.outgoing is not None or super().modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self._request.mark(self, modified=bool(value))

    @property
    def permanent(self) -> bool:
        """Whether the cookie outlives the browser; kept under the key "_permanent"."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


class CookieSessionInterface(SessionInterface):
    """Keeps an application's sessions in their cookies.

    `CookieSessionInterface(app)` and `init_app(app)` read `app.config`, refuse a wrong value there
    and become `app.session_interface`. Set as that by hand, the interface reads it at the first
    request, and can't serve SESSION_DEVICE_BINDING. Either way it is read again when it changes,
    but for the list.

    Args:
        app: the application.
        connector: its settings and its list count, and nothing of `app.config`. None: built from
            `app.config`, where `SESSION_STORAGE` names the class of the revocation list,
            SQLiteRevocationList in `SESSION_DIR` by default.

    An unreachable list becomes 503 with Retry-After and leaves the cookie alone. Responses of
    status 500 and above save no changes. A session that was emptied is ended. In debug and testing
    modes a save that fails raises, else it is logged.

    Raises:
        InvalidArgument: `connector` is something else.
        InvalidSettings: names the setting and what is allowed.
    """

    session_class: Callable[..., FlaskSession] = FlaskSession

    def __init__(
        self, app: Any = None, *, connector: SessionStorageConnector | None = None
    ) -> None:
        self._given = None if connector is None else register(connector, "Flask")
        self._connector: SessionStorageConnector | None = None
        self._config: tuple[Any, ...] = ()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Become the session interface of an application, once its config is complete.

        Raises:
            InvalidArgument: it is not a Flask application.
            InvalidSettings: names the setting and what is allowed.
        """
        if not isinstance(app, Flask):
            raise InvalidArgument(
                f"app is of type {type(app).__name__}, not a Flask application; a connector is "
                "given as connector=..."
            )
        if self._given is None:
            self._of(app)
        app.session_interface = self
        before = app.before_request_funcs.setdefault(None, [])
        if _answer_device not in before:
            before.insert(0, _answer_device)  # before any other that might redirect to a login

    def open_session(self, app: Any, request: Any) -> FlaskSession | None:
        """The session of a request, untouched; None without a SECRET_KEY, as Flask has it."""
        connector = self._given
        if connector is None:
            if not app.secret_key:
                return None
            connector = self._of(app)
        environ = request.environ
        find = functools.partial(_find, environ, connector.settings.cookie_name)
        session = self.session_class(find, connector=connector)
        if connector.rules.seals is not None:
            if _answer_device not in app.before_request_funcs.get(None, ()):
                raise InvalidSettings(
                    "SESSION_DEVICE_BINDING is 'offer', and the session interface was set by hand: "
                    "call CookieSessionInterface().init_app(app), or nobody answers the browsers."
                )
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            header = functools.partial(environ_header, environ)
            environ[_ANSWER] = device_answer(session._request, request.method, path, header)
        session._request.phase = Phase.OPEN
        session._request.debug = app.debug or app.testing
        return session

    def save_session(self, app: Any, session: Any, response: Any) -> None:
        """Save if that is due, and put the headers onto the response."""
        if session is None:  # open_session() raised, and that is what the log should show
            return
        if flask_request.environ.get(_ANSWER) is not None:
            return  # nothing of the session is in it, whatever an after_request() has written
        failed = response.status_code >= SERVER_ERROR
        request = session._request
        if request.loaded and not failed:
            if session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"]:
                request.written = True
            # The cookie of a session that is not permanent ends with the browser.
            if request.base is None or request.base.claims.browser_length == session.permanent:
                request.browser_length = not session.permanent
        try:
            vary = ", ".join(response.headers.getlist("Vary"))
            cache_control = response.headers.get("Cache-Control")
            added = session_headers(session, failed=failed, vary=vary, cache_control=cache_control)
        except RevocationListUnavailable as error:
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            for name in [name for name, _ in response.headers if name.startswith("Content-")]:
                del response.headers[name]
            response.status_code = 503
            response.direct_passthrough = False
            response.set_data(UNAVAILABLE_BODY)
            added = list(UNAVAILABLE_HEADERS)
        request.phase = Phase.CLOSED
        for name, value in added:
            if name == "Set-Cookie":
                response.headers.add(name, value)
            else:
                response.headers[name] = value

    def _of(self, app: Any) -> SessionStorageConnector:
        """The connector of an application by what its config says now."""
        config = app.config
        fallbacks = config.get("SECRET_KEY_FALLBACKS")
        if isinstance(fallbacks, list):
            fallbacks = tuple(fallbacks)  # one that grows later is noticed
        now = (fallbacks, *map(config.get, _CONFIG))
        if self._connector is None or now != self._config:
            settings, storage = self.described(app)
            before = self._connector
            if before is not None:  # the list stays, whatever else changes
                storage = functools.partial(_same, before.revocations)
            made = SessionStorageConnector(storage, settings=settings)
            user = f"the Flask application {app.name!r}"
            self._connector = register(made, user, replaces=before)
            self._config = now
        return self._connector

    def described(self, app: Any) -> tuple[SessionSettings, Any]:
        """What sessions of an application go by: settings, and what gives the revocation list.

        Raises:
            InvalidSettings: names the setting and what is allowed.
        """
        if self._given is not None:
            return self._given.settings, functools.partial(_same, self._given.revocations)
        given = {name: value for name, value in app.config.items() if value is not None}
        given["SESSION_COOKIE_PATH"] = self.get_cookie_path(app)
        settings = SessionSettings.from_mapping(
            given, cookie_age=_lifetime(app), subject_key=SUBJECT_KEY
        )
        return settings, import_storage(app.config.get("SESSION_STORAGE", SQLiteRevocationList))


def _answer_device() -> Response | None:
    """Answer in the place of the application, and of what it does before each request.

    Found in `open_session()`: to name `flask.session` here would count as a look into it.
    """
    answer: Answer | None = flask_request.environ.get(_ANSWER)
    return None if answer is None else Response(answer.body, answer.status, list(answer.headers))


def _same(revocations: Any) -> Any:
    return revocations


def _find(environ: dict[str, Any], name: str) -> str | None:
    return find_cookie(environ.get("HTTP_COOKIE", ""), name)


def _lifetime(app: Any) -> timedelta:
    try:
        lifetime: timedelta = app.permanent_session_lifetime
    except (TypeError, OverflowError) as error:  # Flask's own conversion
        raise InvalidSettings(
            "PERMANENT_SESSION_LIFETIME is no time that Flask can read; allowed: seconds, "
            "as an int, or a timedelta."
        ) from error
    return lifetime
