"""The recipe of docs/other.md for an asynchronous framework, as it stands there."""

from aiohttp import web

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionStore,
    asession_headers,
    find_cookie,
)


def use_sessions(app, connector, debug=False):
    @web.middleware
    async def with_session(request, handler):
        token = find_cookie(request.headers.get("Cookie", ""), connector.settings.cookie_name)
        request["session"] = request["unsaved"] = SessionStore(token, connector=connector)
        try:
            response = await handler(request)
            if not response.prepared:  # else it is a stream
                await save(request, response)
        except RevocationListUnavailable:
            request["unsaved"] = None
            response = web.Response(status=503, headers={"Retry-After": "1"})
        return response

    async def save(request, response):
        session, request["unsaved"] = request.get("unsaved"), None
        if session is None:
            return
        headers = response.headers
        added = await asession_headers(
            session,
            failed=response.status >= 500,
            vary=", ".join(headers.getall("Vary", ())),
            cache_control=headers.get("Cache-Control"),
            debug=debug,
        )
        for name, value in added:
            if name == "Set-Cookie":
                headers.add(name, value)
            else:
                headers[name] = value

    app.middlewares.append(with_session)
    app.on_response_prepare.append(save)  # for streams, and for what handlers raise
