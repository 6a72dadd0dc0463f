"""Django's session middleware, for the responses that its own would spoil."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.core import mail
from django.http import HttpResponse

from ..._cookie import Written, find_cookie
from ..._device_endpoints import device_answer, environ_header
from ..._log import logger
from ...errors import InvalidSettings, RevocationListUnavailable
from ...response import (
    SERVER_ERROR,
    UNAVAILABLE_BODY,
    UNAVAILABLE_HEADERS,
    headers_of,
    respond,
    respond_steps,
    revoke_late,
)
from ...session.phase import Phase
from ._connector import get_connector
from ._store import SessionStore

if TYPE_CHECKING:  # Django ships no types
    from .._untyped import DjangoSessionMiddleware
else:
    from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware


class SessionMiddleware(DjangoSessionMiddleware):
    """In the place of Django's own: the response stays whole where Django's would fail.

    In debug and testing modes a save that fails raises, else it is logged.

    Raises:
        InvalidSettings: a setting is wrong; said when the server starts.
    """

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        if issubclass(self.SessionStore, SessionStore):
            get_connector()
        elif not issubclass(self.SessionStore, SessionBase):
            raise InvalidSettings(
                f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}, which is no engine for "
                'Django and would save nothing. Put "duck_cookie_session.contrib.django" there.'
            )

    def process_request(self, request: Any) -> HttpResponse | None:
        """Give the request its session; or answer a browser that binds sessions to its device."""
        # Not request.COOKIES: of two cookies of one name it has the last, blanks stripped.
        header = functools.partial(environ_header, request.META)
        name = django_settings.SESSION_COOKIE_NAME
        session = request.session = self.SessionStore(find_cookie(header("cookie") or "", name))
        if not isinstance(session, SessionStore):
            return None
        answer = device_answer(session._request, request.method, request.path, header)
        if answer is None:
            session._request.phase = Phase.OPEN
            return None
        session.close()  # nothing of it is saved
        response = HttpResponse(answer.body, status=answer.status)
        response._has_been_logged = True  # a renewal begins with a 403; what is refused we log
        _put(response, answer.headers)
        return response

    async def __acall__(self, request: Any) -> Any:
        """One request of an asynchronous server, which may cancel it at any time."""
        try:
            return await super().__acall__(request)
        finally:
            session = getattr(request, "session", None)
            if isinstance(session, SessionStore):
                if session._request.phase is Phase.OPEN:
                    session.close()  # nobody would carry out what a task queues later
                if session._request.pending:
                    await revoke_late(session._request)

    def process_response(self, request: Any, response: Any) -> Any:
        """Save if that is due, and put cookie and headers onto the response."""
        session = getattr(request, "session", None)
        if not isinstance(session, SessionStore):
            return super().process_response(request, response)
        known = session._request
        if known.phase is Phase.CLOSED:  # answered in the application's place
            return response
        # Django's test runner sets DEBUG to False, and gives mail a list of what was sent.
        known.debug = django_settings.DEBUG or hasattr(mail, "outbox")
        failed = response.status_code >= SERVER_ERROR
        try:
            if django_settings.SESSION_SAVE_EVERY_REQUEST and not failed:
                known.written = bool(session._get_session()) or known.written
            if known.accessed and not known.loaded and not failed:
                session._get_session()  # the list did not answer when it was touched
            if known.loaded and not failed:
                session.note_changes()
            data = session._session_cache if known.loaded else {}
            steps = respond_steps(known, data, failed=failed)
            if steps is not None:
                respond(known, steps)
        except RevocationListUnavailable as error:
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            return HttpResponse(UNAVAILABLE_BODY, status=503, headers=dict(UNAVAILABLE_HEADERS))
        session.close()
        vary, cache_control = response.get("Vary"), response.get("Cache-Control")
        _put(response, headers_of(known, vary, cache_control))
        return response


def _put(response: Any, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        if name == "Set-Cookie":  # not response.set_cookie(): it adds Expires to the line
            response.cookies[value.partition("=")[0]] = Written(value)
        else:
            response.headers[name] = value
