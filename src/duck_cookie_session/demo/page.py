"""The page of the demo: HTML without scripts, every value escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

NOTES = {
    "added": "Added to the cart. The cookie was replaced; no node stored anything.",
    "empty": "Nothing to add: the item has no name.",
    "full": "Not added: the session would no longer fit into one cookie. The old one is kept.",
    "ended": "Not added: the session was ended meanwhile, in another tab or on another node.",
    "in": "Logged in, under a new session id. The cookie from before is refused from now on.",
    "nameless": "Not logged in: a name is needed.",
    "out": "Logged out. Every copy of the cookie is refused from now on, by every node.",
    "nobody": "Nobody was logged in.",
    "copied": "Copied. Now log out, then present the copy to the other node.",
    "watched": "Copied. Present the copy now, and again half a minute after your login.",
    "nothing": "There is no session to copy yet: add something or log in first.",
}
"""What the page says after an action; only these words, never what stands in the address."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Node {node}: {who}</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#session">Skip to the session</a>
<header>
<h1>A session that lives in its cookie</h1>
<nav aria-label="Nodes"><ul>{nodes}</ul></nav>
</header>
<main>
{note}
<section id="session" aria-labelledby="session-title">
<h2 id="session-title">Your session</h2>
<dl>
<div><dt>Served by</dt><dd>node {node}, process {process}</dd></div>
<div><dt>Visitor</dt><dd id="who">{who}</dd></div>
{facts}
</dl>
</section>
<div class="pair">
<section aria-labelledby="cart-title">
<h2 id="cart-title">Cart</h2>
{cart}
<form method="post" action="/cart">
<label for="item">Item</label>
<input id="item" name="item" maxlength="80" required autocomplete="off" value="Rubber duck">
<button>Add to cart</button>
</form>
</section>
<section aria-labelledby="login-title">
<h2 id="login-title">{login_title}</h2>
{login}
</section>
</div>
<section aria-labelledby="copy-title">
<h2 id="copy-title">A stolen copy</h2>
<p>{copy}</p>
<div class="buttons">
<form method="post" action="/copy"><button>1. Copy my cookie</button></form>
<form method="get" action="/presented">
<button{copy_off}>2. Present it to node {other}</button>
</form>
</div>
{answer}
</section>
</main>
<footer><p>A demo on this machine: no passwords, {transport}. Revocations: {list}.</p></footer>
</body>
</html>
"""


def render(
    state: dict[str, Any],
    addresses: tuple[str, ...],
    *,
    note: str,
    has_copy: bool,
    answer: dict[str, Any] | None,
) -> str:
    """The page for what `views.state` gives.

    Args:
        addresses: of node 1 and node 2.
        note: a key of `NOTES`; anything else says nothing.
        has_copy: whether the browser holds a copy of a session cookie.
        answer: what the other node said of that copy.
    """
    user = state["user"]
    return _PAGE.format(
        node=state["node"],
        other=3 - state["node"],
        process=state["process"],
        who=escape(user or "a visitor"),
        list=escape(state["list"]),
        nodes="".join(_node(number, one, state) for number, one in enumerate(addresses, 1)),
        transport="https by a certificate of its own" if state["https"] else "plain HTTP",
        copy=(_COPY_BOUND if state["https"] else _COPY).format(other=3 - state["node"]),
        note=f'<p class="note" role="status">{escape(NOTES[note])}</p>' if note in NOTES else "",
        facts=_facts(state),
        cart=_cart(state["cart"]),
        login_title="Log out" if user else "Log in",
        login=_LOGOUT.format(user=escape(user)) if user else _LOGIN,
        copy_off="" if has_copy else " disabled",
        answer=_answer(answer, state) if answer is not None else "",
    )


_COPY = """Copy the cookie, log out, and present the copy to node {other}: it shares nothing with
this node but the secret and the revocation list, and refuses it."""

_COPY_BOUND = """Log in, copy the session's cookie, and present the copy to node {other}. Where your
browser binds sessions, the copy is refused 30 seconds after the login, while you stay logged in: it
comes without the proof that only this browser can renew."""

_LOGIN = """<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" maxlength="80" required autocomplete="username">
<button>Log in</button>
</form>"""

_LOGOUT = """<p>Logged in as {user}.</p>
<form method="post" action="/logout"><button>Log out</button></form>"""


def _node(number: int, address: str, state: dict[str, Any]) -> str:
    here = ' aria-current="page"' if number == state["node"] else ""
    return f'<li><a href="{address}/"{here}>Node {number}</a></li>'


def _facts(state: dict[str, Any]) -> str:
    if state["session_id"] is None:
        return (
            "<div><dt>Cookie</dt><dd>none yet: a visitor gets one with the first value</dd></div>"
        )
    size, limit = state["bytes"], state["limit"]
    return (
        f"<div><dt>Session id</dt><dd><code>{escape(state['session_id'])}</code></dd></div>\n"
        f"<div><dt>Issued</dt><dd>{_time(state['issued'])}</dd></div>\n"
        f"<div><dt>Expires</dt><dd>{_time(state['expires'])}</dd></div>\n"
        f"{_device(state)}"
        f'<div><dt id="size">Cookie</dt><dd>{size:,} of {limit:,} bytes '
        f'<meter aria-labelledby="size" max="{limit}" high="{limit * 9 // 10}" value="{size}">'
        f"{size} of {limit}</meter></dd></div>"
    )


def _device(state: dict[str, Any]) -> str:
    """Whether the session is bound, where it could be."""
    if not state["https"]:
        return ""
    if state["device_bound"]:
        text = "bound to it: no copy of the cookie counts without the proof"
    elif state["user"]:
        text = "not bound: reload, or this browser does not bind sessions"
    else:
        text = "not bound: that is for a login"
    return f'<div><dt>Device</dt><dd id="device">{text}</dd></div>\n'


def _time(seconds: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{moment.isoformat()}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>'


def _cart(items: list[str]) -> str:
    if not items:
        return '<p class="quiet">Empty.</p>'
    return "<ol>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ol>"


def _answer(answer: dict[str, Any], state: dict[str, Any]) -> str:
    other = 3 - state["node"]
    bound: bool = state["device_bound"]
    if "error" in answer:
        text, kind = f"Node {other} did not answer: {answer['error']}", "note"
    elif answer["session_id"] is None:
        text, kind = f"Node {other} refused the copy: to it you are a visitor.", "note refused"
        if bound:
            text += " You are still logged in: the copy came without the proof of your device."
    else:
        who, count = answer["user"] or "a visitor", len(answer["cart"])
        text = f"Node {other} accepted the copy: {who}, {count} in the cart. It is still live."
        if bound:
            text += " Your session was bound less than 30 seconds ago; present it again then."
        kind = "note live"
    return f'<p id="answer" class="{kind}" role="status">{escape(text)}</p>'
