"""An open page of Duck's Lively whose session is bound, in one process: `duck_page DIR`.

Prints as JSON what its events and navigations see: the user, and whether the session is bound.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from tests.device.process import set_duck_up, under_duck
from tests.device.sites import Here
from tests.device.stories import SESSION, stolen
from tests.helpers.device_browser import DeviceBrowser


def main() -> None:
    from duck.html.components.core.websocket import EventHandler
    from duck.http.request import HttpRequest
    from duck.settings.loaded import SettingsLoaded

    from duck_cookie_session.session_storage_connector import globals

    site = Here(under_duck)
    node = site.node()
    globals.session_storage_connector = node.connector
    seen: dict[str, Any] = {}

    def opened(browser: DeviceBrowser) -> Any:
        request = HttpRequest()
        lines = ["GET / HTTP/1.1", "Host: app.test", "Cookie: " + browser.cookie_header(), "", ""]
        request.parse_raw_request("\r\n".join(lines).encode())
        SettingsLoaded.WSGI.get_response(request)
        return request

    def look(when: str, page: Any) -> None:
        seen[f"{when}: event"] = [page.SESSION.get("user"), page.SESSION.device_bound]
        handler = EventHandler(SimpleNamespace(request=page))
        moved = handler.build_navigation_request(page, "/write", {})
        answer = SettingsLoaded.WSGI.get_response(moved).content.decode()
        seen[f"{when}: navigation"] = json.loads(answer.rpartition("<p>")[2])[:2]

    browser = DeviceBrowser(node.send, lambda: site.clock.now)
    browser.open("/login/ada", register=False)
    early = opened(browser)
    browser.register()
    page = opened(browser)
    look("opened before the binding", early)
    site.clock.now += 31
    look("30 s later", early)
    look("opened with a proof", page)
    look("opened by a thief", opened(stolen(browser, SESSION)))
    site.clock.now += 700
    look("after the proof's end", page)
    node.connector.delete_subject("ada")
    look("revoked", page)
    print(json.dumps(seen))


if __name__ == "__main__":
    set_duck_up(sys.argv[1])
    main()
