"""Authlib's OpenID client for Starlette, which keeps state, nonce and verifier in the session."""

from __future__ import annotations

from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

from . import common, on_asgi

oauth = OAuth()
oauth.register(
    "provider",
    client_id="site",
    client_secret="of the client",
    server_metadata_url=f"{common.PROVIDER}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
)


async def login(request: Request) -> Response:
    return await oauth.provider.authorize_redirect(request, request.url_for("callback"))


async def callback(request: Request) -> Response:
    token = await oauth.provider.authorize_access_token(request)
    request.session["userinfo"] = token["userinfo"]  # a class of Authlib's that extends dict
    request.session["user"] = token["userinfo"]["sub"]
    return RedirectResponse("/show")


async def logout(request: Request) -> Response:
    await request.session.aclear()
    return RedirectResponse("/show")


def who(request: Request) -> str | None:
    info = request.session.get("userinfo")
    return info["preferred_username"] if info else None


app = Starlette(
    debug=common.DEBUG,
    routes=[
        *on_asgi.routes(who),
        Route("/login", login),
        Route("/callback", callback),
        Route("/logout", logout),
    ],
    middleware=[Middleware(CookieSessionMiddleware, connector=common.connector())],
)

if __name__ == "__main__":
    on_asgi.serve(app)
