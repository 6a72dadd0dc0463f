from contextlib import suppress

from flask import request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature


def take_over(app):
    """With SESSION_COOKIE_NAME set to another name than `session`."""
    old = SecureCookieSessionInterface().get_signing_serializer(app)

    @app.before_request
    def read_the_old_cookie():
        if "session" in request.cookies and session.new:
            with suppress(BadSignature):
                session.update(old.loads(request.cookies["session"], max_age=31 * 86400))

    @app.after_request
    def delete_it(response):
        if "session" in request.cookies:
            response.delete_cookie("session")
        return response
