"""The application on Starlette under uvicorn."""

from __future__ import annotations

import pkgutil
from typing import Any

import common
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from duck_cookie_session import SessionSettings, SessionStorageConnector
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware


async def view(request: Request) -> Response:
    def session() -> Any:
        return request.session

    def login(user: str) -> None:
        request.session[common.SUBJECT_KEY] = user

    def logout() -> None:
        request.session.clear()

    made = common.answer(
        request.url.path, common.Asked(request.query_params, session, login, logout)
    )
    response: Response = PlainTextResponse(made.body, made.status)
    if made.streamed:
        response = StreamingResponse(_stream(made), made.status)
    if made.cache:
        response.headers["Cache-Control"] = made.cache
    if made.cookie:
        response.set_cookie("own", "1")
    return response


async def _stream(made: common.Answer) -> Any:
    for chunk in made.chunks:
        yield chunk


settings = SessionSettings(
    secret_keys=(common.SECRET,),
    cookie_name=common.COOKIE,
    cookie_secure=False,
    subject_key=common.SUBJECT_KEY,
    session_dir=common.FOLDER,
    on_event=common.tell,
    revocation_url=common.LIST_URL or None,
)
given: dict[str, Any] = {"settings": settings}
if common.LIST_URL:
    kind = pkgutil.resolve_name(common.LIST)
    given = {"connector": SessionStorageConnector(kind, settings=settings)}

inner = Starlette(routes=[Route(path, view) for path in common.VIEWS])
application = CookieSessionMiddleware(inner, **given)
