"""The application on Flask under waitress."""

from __future__ import annotations

from typing import Any

import common
import flask
import waitress

from duck_cookie_session.contrib.flask import CookieSessionInterface

app = flask.Flask(__name__)
app.config.update(
    SECRET_KEY=common.SECRET,
    SESSION_DIR=common.FOLDER,
    SESSION_COOKIE_NAME=common.COOKIE,
    SESSION_SUBJECT_KEY=common.SUBJECT_KEY,
    **common.SETTINGS,
)
CookieSessionInterface(app)


def view() -> Any:
    def session() -> Any:
        return flask.session

    def login(user: str) -> None:
        flask.session[common.SUBJECT_KEY] = user

    def logout() -> None:
        flask.session.clear()

    request = flask.request
    made = common.answer(request.path, common.Asked(request.args, session, login, logout))
    response = flask.Response(iter(made.chunks) if made.streamed else made.body, made.status)
    if made.cache:
        response.headers["Cache-Control"] = made.cache
    if made.cookie:
        response.set_cookie("own", "1")
    return response


for path in common.VIEWS:
    app.add_url_rule(path, view_func=view, endpoint=path.strip("/"))

if __name__ == "__main__":
    waitress.serve(app, host="127.0.0.1", port=common.PORT, threads=4)
