"""What the stories of bound sessions share."""

from __future__ import annotations

import json
from typing import Any

from tests.device.sites import NAME
from tests.helpers.device_browser import Answer, Bound, DeviceBrowser

ROOT = "/.session-device"
OFFER = "Secure-Session-Registration"
PROOF_AGE = 600
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}
VISITOR = (None, False)
SESSION, KEY, PROOF = "session", "key", "proof"


def shown(answer: Answer) -> tuple[Any, bool]:
    """Who is logged in by a page, and whether the session is bound."""
    user, bound, _ = state(answer)
    return user, bound


def state(answer: Answer) -> list[Any]:
    """Who is logged in by a page, whether the session is bound, and how often it was written."""
    assert answer.status == 200, (answer.status, answer.body)
    found: list[Any] = json.loads(answer.body.decode().rpartition("<p>")[2])
    return found


def who(browser: DeviceBrowser, path: str = "/") -> tuple[Any, bool]:
    """The same of a page that the browser opens as its user does."""
    return shown(browser.open(path))


def only(browser: DeviceBrowser) -> Bound:
    """Its one bound session."""
    (bound,) = browser.bound.values()
    return bound


def kind_of(cookie: str) -> str | None:
    """Which of a session's cookies a name is."""
    if cookie == NAME:
        return SESSION
    return next((kind for kind in (KEY, PROOF) if cookie.startswith(f"{NAME}-{kind}-")), None)


def stolen(browser: DeviceBrowser, *kinds: str) -> DeviceBrowser:
    """A thief who has copied cookies of these kinds, all by default, and none of the keys."""
    thief = browser.copied()
    if kinds:
        thief.cookies = {n: c for n, c in thief.cookies.items() if kind_of(n) in kinds}
    return thief


def only_session(browser: DeviceBrowser) -> bool:
    """Whether nothing of a binding is left among its cookies."""
    return {kind_of(name) for name in browser.cookies} <= {SESSION}


def nothing_set(answer: Answer) -> bool:
    return answer.one("Set-Cookie") is None
