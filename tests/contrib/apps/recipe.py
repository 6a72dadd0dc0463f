"""The WSGI recipe of docs/other.md, as it stands there."""

from wsgiref.headers import Headers

from duck_cookie_session import RevocationListUnavailable, SessionStore, session_headers
from duck_cookie_session.response import find_cookie


def with_session(app, connector):
    def wrapped(environ, start_response):
        token = find_cookie(environ.get("HTTP_COOKIE", ""), connector.settings.cookie_name)
        session = environ["session"] = SessionStore(token, connector=connector)

        def start(status, headers, exc_info=None):
            table = Headers(headers)
            failed, vary = status >= "500", ", ".join(table.get_all("Vary"))
            for name, value in session_headers(session, failed=failed, vary=vary):
                if name != "Set-Cookie":
                    del table[name]
                table.add_header(name, value)
            return start_response(status, table.items(), exc_info)

        try:
            return app(environ, start)
        except RevocationListUnavailable:
            start_response("503 Service Unavailable", [("Retry-After", "1")])
            return [b"Try again in a moment.\n"]

    return wrapped
