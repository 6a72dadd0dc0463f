"""Sanic by the recipe of docs/other.md, under its own server."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.response import html, json, redirect, text

from . import common
from .sanic_recipe import use_sessions

app = Sanic("site")
use_sessions(app, common.connector())


@app.get("/show", name="show")
@app.get("/store/<value>", name="store")
@app.get("/fail/<value>", name="fail")
async def view(request: Request, value: str = "") -> HTTPResponse:
    session = request.ctx.session
    said = common.visit(session, request.path, session.get("user"))
    return text(said) if isinstance(said, str) else json(said)


@app.get("/login", name="form")
async def form(request: Request) -> HTTPResponse:
    return html("<form method=post>")


@app.post("/login", name="login")
async def login(request: Request) -> HTTPResponse:
    fields: Any = request.form
    assert fields.get("password") == common.PASSWORD
    request.ctx.session["user"] = fields.get("username")
    return redirect("/show")


@app.get("/logout", name="logout")
async def logout(request: Request) -> HTTPResponse:
    request.ctx.session.clear()
    return redirect("/show")


if __name__ == "__main__":
    app.run("127.0.0.1", common.PORT, single_process=True, debug=common.DEBUG, access_log=False)
