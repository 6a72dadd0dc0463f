"""Flask-SocketIO: who connects is who was logged in, and what a handler writes is not kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.packages.story import Site, Story, show

if TYPE_CHECKING:
    import socketio


@contextlib.contextmanager
def connected(site: Site, browser: httpx.Client, transport: str) -> Iterator[socketio.SimpleClient]:
    import socketio

    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    with socketio.SimpleClient() as client:
        client.connect(site.url, headers={"Cookie": cookie}, transports=[transport])
        yield client


class TestSocketIO(Story):
    SITE = "flask_socketio"

    @pytest.mark.parametrize("transport", ["polling", "websocket"])
    def test_a_copy_cannot_connect_after_the_logout(self, site: Site, transport: str) -> None:
        from socketio.exceptions import ConnectionError as Refused

        with site.browser() as browser:
            self.log_in(browser)
            with connected(site, browser, transport) as client:
                assert client.call("who") == "alice"
            with site.browser(browser) as copy:
                self.log_out(browser)
                with pytest.raises(Refused), connected(site, copy, transport):
                    pass

    def test_what_a_handler_writes_is_not_kept(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            browser.get("/store/before")
            with connected(site, browser, "websocket") as client:
                client.call("write")
            assert show(browser) == ("alice", "before")
