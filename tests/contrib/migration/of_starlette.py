import json
from base64 import b64decode
from contextlib import suppress

import itsdangerous
from starlette.requests import Request

OLD_SECRET = "the secret of Starlette's SessionMiddleware"


class TakeOver:
    """Inside CookieSessionMiddleware, which has a cookie of another name than `session`."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        old = Request(scope).cookies.get("session") if scope["type"] == "http" else None

        async def send_and_delete(message):
            if message["type"] == "http.response.start":
                deleting = (b"set-cookie", b"session=; Path=/; Max-Age=0")
                message = {**message, "headers": [*message["headers"], deleting]}
            await send(message)

        if old and scope["session"].session_id is None:
            with suppress(itsdangerous.BadSignature, ValueError):
                signed = itsdangerous.TimestampSigner(OLD_SECRET).unsign(old, max_age=14 * 86400)
                scope["session"].update(json.loads(b64decode(signed)))
        await self.app(scope, receive, send_and_delete if old else send)
