from uuid import UUID

from duck.http.middlewares import BaseMiddleware
from duck.http.session.connector import SessionStorageConnector
from duck.utils.caching import KeyAsFolderCache

OLD_COOKIE = "session_id"  # SESSION_COOKIE_NAME is another one now; SESSION_DIR stays


class TakeOver(BaseMiddleware):
    """In MIDDLEWARES behind SessionMiddleware."""

    @classmethod
    def process_request(cls, request):
        key = request.COOKIES.get(OLD_COOKIE)
        if key and request.SESSION.session_id is None:
            try:
                key = str(UUID(key))  # the old storage takes it for the name of a folder
            except ValueError:
                return cls.request_ok
            old = SessionStorageConnector(KeyAsFolderCache)
            data = old.get_session(key) or {}
            data.pop("expiry_date", None)  # what Duck noted for itself
            request.SESSION.update(data)
            old.delete_session(key)
        return cls.request_ok

    @classmethod
    def process_response(cls, response, request):
        if OLD_COOKIE in request.COOKIES:
            response.set_cookie(OLD_COOKIE, "", max_age=0)
