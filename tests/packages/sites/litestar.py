"""Litestar inside the ASGI middleware, on a Redis; its session authentication."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, get, post
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.response import Redirect

from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

from . import common, on_asgi


class Authentication(AbstractAuthenticationMiddleware):
    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        return AuthenticationResult(user=connection.session.get("user"), auth=None)


@get(["/show", "/store/{value:str}", "/fail/{value:str}"])
async def view(request: Request[Any, Any, Any]) -> Any:
    return common.visit(request.session, request.url.path, request.user)


@get("/login", media_type="text/html")
async def form() -> str:
    return "<form method=post>"


@post("/login")
async def login(request: Request[Any, Any, Any]) -> Redirect:
    fields = await request.form()
    if fields["password"] != common.PASSWORD:
        raise NotAuthorizedException
    request.session["user"] = fields["username"]
    return Redirect("/show", status_code=303)


@get("/logout")
async def logout(request: Request[Any, Any, Any]) -> Redirect:
    await request.session.aclear()
    return Redirect("/show")


@get("/litestars-own-logout")
async def own_logout(request: Request[Any, Any, Any]) -> str:
    request.clear_session()
    return "this is not how"


app = CookieSessionMiddleware(
    Litestar(
        [view, form, login, logout, own_logout], middleware=[Authentication], debug=common.DEBUG
    ),
    connector=common.connector(),
    debug=common.DEBUG,
)

if __name__ == "__main__":
    on_asgi.serve(app)
