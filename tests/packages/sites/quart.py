"""Quart by the recipe of docs/other.md, under its own server."""

from __future__ import annotations

from typing import Any

from quart import Quart, redirect, request, session

from . import common
from .quart_recipe import Sessions

app = Quart(__name__)
app.debug = common.DEBUG
app.session_interface = Sessions(common.connector())


@app.get("/show")
@app.get("/store/<value>")
@app.get("/fail/<value>")
async def view(value: str = "") -> Any:
    return common.visit(session, request.path, session.get("user"))


@app.get("/login")
async def form() -> str:
    return "<form method=post>"


@app.post("/login")
async def login() -> Any:
    fields = await request.form
    assert fields["password"] == common.PASSWORD
    session["user"] = fields["username"]
    return redirect("/show")


@app.get("/logout")
async def logout() -> Any:
    session.clear()
    return redirect("/show")


if __name__ == "__main__":
    app.run(port=common.PORT, debug=common.DEBUG, use_reloader=False)
