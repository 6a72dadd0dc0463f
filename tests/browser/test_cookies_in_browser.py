"""What a browser keeps of our cookies: sizes, prefixes, SameSite, and what closing it leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    session_headers,
)
from duck_cookie_session.errors import InvalidSettings

from .chromium import browser
from .site import Site, serving

SECRET = "a secret of forty characters, used in tests"
TEXT = "x" * 2_800
"""Makes a token so long that a name of some 60 characters fills the cookie."""


def _settings(**changed: Any) -> SessionSettings:
    return SessionSettings(**{"secret_keys": (SECRET,), **changed})


def _full(**changed: Any) -> SessionSettings:
    """Settings whose cookies have the longest Max-Age that there may be."""
    return _settings(cookie_age=30 * 86_400, **changed)


def _open(context: Any, site: Site, path: str, host: str = "127.0.0.1") -> Any:
    page = context.new_page()
    page.goto(site.url(path, host))
    return json.loads(page.inner_text("body"))


def _kept(context: Any, site: Site) -> dict[str, Any]:
    return {cookie["name"]: cookie for cookie in context.cookies(site.url("/"))}


@pytest.fixture(scope="module")
def filling_name() -> str:
    """A cookie name with which TEXT makes a line of exactly 4,096 bytes, attributes included."""
    connector = SessionStorageConnector(MemoryRevocationList, settings=_full(cookie_name="__Host-"))
    session = SessionStore(None, connector=connector)
    session["text"] = TEXT
    line = dict(session_headers(session))["Set-Cookie"]
    connector.close()
    return "__Host-" + "n" * (4_096 - len(line))


def test_a_line_of_4096_bytes_is_kept(
    context: Any, tmp_path: Path, certificate: Path, filling_name: str
) -> None:
    with serving(tmp_path, _full(cookie_name=filling_name), certificate) as site:
        _open(context, site, f"/write?text={TEXT}")
        assert filling_name in _kept(context, site)
        assert _open(context, site, "/read")["session"] == {"text": TEXT}


def test_a_line_of_4097_bytes_is_refused_by_us_and_a_longer_cookie_would_be_dropped(
    context: Any, tmp_path: Path, certificate: Path, filling_name: str
) -> None:
    name = filling_name + "n"
    with serving(tmp_path, _full(cookie_name=name), certificate) as site:
        _open(context, site, "/write?text=small")
        before = _kept(context, site)[name]["value"]
        _open(context, site, f"/write?text={TEXT}")
        assert _kept(context, site)[name]["value"] == before
        assert _open(context, site, "/read")["session"] == {"text": "small"}
        # A browser takes 4,096 of name and value and no more, and says nothing.
        for size, expected in ((4_096, True), (4_097, False)):
            raw = f"raw{size}=" + "v" * (size - len(f"raw{size}"))
            _open(context, site, "/raw?header=" + quote(raw + "; Path=/; Secure"))
            assert (f"raw{size}" in _kept(context, site)) is expected


@pytest.mark.parametrize("prefix", ["__Host-", "__Secure-"])
def test_prefixed_names_are_kept_over_https(
    context: Any, tmp_path: Path, certificate: Path, prefix: str
) -> None:
    settings = _settings(cookie_name=prefix + "session")
    with serving(tmp_path, settings, certificate) as site:
        _open(context, site, "/write?text=a")
        kept = _kept(context, site)[prefix + "session"]
        assert (kept["secure"], kept["httpOnly"], kept["sameSite"]) == (True, True, "Lax")
        assert kept["path"] == "/"
        assert _open(context, site, "/read")["session"] == {"text": "a"}


@pytest.mark.parametrize(
    ("name", "attributes", "changed"),
    [
        ("__Host-x", "Path=/", {"cookie_secure": False}),
        ("__Host-x", "Path=/shop; Secure", {"cookie_path": "/shop"}),
        ("__Host-x", "Path=/; Secure; Domain=localhost", {"cookie_domain": "localhost"}),
        ("__Secure-x", "Path=/", {"cookie_secure": False}),
        ("x", "Path=/; SameSite=None", {"cookie_samesite": "None", "cookie_secure": False}),
    ],
)
def test_what_a_browser_drops_the_settings_refuse(
    context: Any,
    tmp_path: Path,
    certificate: Path,
    name: str,
    attributes: str,
    changed: dict[str, Any],
) -> None:
    with serving(tmp_path, _settings(), certificate) as site:
        raw = "/raw?header=" + quote(f"{name}=value; {attributes}")
        _open(context, site, raw, "localhost")
        _open(context, site, "/raw?header=" + quote("good=value"), "localhost")
        kept = {cookie["name"] for cookie in context.cookies()}
        assert kept == {"good"}
    with pytest.raises(InvalidSettings):
        _settings(cookie_name=name, **changed)


def test_a_secure_cookie_travels_over_https_only(
    context: Any, tmp_path: Path, certificate: Path
) -> None:
    # Under a name that is not this machine's to the browser: there plain http is not trusted.
    settings = _settings(cookie_name="__Host-session")
    with serving(tmp_path, settings, certificate) as site, serving(tmp_path, settings) as plain:
        _open(context, plain, "/write?text=a", "shop.test")
        assert context.cookies() == []
        _open(context, site, "/write?text=a", "shop.test")
        assert _open(context, site, "/read", "shop.test")["session"] == {"text": "a"}
        assert _open(context, plain, "/read", "shop.test")["cookies"] == ""


@pytest.mark.parametrize(
    ("samesite", "by_post", "by_link"),
    [("Lax", False, True), ("Strict", False, False), ("None", True, True)],
)
def test_samesite_decides_what_another_site_can_send(
    context: Any,
    tmp_path: Path,
    certificate: Path,
    samesite: str,
    by_post: bool,
    by_link: bool,
) -> None:
    settings = _settings(cookie_samesite=samesite)
    with serving(tmp_path, settings, certificate) as site:
        _open(context, site, "/write?text=a")
        for action, expected in (("button", by_post), ("a", by_link)):
            page = context.new_page()
            page.goto(site.url("/form?to=" + quote(site.url("/read")), "localhost"))
            page.click(action)
            page.wait_for_url(site.url("/read"))
            shown = json.loads(page.inner_text("body"))
            assert shown["session"] == ({"text": "a"} if expected else {})
        assert _open(context, site, "/read")["session"] == {"text": "a"}


@pytest.mark.parametrize("at_close", [True, False])
def test_closing_the_browser(driver: Any, tmp_path: Path, at_close: bool) -> None:
    settings = _settings(expire_at_browser_close=at_close, cookie_secure=False)
    profile = str(tmp_path / "profile")
    with serving(tmp_path, settings) as site:
        with browser(driver, profile) as context:
            _open(context, site, "/write?text=a")
            assert _open(context, site, "/read")["session"] == {"text": "a"}
        with browser(driver, profile) as context:
            shown = _open(context, site, "/read")["session"]
    assert shown == ({} if at_close else {"text": "a"})
