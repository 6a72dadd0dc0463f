"""The WSGI recipe of docs/other.md, as it stands there."""

from wsgiref.headers import Headers

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionStore,
    find_cookie,
    session_headers,
)


def with_session(app, connector):
    def wrapped(environ, start_response):
        token = find_cookie(environ.get("HTTP_COOKIE", ""), connector.settings.cookie_name)
        session = environ["session"] = SessionStore(token, connector=connector)

        def start(status, headers, exc_info=None):
            table = Headers(headers)
            added = session_headers(
                session,
                failed=status >= "500",
                vary=", ".join(table.get_all("Vary")),
                cache_control=table.get("Cache-Control"),
            )
            for name, value in added:
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
