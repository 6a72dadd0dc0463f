"""The application as plain WSGI under waitress, with the recipe of the README."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import common
import waitress
from recipe import with_session

from duck_cookie_session import SessionSettings, SessionStorageConnector, SQLiteRevocationList


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    store = environ["session"]

    def session() -> Any:
        return store

    def login(user: str) -> None:
        store[common.SUBJECT_KEY] = user

    args = dict(parse_qsl(environ["QUERY_STRING"]))
    made = common.answer(environ["PATH_INFO"], common.Asked(args, session, login, store.clear))
    headers = [("Set-Cookie", "own=1")] if made.cookie else []
    if made.cache:
        headers.append(("Cache-Control", made.cache))
    start_response(f"{made.status} {HTTPStatus(made.status).phrase}", headers)
    return [chunk.encode() for chunk in made.chunks]


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
    served = with_session(application, connector)
    waitress.serve(served, host="127.0.0.1", port=common.PORT, threads=4)
