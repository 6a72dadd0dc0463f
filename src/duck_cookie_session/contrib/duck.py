"""Session middleware for Duck: put it in the place of Duck's own SessionMiddleware.

    MIDDLEWARES = [..., "duck_cookie_session.contrib.duck.SessionMiddleware", ...]

Beyond Duck's own: an error of `save()` never loses the rest of a response, a request that ends in
status 500 or above saves nothing (its revocations and the deleting cookie go out all the same),
503 with Retry-After where the revocation list is unreachable, `Vary: Cookie` and `Cache-Control:
no-store` where due. `Domain` is sent only if SESSION_COOKIE_DOMAIN is set. Limits of Duck: what
CUSTOM_TEMPLATES puts in the place of a response comes after the middlewares and carries none of
this, and with DEBUG=True Duck writes `no-cache` over our `Cache-Control`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duck.http.response import HttpResponse
from duck.settings import SETTINGS
from duck.shortcuts import replace_response

from .._cookie import Written, find_cookie
from .._log import logger
from ..errors import RevocationListUnavailable
from ..response import SERVER_ERROR, UNAVAILABLE_BODY, UNAVAILABLE_HEADERS, session_headers
from ..session.request import Phase

if TYPE_CHECKING:  # Duck ships no types
    from ._untyped import DuckSessionMiddleware
else:
    from duck.http.middlewares.contrib.session import SessionMiddleware as DuckSessionMiddleware


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
        session = request.SESSION._request
        session.phase = Phase.OPEN
        if SETTINGS["ASYNC_HANDLING"] and not session.connector.revocations.local:
            session.check()
        return passed

    @classmethod
    def process_response(cls, response: Any, request: Any) -> None:
        """Put onto the response what the session needs it to carry."""
        failed = response.status_code >= SERVER_ERROR
        try:
            added = session_headers(
                request.SESSION,
                failed=failed,
                vary=response.get_header("Vary"),
                cache_control=response.get_header("Cache-Control"),
            )
        except RevocationListUnavailable as error:
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            headers = dict(UNAVAILABLE_HEADERS)
            new = HttpResponse(UNAVAILABLE_BODY, status_code=503, headers=headers)
            replace_response(response, new)
            return
        finally:
            # Not closed: events of a Lively page change the session after its response, and the
            # cookie goes out with the next navigation.
            request.SESSION._request.phase = Phase.ALONE
        for name, value in added:
            if name != "Set-Cookie":
                response.set_header(name, value)
            elif SETTINGS["SESSION_COOKIE_NAME"] not in response.cookies:
                # Else something wrote that cookie already; as Duck's own, leave it.
                response.cookies[SETTINGS["SESSION_COOKIE_NAME"]] = Written(value)
