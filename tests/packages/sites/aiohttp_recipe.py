"""The recipe of docs/other.md for aiohttp, as it stands there."""

from aiohttp import web

from duck_cookie_session import RevocationListUnavailable, SessionStore, asession_headers
from duck_cookie_session.response import find_cookie


def sessions(connector, debug=False):
    @web.middleware
    async def with_session(request, handler):
        token = find_cookie(request.headers.get("Cookie", ""), connector.settings.cookie_name)
        session = request["session"] = SessionStore(token, connector=connector)
        try:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = error
            headers = response.headers
            added = await asession_headers(
                session,
                failed=response.status >= 500,
                vary=", ".join(headers.getall("Vary", [])),
                cache_control=headers.get("Cache-Control"),
                debug=debug,
            )
        except RevocationListUnavailable:
            text = "Try again in a moment.\n"
            return web.Response(text=text, status=503, headers={"Retry-After": "1"})
        for name, value in added:
            if name != "Set-Cookie":
                headers[name] = value
            else:
                headers.add(name, value)
        if isinstance(response, web.HTTPException):
            raise response
        return response

    return with_session
