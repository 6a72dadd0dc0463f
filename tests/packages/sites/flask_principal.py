"""Flask-Principal, which remembers an identity in the session."""

from __future__ import annotations

from typing import Any

from flask import g, redirect, request, session
from flask_principal import (
    AnonymousIdentity,
    Identity,
    Permission,
    Principal,
    RoleNeed,
    identity_changed,
    identity_loaded,
)

from . import common, on_flask

# Under this key Flask-Principal writes who it is.
app = on_flask.make(lambda: g.identity.id, SESSION_SUBJECT_KEY="identity.id")
Principal(app)
admins = Permission(RoleNeed("admin"))


@identity_loaded.connect_via(app)
def loaded(sender: object, identity: Identity) -> None:
    if identity.id == "alice":
        identity.provides.add(RoleNeed("admin"))


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET":
        return "<form method=post>"
    assert request.form["password"] == common.PASSWORD
    identity_changed.send(app, identity=Identity(request.form["username"]))
    return redirect("/show")


@app.get("/logout")
def logout() -> Any:
    session.clear()
    identity_changed.send(app, identity=AnonymousIdentity())
    return redirect("/show")


@app.get("/admins")
@admins.require(403)
def for_admins() -> str:
    return "for admins"


if __name__ == "__main__":
    on_flask.serve(app)
