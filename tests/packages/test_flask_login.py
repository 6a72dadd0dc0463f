"""Flask-Login: logout, remembered logins, fresh ones, and its strong protection."""

from __future__ import annotations

from tests.packages.story import PASSWORD, Site, Story, show, submit


class TestFlaskLogin(Story):
    SITE = "flask_login"

    def test_a_remembered_login_is_not_fresh(self, site: Site) -> None:
        with site.browser() as browser:
            submit(browser, "/login", username="alice", password=PASSWORD, remember="1")
            assert browser.get("/fresh").text == "fresh"
            browser.cookies.delete("site_session")
            assert show(browser)[0] == "alice"
            assert browser.get("/fresh").status_code == 401

    def test_a_remembered_login_ends_with_the_logout(self, site: Site) -> None:
        with site.browser() as browser:
            submit(browser, "/login", username="alice", password=PASSWORD, remember="1")
            self.log_out(browser)
            assert "remember_token" not in browser.cookies
            assert show(browser)[0] is None

    def test_a_copy_of_its_own_cookie_is_not_ended_by_the_logout(self, site: Site) -> None:
        """It is Flask-Login's alone: docs/flask.md says what to do about it."""
        with site.browser() as browser:
            submit(browser, "/login", username="alice", password=PASSWORD, remember="1")
            browser.get("/store/secret")
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert show(copy) == ("alice", None)
                assert copy.get("/fresh").status_code == 401

    def test_strong_protection_ends_a_session_that_another_browser_presents(
        self, site: Site
    ) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            with site.browser(browser) as thief:
                thief.headers["User-Agent"] = "another"
                assert show(thief)[0] is None
