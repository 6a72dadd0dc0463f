"""Authlib: an OpenID login whose state, nonce and verifier live in the session, on a Redis."""

from __future__ import annotations

import httpx

from tests.packages.story import Site, Story, show


class TestAuthlib(Story):
    SITE = "authlib"
    USER = "carol"
    PROVIDER = True
    REDIS = True

    def log_in(self, browser: httpx.Client) -> None:
        assert browser.get("/login").status_code == 200

    def test_an_answer_of_the_provider_counts_in_the_browser_that_asked(self, site: Site) -> None:
        with site.browser() as browser, site.browser() as other:
            asked = browser.get("/login", follow_redirects=False)
            answer = httpx.get(asked.headers["Location"]).headers["Location"]
            other.get(answer)
            assert show(other)[0] is None
            assert show(browser)[0] is None
