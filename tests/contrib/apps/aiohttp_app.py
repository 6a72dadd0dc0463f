"""The application on aiohttp, with the recipe of docs/other.md."""

from __future__ import annotations

from typing import Any

import common
from aiohttp import web
from recipe_async import use_sessions

from duck_cookie_session import SessionSettings, SessionStorageConnector, SQLiteRevocationList


async def view(request: web.Request) -> web.StreamResponse:
    store = request["session"]

    def session() -> Any:
        return store

    def login(user: str) -> None:
        store[common.SUBJECT_KEY] = user

    made = common.answer(request.path, common.Asked(request.query, session, login, store.clear))
    headers = {"Cache-Control": made.cache} if made.cache else {}
    response: Any = web.Response(text=made.body, status=made.status, headers=headers)
    if made.streamed:
        response = web.StreamResponse()
    if made.cookie:
        response.set_cookie("own", "1")
    if made.streamed:
        await response.prepare(request)
        for chunk in made.chunks:
            await response.write(chunk.encode())
        await response.write_eof()
    return response


settings = SessionSettings(
    secret_keys=(common.SECRET,),
    cookie_name=common.COOKIE,
    cookie_secure=False,
    subject_key=common.SUBJECT_KEY,
    session_dir=common.FOLDER,
    on_event=common.tell,
)
connector = SessionStorageConnector(SQLiteRevocationList, settings=settings)

if __name__ == "__main__":
    app = web.Application()
    use_sessions(app, connector)
    app.add_routes([web.get(path, view) for path in common.VIEWS])
    web.run_app(app, host="127.0.0.1", port=common.PORT, print=None)
