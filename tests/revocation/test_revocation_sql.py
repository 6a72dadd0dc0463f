"""SQLRevocationList on real servers: what is its own. What all lists promise: test_contract.py."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable
from duck_cookie_session.errors import InvalidArgument, InvalidSettings
from duck_cookie_session.revocation._sql_texts import schema
from duck_cookie_session.revocation.base import LAST_EPOCH, MOST_SCOPES
from tests.helpers.sql_servers import MariaDB, SQLServer

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from duck_cookie_session.revocation.sql import SQLRevocationList  # noqa: E402  # as above

MakeServer = Callable[..., SQLServer]
TABLES = ("duck_cookie_session_entries", "duck_cookie_session_histories")


MakeList = Callable[..., SQLRevocationList]


# Addresses


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no address with secret", "can't be read"),
        ("sqlite:///secret", "is for sqlite"),
        ("redis://secret@host", "is for redis"),
        ("postgresql+psycopg2://user:secret@host/db", "is for postgresql.psycopg2"),
        ("postgresql+asyncpg://user:secret@host/db", "is for postgresql.asyncpg"),
        ("mysql+mysqldb://user:secret@host/db", "is for mysql.mysqldb"),
        ("postgresql://user:secret@host:port/db", "can't be read"),
    ],
)
def test_an_address_that_it_can_not_use_is_refused_and_not_shown(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said) as caught:
        SQLRevocationList(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"max_staleness": -1}, {"timeout": 0}, {"timeout": 1000}])
def test_arguments_out_of_range(arguments: dict[str, float]) -> None:
    with pytest.raises(InvalidSettings, match="allowed"):
        SQLRevocationList("postgresql://host/db", **arguments)


@pytest.mark.slow  # needs a driver
def test_the_address_may_be_a_setting(make_app: Any) -> None:
    with pytest.raises(InvalidSettings, match="SESSION_REVOCATION_URL"):
        SQLRevocationList().bind(make_app().settings)
    with pytest.raises(InvalidArgument, match="until it is bound"):
        SQLRevocationList().knows(b"8 bytes.")
    the_list = SQLRevocationList(timeout=1)
    the_list.bind(make_app(revocation_url="postgresql://user:secret@127.0.0.1:1/shop").settings)
    with pytest.raises(RevocationListUnavailable) as caught:
        the_list.knows(b"8 bytes.")
    assert "PostgreSQL at 127.0.0.1:1, database shop" in str(caught.value)
    assert "secret" not in str(caught.value)
    the_list.close()


# Tables


def drop(server: SQLServer) -> None:
    server.execute(*(f"DROP TABLE IF EXISTS {table}" for table in TABLES))


def test_tables_are_made_where_they_are_missing_and_not_by_looking(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    drop(one_sql)
    the_list = make_sql_list(one_sql.url)
    assert not the_list.knows(app.scopes.prefix)
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        one_sql.execute("SELECT * FROM duck_cookie_session_entries")
    assert the_list.lookup((app.everything,)).birth
    assert the_list.knows(app.scopes.prefix)


def test_whoever_may_not_make_tables_is_told_of_the_schema(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    """And needs no more rights than to read and write them, once they are there."""
    drop(one_sql)
    if isinstance(one_sql, MariaDB):
        one_sql.as_root("CREATE OR REPLACE USER poor@'127.0.0.1' IDENTIFIED BY 'x'")
        one_sql.as_root("GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO poor@'127.0.0.1'")
    else:
        one_sql.execute(
            "DROP ROLE IF EXISTS poor", "CREATE ROLE poor LOGIN PASSWORD 'x'",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        )  # fmt: skip
    url = re.sub(r"shop:[^@]*@", "poor:x@", one_sql.url)
    the_list = make_sql_list(url)
    with pytest.raises(RevocationListUnavailable, match="sql-schema"):
        the_list.lookup((app.everything,))
    kind = "mariadb" if isinstance(one_sql, MariaDB) else "postgresql"
    one_sql.execute(*schema(kind).split(";")[:2])
    if kind == "postgresql":
        one_sql.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {', '.join(TABLES)} TO poor")
    scope = app.session()
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)
    assert the_list.purge() == 0
    assert the_list.survey(app.scopes.prefix).entries == 1
    the_list.close()
    drop(one_sql)
    if kind == "postgresql":
        one_sql.execute("DROP ROLE poor")


# What is refused


@pytest.fixture
def configure(one_sql: SQLServer) -> Iterator[Callable[[str, str], None]]:
    """Changes a setting of the shared server until the test ends."""
    changed: list[tuple[str, str]] = []

    def say(setting: str, value: str) -> None:
        if isinstance(one_sql, MariaDB):
            one_sql.as_root(f"SET GLOBAL {setting} = {value}")
        else:
            one_sql.execute(f"ALTER ROLE shop SET {setting} = {value}")

    def change(setting: str, value: str, back: str) -> None:
        changed.append((setting, back))
        say(setting, value)

    yield change  # type: ignore[misc]  # three words
    for setting, back in changed:
        say(setting, back)


def test_a_server_that_reports_commits_too_early_is_refused(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any, configure: Callable[..., None]
) -> None:
    make_sql_list(one_sql.url).raise_epoch(app.everything)
    if isinstance(one_sql, MariaDB):
        name = "innodb_flush_log_at_trx_commit"
        configure(name, "2", "1")
    else:
        name = "synchronous_commit"
        configure(name, "off", "on")
    the_list = make_sql_list(one_sql.url)
    for call in (the_list.raise_epoch, the_list.end):
        with pytest.raises(RevocationListUnavailable, match=f"would lose revocations: {name}="):
            call(app.everything)
    with pytest.raises(RevocationListUnavailable, match=name):
        the_list.durability()


@pytest.mark.slow
def test_a_postgresql_without_fsync_is_refused(
    needs_sql: None, make_sql_list: MakeList, app: Any
) -> None:
    from tests.helpers.sql_servers import PostgreSQL, why_not

    if why_not(PostgreSQL) is not None:
        pytest.skip(str(why_not(PostgreSQL)))
    server = PostgreSQL("fsync=off")
    try:
        server.start()
        with pytest.raises(RevocationListUnavailable, match="would lose revocations: fsync=off"):
            make_sql_list(server.url).end(app.session())
    finally:
        server.remove()


def test_tables_that_are_not_innodb_are_refused(
    one_mariadb: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    the_list = make_sql_list(one_mariadb.url)
    the_list.raise_epoch(app.everything)
    for table in TABLES:
        one_mariadb.execute(f"ALTER TABLE {table} ENGINE = Aria")
        with pytest.raises(RevocationListUnavailable, match=r"ENGINE=\S*Aria"):
            the_list.raise_epoch(app.everything)
        one_mariadb.execute(f"ALTER TABLE {table} ENGINE = InnoDB")
    assert the_list.raise_epoch(app.everything)


def test_a_mariadb_that_is_read_only_is_refused(
    one_mariadb: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    assert isinstance(one_mariadb, MariaDB)
    the_list = make_sql_list(one_mariadb.url)
    the_list.raise_epoch(app.everything)
    one_mariadb.as_root("SET GLOBAL read_only = 1")
    try:
        for call in (
            lambda: the_list.lookup((app.everything,)),
            lambda: the_list.end(app.session()),
        ):
            with pytest.raises(RevocationListUnavailable, match="replica"):
                call()
    finally:
        one_mariadb.as_root("SET GLOBAL read_only = 0")
    assert the_list.raise_epoch(app.everything)


@pytest.mark.slow
@pytest.mark.parametrize("sql_kind", ["postgresql"], indirect=True)
def test_a_standby_of_postgresql_is_refused_until_it_is_promoted(
    make_sql_server: MakeServer, make_sql_list: MakeList, app: Any
) -> None:
    primary = make_sql_server()
    make_sql_list(primary.url).raise_epoch(app.everything)
    primary.stop()
    standby = make_sql_server(start=False, copy_of=primary)
    standby.tool("touch", str(standby.data / "standby.signal"))
    standby.start()
    the_list = make_sql_list(standby.url)
    for call in (lambda: the_list.lookup((app.everything,)), lambda: the_list.end(app.session())):
        with pytest.raises(RevocationListUnavailable, match="replica"):
            call()
    standby.execute("SELECT pg_promote()")
    scope = app.session()
    the_list.end(scope)
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


@pytest.mark.slow
@pytest.mark.parametrize("sql_kind", ["postgresql"], indirect=True)
def test_a_failover_to_a_synchronous_standby_of_postgresql_loses_nothing(
    make_sql_server: MakeServer, make_sql_list: MakeList, app: Any
) -> None:
    primary = make_sql_server()
    the_list = make_sql_list(primary.url, timeout=2)
    the_list.raise_epoch(app.everything)
    primary.stop()
    password = sqlalchemy.engine.make_url(primary.url).password
    there = f"host=127.0.0.1 port={primary.port} user=shop password='{password}'"
    standby = make_sql_server(f"primary_conninfo={there}", start=False, copy_of=primary)
    standby.tool("touch", str(standby.data / "standby.signal"))
    primary.start()
    standby.start()
    wait = "ALTER SYSTEM SET synchronous_standby_names = '*'"
    primary.execute(wait, "SELECT pg_reload_conf()")
    deadline = time.monotonic() + 30
    while not primary.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"):
        assert time.monotonic() < deadline, standby.log()
        time.sleep(0.02)
    scopes = [app.session() for _ in range(MOST_SCOPES)]
    for scope in scopes:
        the_list.end(scope)
    standby.pause()  # from now on nothing is acknowledged
    with pytest.raises(RevocationListUnavailable):
        the_list.end(app.session())
    standby.resume()
    primary.kill()
    standby.execute("SELECT pg_promote()")
    assert make_sql_list(standby.url).lookup(scopes).epochs == (LAST_EPOCH,) * MOST_SCOPES


# The clock


def test_a_raise_goes_by_the_clock_of_the_moment_when_its_turn_comes(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    """Not of the moment when its transaction, or the statement that waited, began."""
    the_list = make_sql_list(one_sql.url)
    scope = app.session()
    the_list.raise_epoch(scope)
    if one_sql.name == "PostgreSQL":
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    else:
        waits = "SELECT 1 FROM information_schema.PROCESSLIST WHERE info LIKE '%%FOR UPDATE'"
    engine = sqlalchemy.create_engine(one_sql.url)
    with ThreadPoolExecutor(1) as threads, engine.begin() as other:
        other.exec_driver_sql("SELECT 1 FROM duck_cookie_session_histories FOR UPDATE")
        raised = threads.submit(the_list.raise_epoch, scope)
        deadline = time.monotonic() + 15
        while not one_sql.execute(waits):
            assert time.monotonic() < deadline
        meanwhile = the_list.server_time()
        other.rollback()
        assert raised.result() >= meanwhile * 1_000_000
    engine.dispose()


# Round trips, drivers, answers that are reused


@pytest.mark.slow
def test_a_check_is_one_round_trip(
    make_sql_server: MakeServer, make_sql_list: MakeList, app: Any
) -> None:
    server = make_sql_server()
    the_list = make_sql_list(server.url)
    scopes = (app.everything, app.session())
    for _ in range(8):  # connected, and prepared
        found = the_list.lookup(scopes)
    if isinstance(server, MariaDB):

        def questions() -> int:
            ((_, count),) = server.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return int(str(count))

        idle = -questions() + questions()  # what looking costs
        before = questions()
        for _ in range(10):
            the_list.lookup(scopes, checkpoint=found.checkpoint)
        assert questions() - before == 10 + idle
    else:
        server.execute("ALTER ROLE shop SET log_statement = 'all'")
        the_list.close()
        for _ in range(8):
            the_list.lookup(scopes, checkpoint=found.checkpoint)
        before = len(re.findall("LOG:  (?:statement|execute)", server.log()))
        for _ in range(10):
            the_list.lookup(scopes, checkpoint=found.checkpoint)
        assert len(re.findall("LOG:  (?:statement|execute)", server.log())) - before == 10


@pytest.mark.parametrize("driver", ["asyncmy", "aiomysql", "pymysql"])
def test_each_driver_of_mariadb(
    one_mariadb: SQLServer, make_sql_list: MakeList, app: Any, driver: str
) -> None:
    the_list = make_sql_list(one_mariadb.url.replace("pymysql", driver))
    scope = app.session()

    async def use() -> None:
        epoch = await the_list.araise_epoch(scope)
        assert (await the_list.alookup((scope,))).epochs == (epoch,)
        assert the_list.lookup((scope,)).epochs == (epoch,)
        await the_list.aclose()

    asyncio.run(use())


def test_an_answer_may_be_reused_for_as_long_as_was_said(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    now = [1000.0]
    reader = make_sql_list(one_sql.url, max_staleness=2, clock=lambda: now[0])
    other = make_sql_list(one_sql.url)
    scope, own = app.session(), app.session()

    def reused(one: bytes) -> int:
        return reader.lookup((one,), fresh=False).epochs[0]

    assert (reused(scope), reused(own)) == (0, 0)
    other.end(scope)
    assert reused(scope) == 0
    assert reader.lookup((scope,)).epochs == (LAST_EPOCH,)  # a save asks the server
    reader.end(own)
    assert reused(own) == LAST_EPOCH  # its own revocation counts at once
    now[0] += 2
    assert reused(scope) == LAST_EPOCH


def test_the_same_nonce_gets_the_same_answer_from_another_process_too(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    """As where the answer to a commit got lost, and another process asks again."""
    scope = app.session()
    epoch = make_sql_list(one_sql.url).compare_and_raise(scope, 0, nonce=b"n" * 16)
    again = make_sql_list(one_sql.url)
    assert again.compare_and_raise(scope, 0, nonce=b"n" * 16) == epoch
    assert again.compare_and_raise(scope, 0, nonce=b"m" * 16) is None


def test_expired_entries_go_by_themselves(
    one_sql: SQLServer, make_sql_list: MakeList, make_app: Any
) -> None:
    assert one_sql.clock is not None
    app = make_app(cookie_name="of_its_own")  # others make entries in a year to come
    the_list = make_sql_list(one_sql.url)
    the_list.bind(app.settings)
    retention = app.settings.absolute_age + app.settings.clock_skew
    for _ in range(20):
        the_list.end(app.session())
    one_sql.clock.move(retention + 1)
    try:
        for _ in range(60):
            the_list.end(app.session())
        assert the_list.survey(app.scopes.prefix).entries == 60
    finally:
        one_sql.clock.move(-retention - 1)


def test_a_new_list_is_said_once(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "duck_cookie_session"):
        for _ in range(3):
            make_sql_list(one_sql.url).lookup((app.everything,))
    records = [one for one in caplog.records if "is new or has lost" in one.getMessage()]
    assert len(records) <= 1  # none where another test was the first of this application
    assert "%2F" not in caplog.text
    assert "a password" not in caplog.text
