"""Flask-Admin: its forms' CSRF token and its messages live in the session."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, session
from flask_admin import Admin, AdminIndexView
from flask_admin.contrib.fileadmin import FileAdmin
from flask_admin.form import SecureForm

from . import common, on_flask

app = on_flask.make(lambda: session.get("user"), SESSION_SUBJECT_KEY="user")


class Guarded:
    def is_accessible(self) -> bool:
        return "user" in session

    def inaccessible_callback(self, name: str, **_: Any) -> Any:
        return redirect("/login")


class Index(Guarded, AdminIndexView):
    pass


class Files(Guarded, FileAdmin):
    form_base_class = SecureForm


admin = Admin(app, index_view=Index())
admin.add_view(Files(".", name="Files"))


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    if request.method == "GET":
        return "<form method=post>"
    assert request.form["password"] == common.PASSWORD
    session["user"] = request.form["username"]
    return redirect("/admin/")


@app.get("/logout")
def logout() -> Any:
    session.clear()
    return redirect("/show")


if __name__ == "__main__":
    on_flask.serve(app)
