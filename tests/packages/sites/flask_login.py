"""Flask-Login with its strong protection."""

from __future__ import annotations

from typing import Any

import flask_login
from flask import redirect, request
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from . import common, on_flask


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


def who() -> str | None:
    return current_user.get_id() if current_user.is_authenticated else None


app = on_flask.make(who)
manager = LoginManager(app)
manager.session_protection = "strong"
manager.user_loader(User)


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET":
        return "<form method=post>"
    assert request.form["password"] == common.PASSWORD
    login_user(User(request.form["username"]), remember="remember" in request.form)
    return redirect("/show")


@app.get("/logout")
def logout() -> Any:
    logout_user()
    return redirect("/show")


@app.get("/fresh")
@flask_login.fresh_login_required
def fresh() -> str:
    return "fresh"


if __name__ == "__main__":
    on_flask.serve(app)
