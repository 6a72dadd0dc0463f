"""One story for all of the pages "where am I logged in": `python story.py flask`.

In a folder of its own, with SECRET_KEY and DATABASE_URL, which is the file `logins.db`.
"""

import re
import sqlite3
import sys
from datetime import timedelta

import httpx


def browser(name, app):
    """A browser that says who it is, over the application itself."""
    options = {"headers": {"User-Agent": name}, "follow_redirects": True}
    if sys.argv[1] != "asgi":
        transport = httpx.WSGITransport(app)
        return httpx.Client(transport=transport, base_url="http://localhost", **options)
    from starlette.testclient import TestClient

    return TestClient(app, base_url="https://localhost", **options)


def shown(page):
    """The browsers that a page shows, in its order, without their times."""
    assert page.status_code == 200, page.text
    return re.findall(r"^ *([\w ]+), last used", page.text, re.MULTILINE)


def other_id(page, name):
    found = re.search(rf"/sessions/([\w-]{{22}})/end\">(?:(?!<form).)*?{name},", page.text, re.S)
    return found[1]


def main():
    app = __import__(f"on_{sys.argv[1]}").app
    names = ["Firefox", "Chrome", "Safari", "Edge", "Opera"]
    firefox, chrome, safari, edge, opera = (browser(name, app) for name in names)

    def user(one):
        return one.get("/").text

    def login(one, name="1"):
        assert one.post(f"/login/{name}").status_code == 200

    login(opera, "2")
    for one in (firefox, chrome, safari):
        login(one)
    assert shown(firefox.get("/sessions")) == ["Safari", "Chrome", "Firefox"]

    # A fourth login: the one that was not used for longest makes room.
    login(edge)
    assert shown(edge.get("/sessions")) == ["Edge", "Safari", "Chrome"]
    assert [user(one) for one in (firefox, chrome)] == ["nobody", "1"]

    # One is ended by its id, and a copy of its cookie with it.
    copy = dict(safari.cookies)
    chrome.post(f"/sessions/{other_id(chrome.get('/sessions'), 'Safari')}/end")
    assert shown(chrome.get("/sessions")) == ["Edge", "Chrome"]
    thief = browser("Thief", app)
    thief.cookies.update(copy)
    assert [user(one) for one in (safari, thief)] == ["nobody", "nobody"]

    # Nobody ends another's.
    opera.post(f"/sessions/{other_id(chrome.get('/sessions'), 'Edge')}/end")
    assert user(edge) == "1"

    # Whose user gave the password again has another id, and is shown once.
    before = other_id(chrome.get("/sessions"), "Chrome")
    assert chrome.post("/again").status_code == 200
    page = chrome.get("/sessions")
    assert shown(page) == ["Chrome", "Edge"]
    assert other_id(page, "Chrome") != before

    # Once five minutes have passed, it is the last use that counts.
    user(edge)
    assert shown(chrome.get("/sessions")) == ["Chrome", "Edge"]
    noting = sys.modules.get("logins") or sys.modules["shop.logins"]
    noting.EVERY = timedelta(0)
    user(edge)
    noting.EVERY = timedelta(minutes=5)
    assert shown(chrome.get("/sessions")) == ["Edge", "Chrome"]

    # All others, those too that are not in the table.
    login(firefox)
    with sqlite3.connect("logins.db") as db:
        assert db.execute("DELETE FROM logins WHERE browser = 'Edge'").rowcount == 1
    db.close()
    firefox.post("/sessions/end-others")
    assert [user(one) for one in (firefox, chrome, edge, opera)] == ["1", "nobody", "nobody", "2"]
    assert shown(firefox.get("/sessions")) == ["Firefox"]

    # A logout takes the row along.
    login(chrome)
    assert shown(chrome.get("/sessions")) == ["Chrome", "Firefox"]
    firefox.post("/logout")
    assert shown(chrome.get("/sessions")) == ["Chrome"]
    print("told")


if __name__ == "__main__":
    main()
