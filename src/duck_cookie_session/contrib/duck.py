"""Session middleware for Duck: put it in the place of Duck's own SessionMiddleware.

    MIDDLEWARES = [..., "duck_cookie_session.contrib.duck.SessionMiddleware", ...]

Beyond Duck's own: an error of `save()` never loses the rest of a response, a request that ends in
status 500 or above saves nothing (its revocations and the deleting cookie go out all the same),
`Vary: Cookie` and `Cache-Control: no-store` where due, and 503 with Retry-After while the
revocation list is out of reach. A limit of Duck: what CUSTOM_TEMPLATES puts in the place of a
response comes after the middlewares and carries none of this.
"""

from __future__ import annotations

from typing import Any

from duck.http.middlewares import BaseMiddleware
from duck.http.middlewares.contrib.session import SessionMiddleware as DuckSessionMiddleware
from duck.http.response import HttpResponse

from ..cookie import find_cookie, merge_vary, session_headers
from ..errors import RevocationListUnavailable
from ..session_storage_connector import get_session_storage_connector


class SessionMiddleware(DuckSessionMiddleware):
    """Loads the session from its cookie and answers with the cookie that it needs."""
