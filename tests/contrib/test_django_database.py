"""SESSION_REVOCATION_DATABASE: the list in a database that Django has anyway."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
        (
            entry("postgresql", HOST="::1", OPTIONS={"prepare_threshold": None}),
            "SQLRevocationList postgresql://me@[::1]/shop",
        ),
        (
            entry("mysql", HOST="db", OPTIONS={"connect_timeout": 5}),
            "SQLRevocationList mariadb://me@db/shop",
        ),
        (entry("postgresql", HOST="a,b", PORT="1,2"), "InvalidSettings .*PORT is '1,2'"),
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
