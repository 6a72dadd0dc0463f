"""Frameworks that have no adapter of their own."""

from __future__ import annotations

import httpx

from tests.packages.story import Site, Story, show


class TestLitestar(Story):
    SITE = "litestar"
    REDIS = True

    def test_its_own_way_to_clear_a_session_is_no_logout_and_the_log_says_so(
        self, site: Site
    ) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            said = len(site.said)
            assert browser.get("/litestars-own-logout").status_code == 200
            assert site.says("to log out, call clear() on the session itself", behind=said)
            assert show(browser)[0] == "alice"


class _Recipe(Story):
    def test_a_response_that_looked_at_the_session_says_so_to_caches(self, site: Site) -> None:
        with site.browser() as browser:
            kept: httpx.Response = browser.get("/store/1")
            assert kept.headers["Cache-Control"] == "no-store"
            shown = browser.get("/show")
            assert shown.headers["Cache-Control"] == "private, no-cache"
            assert shown.headers["Vary"] == "Cookie"
            assert "Set-Cookie" not in shown.headers


class TestQuart(_Recipe):
    SITE = "quart"


class TestSanic(_Recipe):
    SITE = "sanic"


class TestAiohttp(_Recipe):
    SITE = "aiohttp"
