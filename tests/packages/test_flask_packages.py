"""Flask's other packages."""

from __future__ import annotations

import httpx

from tests.packages.story import PASSWORD, Site, Story, submit


class TestFlaskWTF(Story):
    SITE = "flask_wtf"

    def test_a_form_of_another_session_is_refused(self, site: Site) -> None:
        with site.browser() as browser, site.browser() as other:
            other.get("/login")
            fields = {"username": "alice", "password": PASSWORD}
            assert browser.post("/login", data=fields).status_code == 400
            page = other.get("/login").text
            token = page.partition('name="csrf_token"')[2].split('value="')[1].split('"')[0]
            browser.get("/login")
            sent = browser.post("/login", data={**fields, "csrf_token": token})
            assert sent.status_code == 400


class TestFlaskAdmin(Story):
    SITE = "flask_admin"

    def test_its_forms_and_messages_work(self, site: Site) -> None:
        with site.browser() as browser:
            assert browser.get("/admin/").url.path == "/login"
            self.log_in(browser)
            response = submit(browser, "/admin/files/mkdir/", name="a-folder")
            assert "a-folder" in response.text
            refused = browser.post("/admin/files/mkdir/", data={"name": "another"})
            assert "another</a>" not in browser.get("/admin/files/").text
            assert "CSRF" in refused.text


class TestFlaskPrincipal(Story):
    SITE = "flask_principal"

    def test_a_role_ends_with_the_logout(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            assert browser.get("/admins").text == "for admins"
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert copy.get("/admins").status_code == 403


class TestFlaskDance(Story):
    SITE = "flask_dance"
    USER = "carol"
    PROVIDER = True

    def log_in(self, browser: httpx.Client) -> None:
        assert browser.get("/login/provider").status_code == 200


class TestFlaskSecurity(Story):
    SITE = "flask_security"

    def log_in(self, browser: httpx.Client) -> None:
        submit(browser, "/login", email="alice@example.org", password=PASSWORD)

    def log_out(self, browser: httpx.Client) -> None:
        assert browser.post("/logout").status_code == 200

    def test_a_guarded_view_is_closed_to_a_copy(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            assert browser.get("/guarded").text == "guarded"
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert copy.get("/guarded").url.path == "/login"
