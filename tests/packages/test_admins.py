"""The two admins for Starlette."""

from __future__ import annotations

import httpx

from tests.packages.story import PASSWORD, Site, Story, submit


class _Admin(Story):
    def log_in(self, browser: httpx.Client) -> None:
        submit(browser, "/admin/login", username="alice", password=PASSWORD)

    def test_the_admin_itself_is_closed_to_a_copy(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            page = browser.get("/admin/duck/list")
            assert (page.status_code, page.url.path) == (200, "/admin/duck/list")
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert copy.get("/admin/duck/list").url.path == "/admin/login"


class TestSqladmin(_Admin):
    SITE = "sqladmin"

    def log_out(self, browser: httpx.Client) -> None:
        assert browser.get("/admin/logout").status_code == 200


class TestStarletteAdmin(_Admin):
    SITE = "starlette_admin"

    def log_out(self, browser: httpx.Client) -> None:
        submit(browser, "/admin/", to="/admin/logout")
