"""An open page of Duck's Lively, in one process: its navigations and events, as Duck makes them.

Prints a JSON object: what was seen before and after what the first argument names.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import common
import duck_app


async def _get(path: str, cookie: str) -> tuple[Any, Any]:
    from duck.http.request import HttpRequest
    from duck.settings.loaded import SettingsLoaded

    request = HttpRequest()
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {cookie}", "", ""]
    request.parse_raw_request("\r\n".join(lines).encode())
    return request, await SettingsLoaded.ASGI.get_response(request)


def _sent_cookie(response: Any) -> str:
    return f"{common.COOKIE}={response.cookies[common.COOKIE].value}"


async def main(what: str) -> None:
    import duck.setup

    duck.setup.setup()
    from duck.contrib import auth
    from duck.html.components.core.websocket import EventHandler
    from duck.settings.loaded import SettingsLoaded

    from duck_cookie_session import get_session_storage_connector

    _, answered = await _get("/login?user=alice", "none=1")
    cookie = _sent_cookie(answered)
    page, _ = await _get("/show", cookie)
    page.user = "alice"  # as Duck's user_required does
    events = EventHandler(SimpleNamespace(request=page))
    connector = get_session_storage_connector()
    seen: dict[str, Any] = {}

    async def look(when: str) -> None:
        if what != "navigation":  # an event, before anything else
            seen[f"{when}: event"] = auth.get_user_id(page)
            seen[f"{when}: page"] = page.user
        moved = events.build_navigation_request(page, "/show", {})
        response = await SettingsLoaded.ASGI.get_response(moved)
        seen[f"{when}: navigation"] = json.loads(response.content)["user"]
        seen[f"{when}: of the navigation"] = moved.user
        seen[f"{when}: page"] = page.user
        seen[f"{when}: cookie"] = common.COOKIE in response.cookies

    await look("before")
    if what == "unsaved":
        page.SESSION["note"] = "of an event"
    if what != "expiry":
        connector.delete_subject("alice")
    # A list across the network is asked once a second at most, for events.
    later = time.time() + (8 * 86_400 if what == "expiry" else 1.1 if common.LIST_URL else 0)
    connector.rules._clock = lambda: later
    await look("after")
    print(json.dumps(seen))


if __name__ == "__main__":
    duck_app.make_project()
    asyncio.run(main(sys.argv[1]))
