"""What a demo node does for each address. Login and logout are Duck's own, unchanged."""

from __future__ import annotations

import functools
import http.client
import json
import os
import ssl
from collections.abc import Callable
from importlib import resources
from typing import Any

from duck.contrib.auth import get_user_id, login, logout
from duck.http.response import HttpResponse
from duck.shortcuts import redirect

from .. import (
    SessionExpired,
    SessionRevoked,
    SessionStore,
    SessionTooLarge,
    get_session_storage_connector,
)
from ..response import find_cookie
from ..token.format import issued_at
from . import page, settings
from .client import Browser, ask

_TRUSTED = ssl.create_default_context(cafile=settings.AUTHORITY) if settings.AUTHORITY else None
_OWN = Browser(trusted=_TRUSTED)  # what a browser would take this node for

COPY_COOKIE = "copied_session"
LONGEST = 80  # characters of a name or of an item

View = Callable[[Any], Any]


def _describe(session: SessionStore) -> dict[str, Any]:
    """What a session holds, and what its cookie says, as plain JSON values."""
    connector = get_session_storage_connector()
    token = session.session_key if session.session_id else None
    return {
        "node": int(settings.NODE),
        "process": os.getpid(),
        "user": session.get("_auth_user_id"),
        "cart": list(session.get("cart", [])),
        "session_id": session.session_id,
        "issued": issued_at(token) if token else None,
        "expires": int(session.get_expiry_date().timestamp()) if token else None,
        "bytes": len(connector.settings.cookie_name) + len(token) if token else 0,
        "limit": connector.settings.max_cookie_bytes,
        "list": type(connector.revocations).__name__,
        "https": bool(settings.AUTHORITY),
        "device_bound": session.device_bound,
    }


def _cookie(request: Any, name: str) -> str:
    return find_cookie(str(request.get_header("Cookie") or ""), name) or ""


def _html(request: Any, answer: dict[str, Any] | None = None) -> Any:
    response = HttpResponse(
        page.render(
            _describe(request.SESSION),
            tuple(map(_OWN.origin, settings.PORTS)),
            note=str(request.GET.get("done") or ""),
            has_copy=bool(_cookie(request, COPY_COOKIE)),
            answer=answer,
        ),
        content_type="text/html; charset=utf-8",
    )
    # A page of a session is not to be seen again with the back button after logout.
    response.set_header("Cache-Control", "no-store")
    return response


def _posted(view: View) -> View:
    """A view that changes something: only from a form of this node, and answered by a redirect."""

    @functools.wraps(view)
    def checked(request: Any) -> Any:
        port = settings.PORTS[int(settings.NODE) - 1]
        scheme = "https" if settings.AUTHORITY else "http"
        own = {f"{scheme}://{host}:{port}" for host in settings.ALLOWED_HOSTS}
        if request.get_header("Origin") not in own:
            return HttpResponse("This form came from another site.", status_code=403)
        answer = view(request)
        if isinstance(answer, str):
            answer = redirect(f"/?done={answer}")
        answer.status_code = 303  # RFC 9110 section 15.4.4: go on with GET
        return answer

    return checked


def home(request: Any) -> Any:
    """The page."""
    return _html(request)


def state(request: Any) -> Any:
    """The same for programs, as JSON."""
    response = HttpResponse(json.dumps(_describe(request.SESSION)), content_type="application/json")
    response.set_header("Cache-Control", "no-store")
    return response


def presented(request: Any) -> Any:
    """The page, with what the other node makes of the copied cookie."""
    connector = get_session_storage_connector()
    cookie = f"{connector.settings.cookie_name}={_cookie(request, COPY_COOKIE)}"
    other = settings.PORTS[2 - int(settings.NODE)]
    try:
        found = ask(other, "GET", "/state", {"Cookie": cookie}, trusted=_TRUSTED)
        answer = json.loads(found.body)
    except (OSError, ValueError, http.client.HTTPException) as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    return _html(request, answer)


@_posted
def add(request: Any) -> Any:
    """Put something into the cart."""
    item = str(request.POST.get("item") or "").strip()[:LONGEST]
    if not item:
        return "empty"
    session: SessionStore = request.SESSION
    session.setdefault("cart", []).append(item)
    try:
        session.save()  # here rather than after the view, to tell the visitor
    except SessionTooLarge:
        session.modified = False
        return "full"
    except (SessionRevoked, SessionExpired):
        return "ended"
    return "added"


@_posted
def log_in(request: Any) -> Any:
    """Log in, without a password: this is a demo."""
    name = str(request.POST.get("name") or "").strip()[:LONGEST]
    if not name:
        return "nameless"
    login(request, user_id=name)
    return "in"


@_posted
def log_out(request: Any) -> Any:
    """Log out."""
    if get_user_id(request) is None:
        return "nobody"
    logout(request)
    response = redirect("/?done=out")
    # Browsers may keep whole pages for the back button in spite of no-store; not these.
    response.set_header("Clear-Site-Data", '"cache"')
    return response


@_posted
def copy(request: Any) -> Any:
    """Keep a copy of the session cookie under another name, as a thief might."""
    if request.SESSION.session_id is None:
        return "nothing"
    response = redirect("/?done=watched" if settings.AUTHORITY else "/?done=copied")
    response.set_cookie(
        COPY_COOKIE,
        request.SESSION.session_key,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=bool(settings.AUTHORITY),
    )
    return response


def _file(name: str, content_type: str) -> Any:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    response = HttpResponse(text, content_type=content_type)
    response.set_header("Cache-Control", "no-cache")
    return response


def style(request: Any) -> Any:
    """The style sheet."""
    del request
    return _file("style.css", "text/css; charset=utf-8")


def icon(request: Any) -> Any:
    """The icon of the page."""
    del request
    return _file("icon.svg", "image/svg+xml")
