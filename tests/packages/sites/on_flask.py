"""A Flask application with the views that every site has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import waitress
from flask import Flask, request, session

from duck_cookie_session.contrib.flask import CookieSessionInterface

from . import common


def make(who: Callable[[], Any], **config: Any) -> Flask:
    """The application; `who` says who is logged in."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=common.SECRET,
        SESSION_DIR=common.FOLDER,
        SESSION_COOKIE_NAME=common.COOKIE,
        DEBUG=common.DEBUG,
        **config,
    )
    app.session_interface = CookieSessionInterface()

    def view(value: str = "") -> Any:
        return common.visit(session, request.path, who())

    for rule in ("/show", "/store/<value>", "/fail/<value>"):
        app.add_url_rule(rule, rule.split("/")[1], view)
    return app


def serve(app: Flask) -> None:
    """Until the process is ended."""
    waitress.serve(app, host="127.0.0.1", port=common.PORT, threads=4)
