"""Session middleware for Duck: put it in the place of Duck's own SessionMiddleware.

    MIDDLEWARES = [..., "duck_cookie_session.contrib.duck.SessionMiddleware", ...]

Beyond Duck's own: an error of `save()` never loses the rest of a response, a request that ends in
status 500 or above saves nothing (its revocations and the deleting cookie go out all the same),
`Vary: Cookie` and `Cache-Control: no-store` where due. A limit of Duck: what CUSTOM_TEMPLATES puts
in the place of a response comes after the middlewares and carries none of this.
"""

from __future__ import annotations

from typing import Any

from duck.http.middlewares.contrib.session import SessionMiddleware as DuckSessionMiddleware

from ..cookie import merge_vary, session_headers

SERVER_ERROR = 500


class SessionMiddleware(DuckSessionMiddleware):  # type: ignore[misc]  # Duck ships no types
    """Loads the session from its cookie and answers with the cookie that it needs."""

    @classmethod
    def process_response(cls, response: Any, request: Any) -> None:
        """Put onto the response what the session needs it to carry."""
        for name, value in session_headers(
            request.SESSION, failed=response.status_code >= SERVER_ERROR
        ):
            if name == "Vary":
                value = merge_vary(response.get_header("Vary"))
            response.set_header(name, value)
