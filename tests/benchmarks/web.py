"""Web applications as contenders: one small application, asked for a path with a cookie.

Every application answers the same four paths:
`/fill?n=N` starts a session of about 380 packed bytes, `/read` answers the user's id in it (or
"none"), `/write` changes one value, `/plain` leaves it alone. Proof and measuring use only these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, Protocol

from tests.benchmarks.data import session_data
from tests.benchmarks.report import RoundTripError

SESSION = session_data(380)
PATHS = {"untouched": "/plain", "read": "/read", "written": "/write"}
NOTHING = "none"


@dataclass
class Answer:
    """What an application answered: body and the cookies that it set, by name."""

    body: str
    cookies: dict[str, str]


class Application(Protocol):
    """One contender of the request sections."""

    name: str
    has_session: bool

    def ask(self, path: str, cookie: str) -> Answer:
        """Serve one request with this Cookie header ("" for none)."""


def fill(session: Any, query: str) -> None:
    """Put a whole session in, its user numbered by the query `n=N`."""
    session.update(SESSION)
    session["user_id"] = 10_000 + int(query.partition("=")[2]) % 50_000


def read(session: Any) -> str:
    """What the read path does: one look into the session."""
    return str(session.get("user_id", NOTHING))


def write(session: Any) -> str:
    """What the write path does: one value set, one byte of packed data other than before."""
    session["locale"] = "sv_FI" if session.get("locale") == "sv_SE" else "sv_SE"
    return "written"


def cookies_of(headers: list[str]) -> dict[str, str]:
    """Cookies by name from `Set-Cookie` header values."""
    found: dict[str, str] = {}
    for header in headers:
        jar = SimpleCookie(header)
        found.update({name: morsel.coded_value for name, morsel in jar.items()})
    return found


def cookie_header(application: Application, number: int = 0) -> str:
    """The Cookie header of a new, filled session."""
    return "; ".join(
        f"{name}={value}"
        for name, value in application.ask(f"/fill?n={number}", "").cookies.items()
    )


def prove(application: Application) -> None:
    """Check that a session comes back, and nothing from a mutilated cookie."""
    if not application.has_session:
        return
    cookie = cookie_header(application, 5)
    if not cookie or application.ask("/read", cookie).body != "10005":
        raise RoundTripError(f"{application.name}: the session was not read back")
    if application.ask("/read", _mutilated(cookie)).body != NOTHING:
        raise RoundTripError(
            f"{application.name}: a cookie with one character changed was accepted"
        )
    if application.ask("/read", "").body != NOTHING:
        raise RoundTripError(f"{application.name}: a request without a cookie found a session")
    changed = application.ask("/write", cookie).cookies
    if not changed and not getattr(application, "keeps_data_on_server", False):
        raise RoundTripError(f"{application.name}: a written session was not sent")


def _mutilated(cookie: str) -> str:
    """The longest value with a character in its middle changed."""
    pairs = [pair.split("=", 1) for pair in cookie.split("; ")]
    longest = max(pairs, key=lambda pair: len(pair[1]))
    middle = len(longest[1]) // 2
    wrong = "A" if longest[1][middle] != "A" else "B"
    longest[1] = longest[1][:middle] + wrong + longest[1][middle + 1 :]
    return "; ".join("=".join(pair) for pair in pairs)


Make = Callable[[], Application]
