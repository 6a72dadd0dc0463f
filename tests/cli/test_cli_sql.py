"""The command line over a list in a database."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import SessionSettings, SessionStorageConnector
from duck_cookie_session.cli import main
from duck_cookie_session.testing import session_token
from tests.helpers.sql_servers import SQLServer

pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from duck_cookie_session.revocation.sql import SQLRevocationList  # as above

SECRET = "Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V"


@pytest.fixture
def run(
    one_sql: SQLServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any]]:
    file = tmp_path / "settings.json"
    file.write_text(
        json.dumps(
            {
                "SESSION_SECRET_KEYS": [SECRET],
                "SESSION_REVOCATION_URL": one_sql.url,
                "SESSION_SUBJECT_KEY": "_auth_user_id",
            }
        ),
        "utf-8",
    )

    def run(*arguments: str) -> tuple[int, Any]:
        code = main(["--settings", str(file), *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in arguments else said.out + said.err

    return run


def test_revoke_and_count(run: Callable[..., tuple[int, Any]], one_sql: SQLServer) -> None:
    settings = SessionSettings(
        secret_keys=SECRET, revocation_url=one_sql.url, subject_key="_auth_user_id"
    )
    with contextlib.closing(
        SessionStorageConnector(SQLRevocationList, settings=settings)
    ) as connector:
        token = session_token(connector, {"_auth_user_id": "7"})
        assert connector.get_session(token)
        code, _ = run("revoke", "--subject", "7")
        assert code == 0
        assert connector.get_session(token) is None
        code, counted = run("revocations", "--purge", "--json")
        assert code == 0
        assert counted["count"] >= 1


def test_check_says_whether_it_is_durable(
    run: Callable[..., tuple[int, Any]], one_sql: SQLServer
) -> None:
    _, said = run("check", "--json")
    found = {one["what"]: one for one in said["findings"]}
    assert found["durable"]["level"] == found["clock"]["level"] == "good"
    assert one_sql.clock is not None
    one_sql.clock.move(3_600)
    try:
        _, said = run("check", "--json")
    finally:
        one_sql.clock.move(-3_600)
    assert {one["what"]: one["level"] for one in said["findings"]}["clock"] == "bad"


def test_check_of_a_server_that_is_not_durable(
    run: Callable[..., tuple[int, Any]], one_postgresql: SQLServer, sql_kind: str
) -> None:
    if sql_kind != "postgresql":
        return  # a setting of the role, which MariaDB's users can't change
    one_postgresql.execute("ALTER ROLE shop SET synchronous_commit = off")
    try:
        _, said = run("check", "--json")
    finally:
        one_postgresql.execute("ALTER ROLE shop RESET synchronous_commit")
    found = {one["what"]: one for one in said["findings"]}
    assert found["durable"]["level"] == "bad"
    assert "synchronous_commit=off" in found["durable"]["text"]


def test_the_schema_is_what_the_list_uses(
    run: Callable[..., tuple[int, Any]], one_sql: SQLServer, sql_kind: str
) -> None:
    code, printed = run("sql-schema", sql_kind)
    assert code == 0
    statements = [text for text in printed.split(";") if text.strip()]
    assert len(statements) == 2
    one_sql.execute(*statements)
    needed = printed.splitlines()[0]
    assert needed.startswith("-- ")  # psql and mariadb take the whole text
    assert all(right in needed for right in ("SELECT", "INSERT", "UPDATE", "DELETE"))
