"""Django's admin, and packages for Django."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from tests.packages.story import PASSWORD, Site, Story, show, submit


class _Django(Story):
    def log_out(self, browser: httpx.Client) -> None:
        _post(browser, "/logout")


def _post(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """A POST with the CSRF cookie's token."""
    headers = {"X-CSRFToken": browser.cookies["csrftoken"]}
    response = browser.post(path, data=fields, headers=headers)
    assert response.status_code == 200, response.text
    return response


class TestDjangoAdmin(Story):
    SITE = "django_admin"

    def log_in(self, browser: httpx.Client) -> None:
        submit(browser, "/admin/login/", username="alice", password=PASSWORD)

    def log_out(self, browser: httpx.Client) -> None:
        submit(browser, "/admin/", to="/admin/logout/")

    def test_messages_and_csrf_token_live_in_the_session(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            assert set(browser.cookies) == {"site_session"}
            added = submit(browser, "/admin/auth/group/add/", name="ducks")
            assert "was added successfully" in added.text
            assert "was added successfully" not in browser.get("/admin/auth/group/").text
            without = browser.post("/admin/auth/group/add/", data={"name": "geese"})
            assert without.status_code == 403


class TestDjangoAllauth(Story):
    SITE = "django_allauth"
    PROVIDER = True

    def log_in(self, browser: httpx.Client) -> None:
        submit(browser, "/accounts/login/", login="alice", password=PASSWORD)

    def log_out(self, browser: httpx.Client) -> None:
        submit(browser, "/accounts/logout/")

    def test_signing_up_and_logging_in_by_openid(self, site: Site) -> None:
        with site.browser() as browser:
            page = browser.get("/accounts/oidc/provider/login/")
            assert page.status_code == 200, page.text
            if page.url.path != "/show":
                submit(browser, page.url.path, username="carol", email="carol@example.org")
            assert show(browser)[0] == "carol"
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert show(copy)[0] is None


class TestDjangoOTP(_Django):
    SITE = "django_otp"

    def log_in(self, browser: httpx.Client) -> None:
        device = {"otp_device": "otp_static.staticdevice/1", "otp_token": "a code"}
        submit(browser, "/login", username="alice", password=PASSWORD, **device)

    def test_a_confirmed_login_ends_with_the_logout(self, site: Site) -> None:
        with site.browser() as browser:
            assert browser.get("/guarded").url.path == "/login"
            self.log_in(browser)
            assert browser.get("/guarded").text == "guarded"
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert copy.get("/guarded").url.path == "/login"


class TestDjangoHijack(_Django):
    SITE = "django_hijack"

    def test_working_as_somebody_else_and_coming_back(self, site: Site) -> None:
        with site.browser() as browser:
            self.log_in(browser)
            _post(browser, "/hijack/acquire/", user_pk="2", next="/show")
            assert show(browser)[0] == "bob"
            with site.browser(browser) as copy:
                _post(browser, "/hijack/release/", next="/show")
                assert show(browser)[0] == "alice"
                assert show(copy)[0] is None


class TestDjangoDebugToolbar(_Django):
    SITE = "django_toolbar"

    def test_it_prints_the_session(self, debug_site: Site) -> None:
        with debug_site.browser() as browser:
            browser.get("/store/quite-a-value")
            page = browser.get("/page").text
            store = re.search('data-request-id="([^"]+)"', page)
            assert store
            query = {"request_id": store[1], "panel_id": "RequestPanel"}
            assert "quite-a-value" in browser.get("/__debug__/render_panel/", params=query).text


class TestDjangoRest(_Django):
    SITE = "django_rest"

    def log_in(self, browser: httpx.Client) -> None:
        submit(browser, "/login/", username="alice", password=PASSWORD)

    def log_out(self, browser: httpx.Client) -> None:
        _post(browser, "/logout/")

    def test_its_api(self, site: Site) -> None:
        with site.browser() as browser:
            assert browser.get("/api").status_code == 403
            self.log_in(browser)
            assert browser.post("/api", data={"value": "1"}).status_code == 403  # no CSRF token
            assert _post(browser, "/api", value="1").json() == {"user": "alice", "value": "1"}


class TestDjangoSocialAuth(_Django):
    SITE = "django_social"
    USER = "carol"
    PROVIDER = True

    def log_in(self, browser: httpx.Client) -> None:
        browser.get("/login")
        _post(browser, "/login/oidc/")


class TestChannels(_Django):
    SITE = "django_channels"

    def test_a_websocket_of_a_copy_is_nobodys_after_the_logout(self, site: Site) -> None:
        with site.browser() as browser:
            browser.get("/store/kept")
            self.log_in(browser)
            assert _first_message(site, browser) == {"user": "alice", "value": "kept"}
            with site.browser(browser) as copy:
                self.log_out(browser)
                assert _first_message(site, copy) == {"user": None, "value": None}


def _first_message(site: Site, browser: httpx.Client) -> Any:
    from websockets.sync.client import connect

    cookie = f"site_session={browser.cookies['site_session']}"
    url = site.url.replace("http", "ws") + "/socket"
    with connect(url, additional_headers={"Cookie": cookie}) as socket:
        return json.loads(socket.recv(timeout=10))
