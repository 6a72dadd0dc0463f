"""aiohttp by the recipe of docs/other.md, under its own server."""

from __future__ import annotations

from aiohttp import web

from tests.contrib.apps.recipe_async import use_sessions

from . import common


async def view(request: web.Request) -> web.Response:
    session = request["session"]
    said = common.visit(session, request.path, session.get("user"))
    return web.Response(text=said) if isinstance(said, str) else web.json_response(said)


async def form(request: web.Request) -> web.Response:
    return web.Response(text="<form method=post>", content_type="text/html")


async def login(request: web.Request) -> web.Response:
    fields = await request.post()
    assert fields["password"] == common.PASSWORD
    request["session"]["user"] = fields["username"]
    raise web.HTTPFound("/show")


async def logout(request: web.Request) -> web.Response:
    request["session"].clear()
    raise web.HTTPFound("/show")


app = web.Application()
use_sessions(app, common.connector(), debug=common.DEBUG)
for path in ("/show", "/store/{value}", "/fail/{value}"):
    app.router.add_get(path, view)
app.router.add_get("/login", form)
app.router.add_post("/login", login)
app.router.add_get("/logout", logout)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=common.PORT, print=None)
