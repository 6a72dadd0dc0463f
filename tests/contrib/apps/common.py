"""What every application of the conformance suite does, whatever its framework.

The settings come from the environment, so that two processes can be nodes of one site.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from duck_cookie_session import SessionEvent

SUBJECT_KEY = "_auth_user_id"
BOUND = bool(os.environ.get("SITE_BOUND"))
COOKIE = "__Host-session" if BOUND else "session_id"
SECRET = os.environ.get("SITE_SECRET", "")
FOLDER = os.environ.get("SITE_FOLDER", "")
LIST_URL = os.environ.get("SITE_LIST", "")
LIST = "redis.RedisRevocationList" if LIST_URL.startswith("redis") else "sql.SQLRevocationList"
LIST = f"duck_cookie_session.revocation.{LIST}"
LIST_SETTINGS = {"SESSION_STORAGE": LIST, "SESSION_REVOCATION_URL": LIST_URL} if LIST_URL else {}
SETTINGS: dict[str, object] = {"SESSION_ON_EVENT": "common.tell", **LIST_SETTINGS}
if BOUND:
    SETTINGS |= {"SESSION_DEVICE_BINDING": "offer", "SESSION_COOKIE_SECURE": True}
PORT = int(os.environ.get("SITE_PORT", "0"))
ASYNC = bool(os.environ.get("SITE_ASYNC"))

CHUNKS = ["one ", "two ", "three"]
TEXT = "untouched"


class Answer(NamedTuple):
    """What a view answers. `streamed`: the body goes out chunk by chunk; `cache`: Cache-Control."""

    status: int = 200
    chunks: list[str] = [TEXT]  # noqa: RUF012  # never changed
    streamed: bool = False
    cookie: bool = False
    cache: str = ""

    @property
    def body(self) -> str:
        """All of it."""
        return "".join(self.chunks)


class Asked(NamedTuple):
    """A request, as a view sees it.

    Attributes:
        args: of the query.
        session: gives the session; what is not touched is not even named.
        login, logout: the framework's own, where it has them.
    """

    args: Mapping[str, str]
    session: Callable[[], Any]
    login: Callable[[str], None]
    logout: Callable[[], None]


_number = itertools.count()
_asked: ContextVar[int | None] = ContextVar("_asked", default=None)


def tell(event: SessionEvent) -> None:
    """Write down what a session's event tells, and in whose request that was."""
    line = {
        "kind": event.kind.value,
        "id": event.session_id,
        "previous": event.previous_id,
        "reason": event.reason and event.reason.value,
        "asked": _asked.get(),
    }
    with (Path(FOLDER).parent / "events.jsonl").open("a") as file:  # of all processes
        file.write(json.dumps(line) + "\n")


def answer(path: str, asked: Asked) -> Answer:
    """What the application answers."""
    _asked.set(next(_number))
    return VIEWS[path](asked) if path in VIEWS else Answer(404, ["nothing here"])


def _set(asked: Asked) -> Answer:
    asked.session()[asked.args["key"]] = asked.args["value"]
    return _show(asked)


def _append(asked: Asked) -> Answer:
    asked.session().setdefault("cart", []).append(asked.args["item"])
    return _show(asked)


def _nested(asked: Asked) -> Answer:
    asked.session()["cart"].append(asked.args["item"])
    return _show(asked)


def _login(asked: Asked) -> Answer:
    asked.login(asked.args["user"])
    return Answer(chunks=["in"])


def _logout(asked: Asked) -> Answer:
    asked.logout()
    return Answer(chunks=["out"])


def _failing_logout(asked: Asked) -> Answer:
    asked.logout()
    return Answer(500, ["failed"])


def _expiry(asked: Asked) -> Answer:
    asked.session()["kept"] = True
    asked.session().set_expiry(int(asked.args["seconds"]))
    return Answer(chunks=["set"])


def _large(asked: Asked) -> Answer:
    asked.session()["large"] = "x" * 5000
    return Answer(chunks=["kept whole"], cookie=True)


def _own_cookie(asked: Asked) -> Answer:
    asked.session()["seen"] = True
    return Answer(chunks=["beside"], cookie=True)


def _stream(asked: Asked) -> Answer:
    asked.session()["streamed"] = True
    return Answer(chunks=CHUNKS, streamed=True)


def _not_modified(asked: Asked) -> Answer:
    asked.session()["unchanged"] = True
    return Answer(304, [])


def _failing(asked: Asked) -> Answer:
    asked.session()["failed"] = True
    return Answer(500, ["failed"])


def _raising(asked: Asked) -> Answer:
    asked.session()["failed"] = True
    raise RuntimeError("as a view of the tests does")


def _cached(asked: Asked) -> Answer:
    if "key" in asked.args:
        asked.session()[asked.args["key"]] = asked.args["value"]
    asked.session().get("color")
    return Answer(cache="public, max-age=60")


def _show(asked: Asked) -> Answer:
    session = asked.session()
    data = {key: value for key, value in session.items() if not key.startswith("_")}
    state = {"data": data, "user": session.get(SUBJECT_KEY), "id": session.session_id}
    if BOUND:
        state["bound"] = session.device_bound
    return Answer(chunks=[json.dumps(state)])


def _exists(asked: Asked) -> Answer:
    session = asked.session()
    key = session.session_key
    return Answer(chunks=["logged in" if key and session.exists(key) else "visitor"])


VIEWS: dict[str, Callable[[Asked], Answer]] = {
    "/exists": _exists,
    "/plain": lambda _: Answer(),
    "/show": _show,
    "/cached": _cached,
    "/set": _set,
    "/append": _append,
    "/nested": _nested,
    "/login": _login,
    "/logout": _logout,
    "/failing-logout": _failing_logout,
    "/expiry": _expiry,
    "/large": _large,
    "/own-cookie": _own_cookie,
    "/stream": _stream,
    "/not-modified": _not_modified,
    "/failing": _failing,
    "/raising": _raising,
}
