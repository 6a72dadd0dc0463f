"""Frameworks that have no adapter of their own."""

from __future__ import annotations

import httpx

from tests.packages.story import Site, Story


class TestLitestar(Story):
    SITE = "litestar"
    REDIS = True


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
