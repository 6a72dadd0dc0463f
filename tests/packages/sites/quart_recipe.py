"""The recipe of docs/other.md for Quart, as it stands there."""

from quart.sessions import SessionInterface

from duck_cookie_session import RevocationListUnavailable, asession_headers, find_cookie
from duck_cookie_session.contrib.flask import FlaskSession


class Sessions(SessionInterface):
    def __init__(self, connector):
        self.connector = connector

    async def open_session(self, app, request):
        name = self.connector.settings.cookie_name
        token = find_cookie(request.headers.get("Cookie", ""), name)
        return FlaskSession(token, connector=self.connector)

    async def save_session(self, app, session, response):
        if response is None:  # of a websocket
            return
        headers = response.headers
        try:
            added = await asession_headers(
                session,
                failed=response.status_code >= 500,
                vary=", ".join(headers.getlist("Vary")),
                cache_control=headers.get("Cache-Control"),
                debug=app.debug,
            )
        except RevocationListUnavailable:
            response.status_code = 503
            response.set_data(b"Try again in a moment.\n")
            added = [("Retry-After", "1")]
        for name, value in added:
            if name != "Set-Cookie":
                headers[name] = value
            else:
                headers.add(name, value)
