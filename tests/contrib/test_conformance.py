"""What a session does in an application, the same for every adapter and every server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from duck_cookie_session.session.judging import Opened
from duck_cookie_session.testing import session_token
from tests.contrib.served import COOKIE, KINDS, SUBJECT_KEY, Client, Site

LIST = "revocations.sqlite3"


def test_a_visitor_who_only_looks_gets_no_cookie(client: Client) -> None:
    seen = client.get("/show")
    assert seen.status == 200
    assert seen.state["data"] == {}
    assert seen.set_cookie is None


def test_what_never_touches_the_session_says_nothing_of_it(site: Site, member: Client) -> None:
    for path in ("/plain", "/nowhere"):
        seen = member.get(path)
        assert seen.set_cookie is None
        assert "cookie" not in seen.tokens("Vary")


def test_the_first_write_sets_the_cookie(client: Client) -> None:
    seen = client.get("/set", key="color", value="blue")
    assert seen.set_cookie is not None
    attributes = {part.strip().lower() for part in seen.set_cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= attributes
    assert client.show()["data"] == {"color": "blue"}


def test_a_response_says_to_caches_what_it_depends_on(site: Site, client: Client) -> None:
    written = client.get("/set", key="color", value="blue")
    read = client.get("/show")
    if site.kind.own:
        return  # those headers are the business of the framework's own middleware there
    assert "cookie" in read.tokens("Vary")
    assert "cookie" in written.tokens("Vary")
    assert written.tokens("Cache-Control") == {"no-store"}
    assert read.tokens("Cache-Control") == {"private", "no-cache"}


def test_a_page_that_asks_whether_the_session_lives_is_for_its_visitor_alone(
    site: Site, client: Client
) -> None:
    client.get("/set", key="color", value="red")
    asked = client.get("/exists")
    assert asked.body == "logged in"
    if not site.kind.own:  # as above
        assert asked.tokens("Cache-Control") == {"private", "no-cache"}
        assert "cookie" in asked.tokens("Vary")


def test_what_a_view_tells_caches_stays_except_beside_the_cookie(
    site: Site, member: Client
) -> None:
    if site.kind.own:
        return
    assert member.get("/cached").all("Cache-Control") == ["public, max-age=60"]
    written = member.get("/cached", key="color", value="red")
    assert written.set_cookie is not None
    assert written.tokens("Cache-Control") == {"no-store"}


def test_reading_sets_no_cookie(member: Client) -> None:
    for method in ("GET", "HEAD"):
        seen = member.get("/show", method=method)
        assert seen.status == 200
        assert seen.set_cookie is None


def test_a_change_to_a_nested_value_is_saved(member: Client) -> None:
    member.get("/append", item="hat")
    member.get("/nested", item="coat")
    assert member.show()["data"]["cart"] == ["hat", "coat"]


def test_the_other_process_serves_the_same_session(member: Client) -> None:
    assert member.show(node=1)["data"] == {"color": "blue"}
    member.get("/set", node=1, key="size", value="9")
    assert member.show(node=0)["data"] == {"color": "blue", "size": "9"}


def test_login_gives_a_new_id_and_refuses_the_old_one(member: Client) -> None:
    before, copied = member.show()["id"], member.cookie
    member.get("/login", user="ada")
    after = member.show()
    assert after["user"]
    assert after["id"] != before
    assert after["data"] == {"color": "blue"}
    for node in (0, 1):
        old = member.get("/show", node=node, cookie=f"{COOKIE}={copied}")
        assert old.status == 200
        assert old.state["data"] == {}


def test_what_happens_to_a_session_is_told_once(site: Site, client: Client) -> None:
    client.get("/set", key="color", value="blue")
    visitor = client.show()["id"]
    client.get("/login", user="ada")
    member = client.show()["id"]
    client.get("/set", key="color", value="red")
    copied = client.cookie
    client.get("/logout")
    client.get("/show", node=1, cookie=f"{COOKIE}={copied}")
    lines = (site.folder.parent / "events.jsonl").read_text("utf-8").splitlines()
    about = [line for line in map(json.loads, lines) if line["id"] in (visitor, member)]
    assert [(line["kind"], line["id"]) for line in about] == [
        ("begun", visitor),
        ("ended", visitor),
        ("login", member),
        ("saved", member),
        ("ended", member),
        ("refused", member),
    ]
    assert about[-1]["reason"] == "ended"
    if site.kind is not KINDS["duck-async"]:  # Duck has its middlewares in threads of their own
        assert None not in [line["asked"] for line in about]  # told in the request's own context


def test_another_user_in_the_same_browser_gets_a_new_id(client: Client) -> None:
    client.get("/login", user="ada")
    ada, copied = client.show(), client.cookie
    assert client.get("/login", user="grace").status == 200
    grace = client.show()
    assert grace["user"] not in (None, ada["user"])
    assert grace["id"] != ada["id"]
    assert client.show(node=1, cookie=f"{COOKIE}={copied}")["user"] is None


def test_logout_deletes_the_cookie_and_refuses_a_copy(member: Client) -> None:
    member.get("/login", user="ada")
    copied = f"{COOKIE}={member.cookie}"
    out = member.get("/logout")
    assert out.status == 200
    assert out.deletes
    for node in (0, 1):
        seen = member.get("/show", node=node, cookie=copied)
        assert seen.status == 200
        assert seen.state["user"] is None
        assert seen.set_cookie is None


def test_a_late_response_does_not_touch_the_cookie_of_the_login_beside_it(member: Client) -> None:
    copied = f"{COOKIE}={member.cookie}"
    member.get("/login", user="ada")
    late = member.get("/set", cookie=copied, key="late", value="1")
    assert late.status == 200
    assert late.set_cookie is None
    assert member.show()["user"]


def test_a_logout_of_nobody_deletes_nothing(client: Client) -> None:
    assert client.get("/logout").set_cookie is None
    junk = client.get("/logout", cookie=f"{COOKIE}=junkjunkjunk")
    assert junk.status == 200
    assert junk.set_cookie is None


def _tampered(token: str) -> str:
    middle = len(token) // 2
    return token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


@pytest.mark.parametrize("kind", ["tampered", "longer", "oversized", "junk", "empty"])
def test_a_bad_cookie_is_an_empty_session(member: Client, kind: str) -> None:
    token = member.cookie or ""
    bad = {
        "tampered": _tampered(token),
        "longer": token + "=",
        "oversized": "A" * 7000,
        "junk": "%00null&x=1",
        "empty": "",
    }[kind]
    seen = member.get("/show", cookie=f"{COOKIE}={bad}")
    assert seen.status == 200
    assert seen.state["data"] == {}
    assert seen.set_cookie is None


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_cookie_that_is_no_ascii_is_an_empty_session(
    site: Site, client: Client, encoding: str
) -> None:
    seen = client.get("/show", cookie=f"{COOKIE}=gAAAAé".encode(encoding))
    assert seen.set_cookie is None
    if encoding == "latin-1" and site.kind.utf8:
        assert seen.status == 400  # Duck's server, before any of its middlewares
    else:
        assert seen.status == 200
        assert seen.state["data"] == {}


def test_an_expired_cookie_is_an_empty_session(site: Site, client: Client) -> None:
    with site.connector(ago=3600) as node:
        token = session_token(node, {"color": "old"}, expiry=60)
        live = session_token(node, {"color": "old"}, expiry=7200)
    assert client.show(cookie=f"{COOKIE}={live}")["data"] == {"color": "old"}
    seen = client.get("/show", cookie=f"{COOKIE}={token}")
    assert seen.status == 200
    assert seen.state["data"] == {}
    assert seen.set_cookie is None


@pytest.mark.parametrize(
    "changes", [{"secret_keys": ("another secret of 32 bytes or more",)}, {"audience": "other"}]
)
def test_a_token_of_another_application_is_an_empty_session(
    site: Site, client: Client, changes: dict[str, object]
) -> None:
    with site.connector(**changes) as node:
        token = session_token(node, {"color": "foreign"})
    assert client.show(cookie=f"{COOKIE}={token}")["data"] == {}


def test_of_two_cookies_of_one_name_one_counts(site: Site, member: Client) -> None:
    other = site.client()
    other.get("/set", key="color", value="red")
    both = f"{COOKIE}={member.cookie}; theme=dark; {COOKIE}={other.cookie}"
    seen = member.get("/show", cookie=both)
    assert seen.status == 200
    assert seen.state["data"]["color"] == ("red" if site.kind.last_cookie else "blue")


def test_a_session_too_large_leaves_cookie_and_response_as_they_were(
    site: Site, member: Client
) -> None:
    seen = member.get("/large")
    assert seen.set_cookie is None
    if not site.kind.own:
        assert seen.status == 200
        assert seen.body == "kept whole"
        assert any(value.startswith("own=1") for value in seen.all("Set-Cookie"))
        assert "cookie" in seen.tokens("Vary")
    assert member.show()["data"] == {"color": "blue"}


def test_the_whole_line_of_the_largest_cookie_keeps_within_4096_bytes(
    site: Site, client: Client
) -> None:
    if site.kind.own:
        return  # those lines are the framework's
    fits, fails = 2000, 3200
    while fails - fits > 1:
        size = (fits + fails) // 2
        seen = client.get("/set", key="fill", value="x" * size)
        assert seen.status == 200
        if seen.set_cookie is None:
            fails = size
        else:
            fits, line = size, seen.set_cookie
    # Fernet's steps are 16 bytes, in base64; room is kept for Max-Age, which Flask may leave out.
    assert 4096 - 48 <= len(line) <= 4096


def test_a_cookie_of_the_application_stays_beside_it(member: Client) -> None:
    seen = member.get("/own-cookie")
    assert any(value.startswith("own=1") for value in seen.all("Set-Cookie"))
    assert seen.set_cookie is not None


def test_a_streamed_response(member: Client) -> None:
    seen = member.get("/stream")
    assert seen.body == "one two three"
    assert seen.set_cookie is not None
    assert member.show()["data"]["streamed"] is True


def test_a_response_without_a_body(member: Client) -> None:
    seen = member.get("/not-modified")
    assert seen.status == 304
    assert seen.set_cookie is not None
    head = member.get("/own-cookie", method="HEAD")
    assert head.body == ""
    assert head.set_cookie is not None
    assert member.show()["data"] == {"color": "blue", "unchanged": True, "seen": True}


@pytest.mark.parametrize("path", ["/failing", "/raising"])
def test_a_request_that_fails_saves_nothing(site: Site, member: Client, path: str) -> None:
    seen = member.get(path)
    assert seen.status == 500
    if not site.kind.own:
        assert seen.set_cookie is None
        assert member.show()["data"] == {"color": "blue"}


def test_a_logout_counts_even_if_the_request_fails(member: Client) -> None:
    copied = f"{COOKIE}={member.cookie}"
    seen = member.get("/failing-logout")
    assert seen.status == 500
    assert seen.deletes
    assert member.show(cookie=copied)["data"] == {}


def test_an_expiry_set_by_the_application_is_kept(site: Site, client: Client) -> None:
    client.get("/expiry", seconds=600)
    with site.connector() as node:
        loaded = node.load(client.cookie)
        assert isinstance(loaded, Opened)
        assert 590 < loaded.claims.expires_ms / 1000 - time.time() <= 600
        assert loaded.claims.lifetime_ms == 600_000
    with site.connector(ago=-601) as node:
        assert node.get_session(client.cookie) is None


def test_a_subject_is_logged_out_everywhere_at_once(site: Site, client: Client) -> None:
    client.get("/login", user="grace")
    subject = client.show()["user"]
    with site.connector() as node:
        assert (node.get_session(client.cookie) or {})[SUBJECT_KEY] == subject
        node.delete_subject(subject)
    assert client.show()["user"] is None
    client.get("/login", user="grace")
    assert client.show(node=1)["user"] == subject


@contextlib.contextmanager
def unreachable(folder: Path) -> Iterator[None]:
    """The list's file is something else meanwhile, as after a disk went bad."""
    aside = folder / "aside"
    aside.mkdir()
    files = [path for path in folder.iterdir() if path.name.startswith(LIST)]
    for path in files:
        path.rename(aside / path.name)
    (folder / LIST).write_text("no database" * 100)
    try:
        yield
    finally:
        for path in folder.glob(LIST + "*"):
            path.unlink()
        for path in aside.iterdir():
            path.rename(folder / path.name)
        aside.rmdir()


def test_an_unreachable_list_is_503_and_the_cookie_stays(site: Site, member: Client) -> None:
    with unreachable(site.folder):
        for path in ("/show", "/logout", "/set?key=color&value=red"):
            seen = member.get(path)
            assert seen.status == (500 if site.kind.own else 503)
            assert seen.set_cookie is None
            assert site.kind.own or seen.all("Retry-After") == ["1"]
        assert member.get("/plain").status == 200
    assert member.show()["data"] == {"color": "blue"}
