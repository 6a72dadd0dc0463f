"""Logout at a real OpenID provider (oidc-provider), heard by all four frameworks, two nodes each.

Each application is told of a logout at its second node; its users log in at the first. Two of them
ask the provider for `sid`, the other two are told the user alone. The one on ASGI has its
revocation list on a Redis, the others on SQLite.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.contrib.served import free_ports
from tests.helpers.redis_server import RedisServer
from tests.packages.story import Site, serving, show

HERE = Path(__file__).parent / "provider"
KINDS = {"asgi": True, "flask": False, "django": True, "duck": False}
"""The sites, and whether each asks for `sid`."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (HERE / "node_modules").exists(),
        reason="oidc-provider is missing: npm ci --prefix tests/packages/provider",
    ),
]


class World(NamedTuple):
    """The provider, and each site by its two nodes."""

    provider: Site
    sites: dict[str, tuple[Site, Site]]


def client_of(kind: str, ports: tuple[int, ...]) -> dict[str, Any]:
    """What the provider knows of a site."""
    first, second = (f"http://127.0.0.1:{port}" for port in ports)
    return {
        "client_id": kind,
        "client_secret": "of the client",
        "redirect_uris": [f"{first}/callback"],
        "post_logout_redirect_uris": [f"{first}/"],
        "backchannel_logout_uri": f"{second}/backchannel-logout",
        "backchannel_logout_session_required": KINDS[kind],
        "token_endpoint_auth_method": "client_secret_basic",
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, one_redis: RedisServer) -> Iterator[World]:
    """All nine processes, which start side by side."""
    folder = tmp_path_factory.mktemp("openid")
    own, *others = free_ports(1 + 2 * len(KINDS))
    ports = {kind: (others[2 * n], others[2 * n + 1]) for n, kind in enumerate(KINDS)}
    issuer = f"http://127.0.0.1:{own}"
    with contextlib.ExitStack() as stack:
        clients = [client_of(kind, ports[kind]) for kind in KINDS]
        provider = stack.enter_context(
            serving(
                "provider",
                folder / "provider",
                command=["node", str(HERE / "provider.js")],
                SITE_PORT=str(own),
                PROVIDER_CLIENTS=json.dumps(clients),
            )
        )
        same = {
            kind: {
                "SITE_SECRET": secrets.token_urlsafe(48),
                "SITE_FOLDER": str(folder / kind / "sessions"),
                "SITE_COOKIE": f"session_{kind}",
                "OIDC_ISSUER": issuer,
                "OIDC_CLIENT_ID": kind,
            }
            for kind in KINDS
        }
        nodes: dict[str, list[Site]] = {kind: [] for kind in KINDS}
        for number in (0, 1):  # the second node finds the tables that the first one made
            for kind in KINDS:
                (folder / kind).mkdir(exist_ok=True)
                made = serving(
                    f"openid_{kind}",
                    folder / kind / str(number),
                    redis=one_redis.url if kind == "asgi" else "",
                    SITE_PORT=str(ports[kind][number]),
                    **same[kind],
                )
                nodes[kind].append(stack.enter_context(made))
            for kind in KINDS:
                nodes[kind][number].ready()
        provider.ready()
        sites = {kind: (first, second) for kind, (first, second) in nodes.items()}
        yield World(provider, sites)


def form_in(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where the form of a page is sent to, and what stands hidden in it."""
    action = re.search(r'action="([^"]+)"', page.text)
    assert action, page.text
    hidden = re.findall(r'name="(\w+)" value="([^"]*)"', page.text)
    return action[1], dict(hidden)


def log_in(browser: httpx.Client, site: Site, user: str) -> None:
    """At the provider, unless the browser is logged in there already."""
    page = browser.get(f"{site.url}/login")
    if not str(page.url).startswith(site.url):
        action, hidden = form_in(page)
        page = browser.post(action, data={**hidden, "login": user, "password": "any"})
    assert page.status_code == 200, page.text
    assert page.json()["user"] == user


def log_out(browser: httpx.Client, address: str) -> httpx.Response:
    """At the provider, which asks whether this is meant, and tells every site before it answers."""
    action, hidden = form_in(browser.get(address))
    return browser.post(action, data={**hidden, "logout": "yes"})


Cookies = dict[str, str]


def cookies_of(browser: httpx.Client) -> Cookies:
    """Those of the sites as they are now: what a thief would copy."""
    return {name: browser.cookies[name] for name in browser.cookies if name.startswith("session_")}


def who(site: Site, cookies: Cookies) -> str | None:
    """Who is logged in at a node."""
    with httpx.Client(base_url=site.url, cookies=cookies, timeout=30) as client:
        return show(client)[0]


def seen(world: World, cookies: Cookies) -> dict[str, list[str | None]]:
    """Who is logged in with these cookies, by site, at its nodes."""
    return {kind: [who(node, cookies) for node in nodes] for kind, nodes in world.sites.items()}


def logged_in_everywhere(world: World, browser: httpx.Client) -> Cookies:
    """The cookies of alice, who has just logged in at every site."""
    for first, _ in world.sites.values():
        log_in(browser, first, "alice")
    return cookies_of(browser)


EVERYWHERE = {kind: ["alice", "alice"] for kind in KINDS}
NOWHERE = {kind: [None, None] for kind in KINDS}


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        yield client


def test_a_logout_at_the_provider_is_one_everywhere_within_the_request(
    world: World, browser: httpx.Client
) -> None:
    """With the cookies as they were before: what a thief has is refused with the rest."""
    copied = logged_in_everywhere(world, browser)
    assert seen(world, copied) == EVERYWHERE
    log_out(browser, f"{world.provider.url}/session/end")
    assert seen(world, copied) == NOWHERE
    assert {kind for kind in KINDS if f"told {kind}\n" in world.provider.said} == KINDS.keys()
    assert "could not tell" not in world.provider.said
    assert seen(world, logged_in_everywhere(world, browser)) == EVERYWHERE


def test_with_sid_another_browser_stays_logged_in_and_without_it_does_not(
    world: World, browser: httpx.Client
) -> None:
    with httpx.Client(follow_redirects=True, timeout=30) as phone:
        logged_in_everywhere(world, browser)
        elsewhere = logged_in_everywhere(world, phone)
        log_out(browser, f"{world.provider.url}/session/end")
        assert seen(world, elsewhere) == {
            kind: ["alice" if by_sid else None] * 2 for kind, by_sid in KINDS.items()
        }


def test_a_logout_here_is_one_at_the_provider_and_so_everywhere(
    world: World, browser: httpx.Client
) -> None:
    """RP-initiated logout, by the recipe for ASGI."""
    copied = logged_in_everywhere(world, browser)
    first, _ = world.sites["asgi"]
    page = log_out(browser, f"{first.url}/logout")
    assert (str(page.url), page.json()["user"]) == (f"{first.url}/show", None)
    assert seen(world, copied) == NOWHERE


def test_front_channel(world: World, browser: httpx.Client) -> None:
    """oidc-provider has none, so the request of its frame is made here."""
    first, second = world.sites["asgi"]
    log_in(browser, first, "alice")
    (sid,) = re.findall(r"^sid (\S+)$", world.provider.said, re.MULTILINE)[-1:]
    copied = cookies_of(browser)
    for named, user in [("another", "alice"), (sid, None)]:
        answer = browser.get(
            f"{first.url}/frontchannel-logout", params={"iss": world.provider.url, "sid": named}
        )
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert who(second, copied) == user


def test_what_is_no_logout_token_is_refused_alike(world: World) -> None:
    for kind, nodes in world.sites.items():
        for node in nodes:
            answer = httpx.post(f"{node.url}/backchannel-logout", data={"logout_token": "junk"})
            assert answer.status_code == 400, kind
            assert answer.json()["error"] == "invalid_request"
            assert answer.headers["Cache-Control"] == "no-store"
