"""The demo's page in a browser, on both nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from duck_cookie_session.demo.nodes import Nodes

from .chromium import browser

COOKIE = "session_id"


@pytest.fixture
def page_of(context: Any, demo: Nodes) -> Callable[[int], Any]:
    """A new tab on node 1 or 2."""

    def open_tab(node: int) -> Any:
        page = context.new_page()
        page.goto(demo.addresses[node - 1])
        return page

    return open_tab


def _log_in(page: Any, name: str = "alice") -> None:
    page.fill("#name", name)
    page.click("button:text-is('Log in')")


def _log_out(page: Any) -> None:
    page.click("button:text-is('Log out')")


def test_script_can_not_see_the_cookie(page_of: Callable[[int], Any], context: Any) -> None:
    page = page_of(1)
    _log_in(page)
    page.click("text=Copy my cookie")
    (token,) = (cookie["value"] for cookie in context.cookies() if cookie["name"] == COOKIE)
    assert page.evaluate("document.cookie") == ""
    assert token not in page.content()
    assert page.inner_text("#who") == "alice"


def test_logout_in_one_tab_is_seen_in_another(page_of: Callable[[int], Any]) -> None:
    one, two = page_of(1), page_of(2)
    _log_in(one)
    two.reload()
    assert two.inner_text("#who") == "alice"
    _log_out(one)
    two.reload()
    assert two.inner_text("#who") == "a visitor"


def test_back_after_logout_shows_nothing(driver: Any, demo: Nodes) -> None:
    # With the memory of whole pages that browsers have and that a driver turns off.
    with browser(driver, ignore_default_args=["--disable-back-forward-cache"]) as context:
        page = context.new_page()
        page.goto(demo.addresses[0])
        _log_in(page)
        page.goto(demo.addresses[0] + "/?alice")
        assert page.inner_text("#who") == "alice"
        _log_out(page)
        assert page.inner_text("#who") == "a visitor"
        for _ in range(2):
            page.go_back(wait_until="commit")
            assert page.inner_text("#who") == "a visitor"


def test_a_copied_cookie_is_judged_by_the_other_node(page_of: Callable[[int], Any]) -> None:
    page = page_of(2)
    _log_in(page)
    page.click("text=Copy my cookie")
    page.click("text=Present it to node 1")
    assert "Node 1 accepted the copy: alice" in page.inner_text("#answer")
    _log_out(page)
    page.click("text=Present it to node 1")
    assert "Node 1 refused the copy" in page.inner_text("#answer")


def test_a_form_of_another_site_does_not_log_out(
    page_of: Callable[[int], Any], context: Any, demo: Nodes
) -> None:
    page = page_of(1)
    _log_in(page)
    attacker = context.new_page()
    attacker.route(
        "http://attacker.test/",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f'<form method="post" action="{demo.addresses[0]}/logout"><button>Win</button>',
        ),
    )
    attacker.goto("http://attacker.test/")
    attacker.click("button")
    attacker.wait_for_url(f"{demo.addresses[0]}/logout")
    assert "from another site" in attacker.inner_text("body")
    page.reload()
    assert page.inner_text("#who") == "alice"


def test_the_tour_by_keyboard(page_of: Callable[[int], Any]) -> None:
    page = page_of(1)

    def press(*keys: str) -> None:
        for key in keys:
            page.keyboard.press(key)

    def focused() -> str:
        return str(page.evaluate("document.activeElement.innerText || document.activeElement.id"))

    press("Tab")
    assert focused() == "Skip to the session"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    stops = []
    for _ in range(7):
        press("Tab")
        stops.append(focused())
        width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width == "3px", f"the focus on {stops[-1]} can't be seen"
    assert stops == [
        "Node 1",
        "Node 2",
        "item",
        "Add to cart",
        "name",
        "Log in",
        "1. Copy my cookie",
    ]
    page.focus("#item")
    page.keyboard.type("Bread")
    press("Enter")
    page.wait_for_selector("text=Added to the cart")
    page.focus("#name")
    page.keyboard.type("alice")
    press("Tab", "Space")
    page.wait_for_selector("text=Logged in, under a new session id")
    page.focus("text=Copy my cookie")
    press("Enter")
    page.wait_for_selector("text=Copied.")
    page.focus("button:text-is('Log out')")
    press("Enter")
    page.wait_for_selector("text=Every copy of the cookie is refused")
    page.focus("text=Present it")
    press("Enter")
    page.wait_for_selector("text=refused the copy")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_is_readable(page_of: Callable[[int], Any], scheme: str, width: int) -> None:
    page = page_of(1)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 700})
    _log_in(page, "x" * 80)
    page.fill("#item", "y" * 80)
    page.click("text=Add to cart")
    page.click("text=Copy my cookie")
    page.click("text=Present it")
    page.wait_for_load_state("load")  # the style sheet with it
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(LOW_CONTRAST) == []


LOW_CONTRAST = """() => {
  // WCAG 2.2, 1.4.3: text against what is behind it, at least 4.5 to 1.
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(value => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const shown = [...document.body.querySelectorAll('*')].filter(element =>
    !element.disabled && (element.tagName === 'INPUT' || [...element.childNodes].some(
      node => node.nodeType === 3 && node.textContent.trim())));
  return shown.map(element => {
    const pair = [parts(getComputedStyle(element).color), behind(element)].map(light).sort();
    return [element.tagName + ' ' + element.innerText,
            (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
  }).filter(([, ratio]) => ratio < 4.5);
}"""


def test_nothing_comes_from_elsewhere_and_nothing_is_blocked(context: Any, demo: Nodes) -> None:
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(demo.addresses[1])
    _log_in(page)
    _log_out(page)
    page.wait_for_load_state("networkidle")
    assert f"{demo.addresses[1]}/style.css" in asked
    assert [url for url in asked if not url.startswith(demo.addresses[1])] == []
    assert said == []
