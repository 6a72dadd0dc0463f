"""WSGI contenders: Flask and Django, each bare, with its own session, and with ours."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from tests.benchmarks import ours, web
from tests.benchmarks.data import SECRET
from tests.benchmarks.peers import label, missing
from tests.benchmarks.report import Section
from tests.benchmarks.web import Answer

SESSION_KINDS = ("memory", "sqlite")


class WsgiApplication:
    """A WSGI application driven in process, without a server."""

    def __init__(self, name: str, app: Callable[..., Any], bare: str) -> None:
        self.name = name
        self.bare = bare
        self.has_session = bare != name
        self._app = app

    def environ(self, path: str, cookie: str) -> dict[str, Any]:
        """A fresh environ, as a server makes one a request."""
        path, _, query = path.partition("?")
        return {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            **({"HTTP_COOKIE": cookie} if cookie else {}),
        }

    def serve(self, environ: dict[str, Any]) -> None:
        """Serve one request and drop the answer: what is timed."""
        body = self._app(environ, _drop)
        for _ in body:
            pass
        body.close()

    def ask(self, path: str, cookie: str) -> Answer:
        """Serve one request and keep the answer."""
        headers: list[tuple[str, str]] = []

        def start(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> None:
            headers.extend(given)

        body = self._app(self.environ(path, cookie), start)
        content = b"".join(body)
        body.close()
        cookies = [value for name, value in headers if name.lower() == "set-cookie"]
        return Answer(content.decode(), web.cookies_of(cookies))


def _drop(status: str, headers: Any, exc_info: Any = None) -> None:
    del status, headers, exc_info


def flask_applications(section: Section) -> list[WsgiApplication]:
    """Flask bare, with its own session, and with this library's over both lists."""
    if missing(section, "flask"):
        return []
    from flask.sessions import SecureCookieSession, SessionInterface

    class NoSession(SessionInterface):
        """Flask without any session: what the others are compared with."""

        def open_session(self, app: Any, request: Any) -> Any:
            return SecureCookieSession()

        def is_null_session(self, obj: object) -> bool:
            return True

    bare = label("flask", "bare")
    found = [
        WsgiApplication(bare, _flask(NoSession()), bare),
        WsgiApplication(label("flask", "own session (signed)"), _flask(None), bare),
    ]
    for kind in SESSION_KINDS:
        node = ours.node(section, kind)
        if node is not None:
            app = _flask(ours.flask_interface(node))
            found.append(WsgiApplication(ours.label(f"in Flask ({kind} list)"), app, bare))
    return found


def _flask(interface: Any) -> Any:
    import flask

    app = flask.Flask("benchmark")
    app.secret_key = SECRET
    if interface is not None:
        app.session_interface = interface

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    @app.get("/read")
    def read() -> str:
        return web.read(flask.session)

    @app.get("/write")
    def write() -> str:
        return web.write(flask.session)

    @app.get("/fill")
    def fill() -> str:
        web.fill(flask.session, flask.request.query_string.decode())
        return "filled"

    return app


def django_applications(section: Section) -> list[WsgiApplication]:
    """Django bare, with its signed cookie sessions, and with this library's over both lists."""
    if missing(section, "django"):
        return []
    from tests.benchmarks import django_app

    own = ["django.contrib.sessions.middleware.SessionMiddleware"]
    bare = label("django", "bare")
    found = [
        WsgiApplication(bare, django_app.handler(MIDDLEWARE=[]), bare),
        WsgiApplication(
            label("django", "own session (signed)"),
            django_app.handler(
                MIDDLEWARE=own, SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"
            ),
            bare,
        ),
    ]
    for kind in SESSION_KINDS:
        app = ours.django_handler(section, kind, django_app.handler)
        if app is not None:
            found.append(WsgiApplication(ours.label(f"in Django ({kind} list)"), app, bare))
    return found
