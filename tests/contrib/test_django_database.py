"""SESSION_REVOCATION_DATABASE: the list in a database that Django has anyway."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import SECRET
from tests.helpers.sql_servers import SQLServer

# Django is set up once a process, and others want it otherwise.
ADDRESS = """
import json, sys
from django.conf import settings
settings.configure(
    SECRET_KEY="s" * 40, SESSION_ENGINE="duck_cookie_session.contrib.django",
    SESSION_REVOCATION_DATABASE="default", SESSION_DIR=".", **json.loads(sys.argv[1]),
)
import django
django.setup()
from duck_cookie_session.contrib.django import get_connector
try:
    connector = get_connector()
    print(type(connector.revocations).__name__, connector.settings.revocation_url)
except Exception as error:
    print(type(error).__name__, error)
"""


def entry(engine: str, **changed: Any) -> dict[str, Any]:
    given = {"ENGINE": f"django.db.backends.{engine}", "NAME": "shop", "USER": "me", **changed}
    return {"DATABASES": {"default": given}}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            entry("postgresql", HOST="db", PORT="5433", PASSWORD="/@"),
            "SQLRevocationList postgresql://me:%2F%40@db:5433/shop",
        ),
        (
            entry("postgresql", HOST="/run/pg", OPTIONS={"sslmode": "require", "pool": True}),
            "SQLRevocationList postgresql://me@/shop?host=%2Frun%2Fpg&sslmode=require",
        ),
        (
            entry("mysql", HOST="/run/mysqld.sock", OPTIONS={"charset": "utf8mb4"}),
            "SQLRevocationList mariadb://me@/shop?unix_socket=%2Frun%2Fmysqld.sock",
        ),
        (
            entry("mysql", HOST="db", OPTIONS={"ssl": {"ca": "/ca.pem"}}),
            "SQLRevocationList mariadb://me@db/shop?ssl_ca=%2Fca.pem",
        ),
        (entry("mysql", OPTIONS={"ssl_mode": "REQUIRED"}), "InvalidSettings .*'ssl_mode'"),
        (entry("sqlite3"), "InvalidSettings .*SQLite leave it out"),
        ({"DATABASES": {}}, "InvalidSettings .*sqlite|InvalidSettings .*dummy"),
        (
            {**entry("postgresql"), "SESSION_REVOCATION_URL": "redis://host"},
            "InvalidSettings .*both set",
        ),
    ],
)
def test_what_becomes_of_an_entry(
    settings: dict[str, Any], said: str, tmp_path: Path, needs_sql: None
) -> None:
    import re

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ADDRESS, json.dumps(settings)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pattern = said if said.startswith("Invalid") else re.escape(said) + "$"
    assert re.match(pattern, done.stdout.strip()), done.stdout


ROLLED_BACK = """
import json, sys
from django.conf import settings
settings.configure(
    SECRET_KEY=sys.argv[2], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    SESSION_ENGINE="duck_cookie_session.contrib.django", SESSION_REVOCATION_DATABASE="default",
    SESSION_COOKIE_SECURE=False, ATOMIC_REQUESTS=True,
    MIDDLEWARE=["duck_cookie_session.contrib.django.SessionMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(sys.argv[1])}},
)
import django
django.setup()
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import path

def enter(request):
    request.session["_auth_user_id"] = "7"
    return HttpResponse("in")

def leave(request):
    with transaction.atomic():
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


@pytest.mark.slow
def test_a_request_that_is_rolled_back_does_not_take_its_logout_back(
    one_postgresql: SQLServer, tmp_path: Path
) -> None:
    database = {
        "HOST": "127.0.0.1", "PORT": str(one_postgresql.port), "USER": "shop",
        "PASSWORD": "a password with / and @", "NAME": "postgres",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ROLLED_BACK, json.dumps(database), SECRET],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    try:
        assert done.stdout.split() == ["7", "500", "nobody", "0"], done.stderr
    finally:
        one_postgresql.execute("DROP TABLE IF EXISTS orders")
