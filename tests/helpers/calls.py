"""How many functions and modules of the library a request runs through.

`python -m tests.helpers.calls` prints the table of docs/architecture.md.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import duck_cookie_session
from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    session_headers,
)

SOURCES = str(Path(duck_cookie_session.__file__).parent)


class Way(NamedTuple):
    """What one request ran through.

    Attributes:
        calls: functions of the library entered, a generator each time that it goes on.
        modules: modules that these are in.
    """

    calls: int
    modules: int


def log_in_again(session: SessionStore) -> None:
    """Another user logs in: a change of subject."""
    session["user"] = "bob"


ACTS: dict[str, Callable[[SessionStore], object]] = {
    "read": lambda session: session["user"],
    "write": lambda session: session.__setitem__("n", 2),
    "nested change": lambda session: session["cart"].append(3),
    "login": log_in_again,
    "logout": lambda session: session.clear(),
}


def way_of(act: Callable[[SessionStore], object]) -> Way:
    """Run a request on a memory list, with a subject and a token seen before, and count."""
    revocations = MemoryRevocationList()
    settings = SessionSettings(secret_keys="s" * 32, subject_key="user")
    connector = SessionStorageConnector(lambda: revocations, settings=settings)
    token = connector.set_session(None, {"user": "alice", "cart": [1, 2], "n": 1})
    connector.get_session(token)
    calls, modules = 0, set()

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        code = frame.f_code
        own = code.co_filename.startswith(SOURCES) and not code.co_name.startswith("<")
        if event == "call" and own:
            calls += 1
            modules.add(code.co_filename)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        session = SessionStore(token, connector=connector)
        act(session)
        headers = session_headers(session)
    finally:
        sys.setprofile(before)
        connector.close()
    assert dict(headers)["Vary"] == "Cookie"
    return Way(calls, len(modules))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    print("| request | calls | modules |\n|---|---|---|")
    for name, act in ACTS.items():
        print(f"| {name} | {way_of(act).calls} | {way_of(act).modules} |")
