"""Requests whose own transaction in the list's database is rolled back: their logout stands."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from duck_cookie_session import (
    SessionSettings,
    SessionStorageConnector,
    get_session_storage_connector,
)
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware
from duck_cookie_session.contrib.flask import CookieSessionInterface
from tests.helpers import SECRET
from tests.helpers.sql_servers import SQLServer

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402  # as above

from duck_cookie_session.revocation.sql import SQLRevocationList  # noqa: E402  # as above

pytestmark = pytest.mark.slow

LIST = "duck_cookie_session.revocation.sql.SQLRevocationList"


@pytest.fixture
def orders(one_sql: SQLServer) -> Iterator[SQLServer]:
    """A server with a table of the application's own."""
    one_sql.execute("CREATE TABLE orders (n int)")
    yield one_sql
    one_sql.execute("DROP TABLE orders")


def number_of(orders: SQLServer) -> object:
    return orders.execute("SELECT count(*) FROM orders")[0][0]


@pytest.mark.parametrize("leaves_by", ["/leave", "/replaced"])
def test_of_flask_with_sqlalchemy(orders: SQLServer, leaves_by: str) -> None:
    """A logout by `clear()`, and one that takes the user out and begins a new session."""
    engine = sqlalchemy.create_engine(orders.url)
    app = flask.Flask(__name__)
    app.config.update(
        SECRET_KEY=SECRET, SESSION_STORAGE=LIST, SESSION_REVOCATION_URL=orders.url
    )  # fmt: skip
    CookieSessionInterface(app)

    @app.get("/enter")
    def enter() -> str:
        flask.session["_user_id"] = "7"
        return "in"

    @app.get("/who")
    def who() -> str:
        return str(flask.session.get("_user_id"))

    @app.get("/leave")
    def leave() -> str:
        with engine.begin() as transaction:
            transaction.exec_driver_sql("INSERT INTO orders VALUES (1)")
            flask.session.clear()
            raise RuntimeError("and now it is all rolled back")

    @app.get("/replaced")
    def replaced() -> str:
        with engine.connect() as connection, connection.begin() as transaction:
            connection.exec_driver_sql("INSERT INTO orders VALUES (1)")
            del flask.session["_user_id"]
            transaction.rollback()
        return "out"

    client = app.test_client()
    copied = client.get("/enter").headers["Set-Cookie"].partition(";")[0]
    assert client.get("/who").text == "7"
    left = client.get(leaves_by)
    assert left.status_code == (500 if leaves_by == "/leave" else 200)
    assert app.test_client(use_cookies=False).get("/who", headers={"Cookie": copied}).text == "None"
    assert number_of(orders) == 0
    engine.dispose()
    with app.app_context():
        get_session_storage_connector().close()


def test_of_starlette_with_sqlalchemys_awaitable_engine(orders: SQLServer) -> None:
    url = orders.url.replace("+pymysql", "+asyncmy")
    settings = SessionSettings(secret_keys=SECRET, subject_key="user", revocation_url=url)
    connector = SessionStorageConnector(SQLRevocationList, settings=settings)

    async def enter(request: Request) -> PlainTextResponse:
        request.session["user"] = "7"
        return PlainTextResponse("in")

    async def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(request.session.get("user")))

    async def leave(request: Request) -> PlainTextResponse:
        async with engine.begin() as transaction:
            await transaction.exec_driver_sql("INSERT INTO orders VALUES (1)")
            request.session.clear()
            raise RuntimeError("and now it is all rolled back")

    views = {"/enter": enter, "/who": who, "/leave": leave}
    starlette = Starlette(routes=[Route(path, view) for path, view in views.items()])
    app = CookieSessionMiddleware(starlette, connector=connector)

    async def visit() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://shop.test") as client:
            copied = (await client.get("/enter")).headers["Set-Cookie"].partition(";")[0]
            assert (await client.get("/who")).text == "7"
            assert (await client.get("/leave")).status_code == 500
            client.cookies.clear()
            seen = await client.get("/who", headers={"Cookie": copied})
            assert seen.text == "None"
        await engine.dispose()
        await connector.revocations.aclose()

    engine = create_async_engine(url)
    asyncio.run(visit())
    assert number_of(orders) == 0
    connector.close()


# Django is set up once a process, and others want it otherwise.
DJANGO = """
import json, sys
from django.conf import settings
settings.configure(
    SECRET_KEY=sys.argv[2], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    SESSION_ENGINE="duck_cookie_session.contrib.django", SESSION_REVOCATION_DATABASE="default",
    SESSION_COOKIE_SECURE=False,
    MIDDLEWARE=["duck_cookie_session.contrib.django.SessionMiddleware"],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "ATOMIC_REQUESTS": True,
        **json.loads(sys.argv[1]),
    }},
)
import django
django.setup()
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def enter(request):
    request.session["_auth_user_id"] = "7"
    return HttpResponse("in")

def leave(request):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (1)")
    request.session.flush()
    raise RuntimeError("and now it is all rolled back")

def who(request):
    return HttpResponse(request.session.get("_auth_user_id", "nobody"))

urlpatterns = [path("enter", enter), path("leave", leave), path("who", who)]
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE orders (n int)")
client = Client(raise_request_exception=False)
client.get("/enter")
token = client.cookies["sessionid"].value
print(client.get("/who").content.decode())
print(client.get("/leave").status_code)
client.cookies["sessionid"] = token
print(client.get("/who").content.decode())
with connection.cursor() as cursor:
    cursor.execute("SELECT count(*) FROM orders")
    print(cursor.fetchone()[0])
"""


def test_of_django_with_atomic_requests(one_postgresql: SQLServer, tmp_path: Path) -> None:
    database = {
        "HOST": "127.0.0.1", "PORT": str(one_postgresql.port), "USER": "shop",
        "PASSWORD": "a password with / and @", "NAME": "postgres",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, json.dumps(database), SECRET],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert done.stdout.split() == ["7", "500", "nobody", "0"], done.stderr
    finally:
        one_postgresql.execute("DROP TABLE IF EXISTS orders")
