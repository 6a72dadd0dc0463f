"""Logout at an identity provider: Flask with Authlib."""

from __future__ import annotations

from authlib.integrations.flask_client import OAuth
from flask import redirect, request, session, url_for

from duck_cookie_session.contrib.flask import CookieSessionInterface

from . import on_flask

app = on_flask.make(
    lambda: session.get("user"),
    SESSION_SUBJECT_KEY="user",
    SESSION_GROUP_KEYS=("oidc_sid", "oidc_sub"),
)
CookieSessionInterface(app)

from .openid import logout  # noqa: E402  # needs the connector
from .openid_client import registered  # noqa: E402

oauth = registered(OAuth(app))


@app.get("/login")
def login():
    return oauth.provider.authorize_redirect(url_for("callback", _external=True))


@app.get("/callback")
def callback():
    token = oauth.provider.authorize_access_token()
    session["user"] = token["userinfo"]["sub"]
    logout.remember(session, token["userinfo"])
    return redirect("/")


@app.post("/backchannel-logout")
def backchannel():
    answer = logout.receive(request.get_data(), request.content_type)
    return answer.body, answer.status, answer.headers


@app.get("/")
def home():
    return redirect("/show")


if __name__ == "__main__":
    on_flask.serve(app)
