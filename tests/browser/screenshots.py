"""`python -m tests.browser.screenshots`: makes the pictures of the README anew, in docs/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from duck_cookie_session.demo import nodes

from .chromium import browser, playwright

DOCS = Path(__file__).parents[2] / "docs"
SHOTS: dict[str, dict[str, Any]] = {
    "demo-light": {"color_scheme": "light", "viewport": {"width": 860, "height": 600}},
    "demo-dark": {"color_scheme": "dark", "viewport": {"width": 860, "height": 600}},
    "demo-phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 640}},
}


def main() -> None:
    """Walk the demo and take each picture."""
    with nodes.started() as running, playwright() as driver:
        for name, options in SHOTS.items():
            with browser(driver, **options) as context:
                page = context.new_page()
                page.goto(running.addresses[0])
                for item in ("Rubber duck", "Bread, sliced"):
                    page.fill("#item", item)
                    page.click("text=Add to cart")
                page.fill("#name", "alice")
                page.click("button:text-is('Log in')")
                page.click("text=Copy my cookie")
                if name == "demo-dark":
                    page.click("button:text-is('Log out')")
                    page.click("text=Present it")
                page.screenshot(path=DOCS / f"{name}.png", full_page=True)


if __name__ == "__main__":
    main()
