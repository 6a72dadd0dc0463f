"""The recipe of docs/other.md for Sanic, as it stands there."""

from sanic.response import text

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionError,
    SessionStore,
    asession_headers,
    find_cookie,
)


def use_sessions(app, connector):
    @app.on_request
    async def open_session(request):
        token = find_cookie(request.headers.get("cookie", ""), connector.settings.cookie_name)
        request.ctx.session = SessionStore(token, connector=connector)

    @app.on_response
    async def save_session(request, response):
        session, headers = getattr(request.ctx, "session", None), response.headers
        if session is None:  # of a request that was no HTTP
            return None
        try:
            added = await asession_headers(
                session,
                failed=response.status >= 500,
                vary=", ".join(headers.getall("Vary", [])),
                cache_control=headers.get("Cache-Control"),
                debug=app.debug,
            )
        except RevocationListUnavailable:
            return text("Try again in a moment.\n", 503, {"Retry-After": "1"})
        except SessionError as error:  # in debug mode; Sanic would only log it
            return text(f"{type(error).__name__}: {error}", 500)
        for name, value in added:
            if name != "Set-Cookie":
                headers[name] = value
            else:
                headers.add(name, value)
        return None
