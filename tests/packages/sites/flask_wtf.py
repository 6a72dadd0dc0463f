"""Flask-WTF: its CSRF token lives in the session."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template_string, session
from flask_wtf import CSRFProtect, FlaskForm
from wtforms import StringField
from wtforms.validators import AnyOf

from . import common, on_flask


class Login(FlaskForm):
    username = StringField()
    password = StringField(validators=[AnyOf([common.PASSWORD])])


app = on_flask.make(lambda: session.get("user"), SESSION_SUBJECT_KEY="user")
CSRFProtect(app)


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    form = Login()
    if form.validate_on_submit():
        session["user"] = form.username.data
        return redirect("/show")
    return render_template_string("<form method=post>{{ form.hidden_tag() }}</form>", form=form)


@app.get("/logout")
def logout() -> Any:
    session.clear()
    return redirect("/show")


if __name__ == "__main__":
    on_flask.serve(app)
