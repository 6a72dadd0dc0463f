from django.contrib.sessions.backends.db import SessionStore as OldSession


def take_over(get_response):
    """Behind SessionMiddleware, with SESSION_COOKIE_NAME set to another name than `sessionid`."""

    def middleware(request):
        key = request.COOKIES.get("sessionid")
        if key and request.session.session_id is None:
            old = OldSession(key)
            request.session.update(dict(old.items()))
            old.flush()
        response = get_response(request)
        if key:
            response.delete_cookie("sessionid")
        return response

    return middleware
