"""Logout at an identity provider: Starlette with Authlib."""

from __future__ import annotations

from urllib.parse import urlencode

from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from duck_cookie_session import configure
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

from . import common, on_asgi

configure(common.settings(group_keys=("oidc_sid", "oidc_sub")), common.storage())

from .openid import CLIENT_ID, logout  # noqa: E402  # needs the connector
from .openid_client import registered  # noqa: E402

oauth = registered(OAuth())


async def login(request):
    return await oauth.provider.authorize_redirect(request, request.url_for("callback"))


async def callback(request):
    token = await oauth.provider.authorize_access_token(request)
    request.session["user"] = token["userinfo"]["sub"]
    logout.remember(request.session, token["userinfo"])
    return RedirectResponse("/")


async def backchannel(request):
    body = await request.body()
    answer = await logout.areceive(body, request.headers.get("content-type"))
    return Response(answer.body, answer.status, answer.headers)


async def frontchannel(request):
    named = request.query_params
    if logout.is_from(request.session, named.get("iss"), named.get("sid")):
        await request.session.aclear()
    return Response(headers={"Cache-Control": "no-store"})


async def log_out(request):
    await request.session.aclear()
    provider = await oauth.provider.load_server_metadata()
    back = str(request.url_for("home"))  # registered as one of post_logout_redirect_uris
    asked = urlencode({"client_id": CLIENT_ID, "post_logout_redirect_uri": back})
    return RedirectResponse(f"{provider['end_session_endpoint']}?{asked}", 303)


async def home(request):
    return RedirectResponse("/show")


app = Starlette(
    routes=[
        *on_asgi.routes(lambda request: request.session.get("user")),
        Route("/", home),
        Route("/login", login),
        Route("/callback", callback),
        Route("/backchannel-logout", backchannel, methods=["POST"]),
        Route("/frontchannel-logout", frontchannel),
        Route("/logout", log_out),
    ],
    middleware=[Middleware(CookieSessionMiddleware)],
)

if __name__ == "__main__":
    on_asgi.serve(app)
