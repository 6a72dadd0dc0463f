"""A session put into a request, and read from a response."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

from .._cookie import find_cookie
from ..errors import InvalidArgument
from ..session.connector import SessionStorageConnector, checked_connector


def session_token(
    connector: SessionStorageConnector, data: dict[Any, Any], *, expiry: float | None = None
) -> str:
    """A token for a new session that holds these data: the value of its cookie.

    Args:
        expiry: lifetime in seconds, renewed at each save; None for `cookie_age`.

    Raises:
        InvalidArgument: `connector` is something else, such as its settings.
        as `SessionStorageConnector.set_session`.
    """
    return checked_connector(connector).set_session(None, data, expiry)


def session_cookie(
    connector: SessionStorageConnector, data: dict[Any, Any], *, expiry: float | None = None
) -> str:
    """The same as a `Cookie` header: `client.get("/", headers={"Cookie": ...})`.

    Args:
        expiry: lifetime in seconds, renewed at each save; None for `cookie_age`.

    Raises:
        as `session_token`.
    """
    token = session_token(connector, data, expiry=expiry)
    return f"{connector.settings.cookie_name}={token}"


def read_session(connector: SessionStorageConnector, response: object) -> dict[Any, Any] | None:
    """What the session holds that a response set: its data, {} for a deleted one.

    Args:
        response: of Flask's or Django's client, Starlette's TestClient or httpx, or the headers as
            pairs of text, as `session_headers()` gives them.

    Returns:
        None where the response sets no session cookie, or one that is not live any more.

    Raises:
        InvalidArgument: no headers can be found in it, or `connector` is something else.
        RevocationListUnavailable: the list could not be asked.
    """
    token, name = None, checked_connector(connector).settings.cookie_name
    for line in _set_cookies(response):
        found = find_cookie(line.partition(";")[0], name)
        token = token if found is None else found
    return {} if token == "" else connector.get_session(token)


def _set_cookies(response: Any) -> list[str]:
    cookies: Any = getattr(response, "cookies", None)
    if isinstance(cookies, SimpleCookie):  # Django keeps them apart from its headers
        return [morsel.OutputString() for morsel in cookies.values()]
    headers = getattr(response, "headers", response)
    pairs = getattr(headers, "multi_items", getattr(headers, "items", None))
    try:
        listed = list(headers if pairs is None else pairs())
        return [value for name, value in listed if name.lower() == "set-cookie"]
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidArgument(
            f"A value of type {type(response).__name__} has no headers that can be read; "
            "give a response, or its headers as pairs of text."
        ) from error
