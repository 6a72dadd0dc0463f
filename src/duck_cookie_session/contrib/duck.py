"""Session middleware for Duck: put it in place of Duck's own SessionMiddleware.

    MIDDLEWARES = [..., "duck_cookie_session.contrib.duck.SessionMiddleware", ...]

Beyond Duck's own: an error of `save()` never loses the rest of a response (where DEBUG is on it is
a 500 that says what, else it is logged), a request that ends in status 500 or above saves nothing
(its revocations and the deleting cookie go out all the same), 503 with Retry-After where the
revocation list is unreachable, `Vary: Cookie`, and `Cache-Control` where due. `Domain` is sent only
if SESSION_COOKIE_DOMAIN is set. A wrong setting is refused when Duck loads its middlewares, before
it serves. Limits of Duck: what CUSTOM_TEMPLATES puts in place of a response comes after the
middlewares and carries none of this, and with DEBUG=True Duck writes `no-cache` over our
`Cache-Control`.

An open page of Lively keeps the session of its request. For each later navigation, and whenever an
event touches it, the list is asked again (across the network once a second at most): a session that
was revoked or has expired is empty then, and `request.user` None.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from duck.http.response import HttpResponse
from duck.settings import SETTINGS
from duck.shortcuts import replace_response

from .._cookie import Written, find_cookie
from .._device_endpoints import device_answer
from .._log import logger
from ..errors import RevocationListUnavailable
from ..response import SERVER_ERROR, UNAVAILABLE_BODY, UNAVAILABLE_HEADERS, session_headers
from ..session.duck import duck_session_settings, import_storage
from ..session.judging import Opened, Refusal
from ..session.overlay import Data
from ..session.phase import Phase
from ..session.request import RequestSession
from ..session.stats import NOT_SAVED
from ..session.steps import Steps
from ..session.storage import check_storage

if TYPE_CHECKING:  # Duck ships no types
    from ._untyped import DuckSessionMiddleware
else:
    from duck.http.middlewares.contrib.session import SessionMiddleware as DuckSessionMiddleware

ENGINE = "duck_cookie_session.engine"
ANSWER = "DUCK_COOKIE_SESSION_ANSWER"  # of a request's META
ASK_EVERY_MS = 1000
"""How long an answer of a list across the network counts for the events of an open page."""


class SessionMiddleware(DuckSessionMiddleware):
    """Loads the session from its cookie and answers with the cookie that it needs."""

    @classmethod
    def get_session_key_from_cookie(cls, request: Any) -> str | None:
        """The session's cookie in a request, as it stands there."""
        header = request.get_header("Cookie")
        return find_cookie(header, SETTINGS["SESSION_COOKIE_NAME"]) if header else None

    @classmethod
    def process_request(cls, request: Any) -> int:
        """Hand the cookie to the session, which looks at it when it is touched.

        With a list across the network and ASYNC_HANDLING the list is asked here, in Duck's thread:
        an async view can't wait for it where it touches the session.
        """
        passed: int = super().process_request(request)
        session = request.SESSION
        known = session._request
        page = known.before_touch
        if page is None:
            page = known.before_touch = _Page()
            if SETTINGS.get("SESSION_DEVICE_BINDING", "off") != "off":
                answer = device_answer(known, request.method, request.path, request.get_header)
                if answer is not None:
                    request.META[ANSWER] = answer
                    return cls.request_bad  # so that Duck asks get_error_response()
        page.requests.add(request)
        known.list_failed = False
        if known.loaded:  # a navigation of an open page
            page.judge(known, session)
        known.phase = Phase.OPEN
        known.debug = bool(SETTINGS["DEBUG"])
        if SETTINGS["ASYNC_HANDLING"] and not known.connector.revocations.local:
            known.check()
        return passed

    @classmethod
    def get_error_response(cls, request: Any) -> Any:
        """What a browser that binds sessions to its device is answered."""
        answer = request.META[ANSWER]
        headers = {name: value for name, value in answer.headers if name != "Set-Cookie"}
        response = HttpResponse(answer.body, status_code=answer.status, headers=headers)
        _put(response, [pair for pair in answer.headers if pair[0] == "Set-Cookie"])
        return response

    @classmethod
    def process_response(cls, response: Any, request: Any) -> None:
        """Put onto the response what the session needs it to carry."""
        session = request.SESSION
        try:
            added = session_headers(
                session,
                failed=response.status_code >= SERVER_ERROR,
                vary=response.get_header("Vary"),
                cache_control=response.get_header("Cache-Control"),
            )
        except RevocationListUnavailable as error:
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            headers = dict(UNAVAILABLE_HEADERS)
            new = HttpResponse(UNAVAILABLE_BODY, status_code=503, headers=headers)
            replace_response(response, new)
            return
        except tuple(NOT_SAVED) as error:  # raised where DEBUG is on; Duck would lose the headers
            logger.error("Session not saved, answered 500: %s", error)
            said = f"{type(error).__name__}: {error}\n"
            new = HttpResponse(said, content_type="text/plain", status_code=SERVER_ERROR)
            replace_response(response, new)
            added = session_headers(session, failed=True)
        finally:
            # Not closed: events of an open page change the session after its response, and the
            # cookie goes out with the next navigation.
            session._request.phase = Phase.ALONE
            session._request.ready = False
        _put(response, added)


def _put(response: Any, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        cookie = value.partition("=")[0]
        if name != "Set-Cookie":
            response.set_header(name, value)
        elif cookie not in response.cookies:
            # Otherwise something has set that cookie already: leave it, as Duck does.
            response.cookies[cookie] = Written(value)


class _Page:
    """Judges the session of an open page again, before it is touched between two responses."""

    def __init__(self) -> None:
        self.requests: weakref.WeakSet[Any] = weakref.WeakSet()
        self._asked_ms = 0

    def __call__(self, known: RequestSession, data: Data) -> None:
        """Judge; a list across the network is asked once in a while."""
        now_ms = known.rules.now_ms()
        if known.connector.revocations.local or now_ms >= self._asked_ms + ASK_EVERY_MS:
            self.judge(known, data)
            self._asked_ms = now_ms

    def judge(self, known: RequestSession, data: Data) -> None:
        """Empty a session that is no longer good, and forget what Duck copied from it.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        base = known.base
        if base is None:
            return
        try:
            # Also in Lively's event loop: an event can't wait for a plain access to a dict.
            found = known.connector.run(_judge_steps(known, base))
        except RevocationListUnavailable:
            known.list_failed = True
            raise
        if isinstance(found, Refusal):
            known.begin(base.token)
            dict.clear(data)
            known.found, known.loaded, known.outgoing = found, True, None
            for request in self.requests:
                request.user = None


def _judge_steps(known: RequestSession, base: Opened) -> Steps[Opened | Refusal]:
    opened = known.rules.open(base.token)
    if isinstance(opened, Refusal):
        return known.rules.refuse(opened)
    return (yield from known.rules.check_steps(base))


def _refuse_wrong_settings() -> None:
    """Refuse what a setting says before Duck serves: its own message then names it."""
    if SETTINGS.get("SESSION_ENGINE") == ENGINE:
        settings = duck_session_settings()
        check_storage(import_storage(SETTINGS.get("SESSION_STORAGE")), settings)


_refuse_wrong_settings()
