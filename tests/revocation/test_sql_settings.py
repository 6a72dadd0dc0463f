"""What is set for a server, a role or an address, and what stands in between."""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable
from duck_cookie_session.errors import InvalidSettings
from duck_cookie_session.revocation.base import LAST_EPOCH
from tests.helpers.sql_servers import MariaDB, SQLServer

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from duck_cookie_session.revocation.sql import SQLRevocationList  # noqa: E402  # as above

pytestmark = pytest.mark.slow

ENTRIES = "duck_cookie_session_entries"

MakeList = Callable[..., SQLRevocationList]


def use(the_list: SQLRevocationList, app: Any) -> None:
    """Raise, end, look up and purge, plain and awaited."""

    async def awaited() -> None:
        scope = app.session()
        await the_list.aend(scope)
        assert (await the_list.alookup((scope,))).epochs == (LAST_EPOCH,)
        await the_list.aclose()

    scopes = [app.session() for _ in range(5)]
    epochs = tuple([the_list.raise_epoch(scope) for scope in scopes])
    assert the_list.lookup(scopes).epochs == epochs
    the_list.purge()
    assert the_list.lookup(scopes).epochs == epochs
    asyncio.run(awaited())


# Roles and servers


@pytest.fixture
def role(one_postgresql: SQLServer) -> Iterator[Callable[[str], None]]:
    """Says what is set for the user of the shared server, until the test ends."""

    def say(setting: str) -> None:
        one_postgresql.execute(f"ALTER ROLE shop SET {setting}")

    yield say
    one_postgresql.execute("SET default_transaction_read_only = off", "ALTER ROLE shop RESET ALL")


def test_a_role_of_postgresql_that_only_reads_unless_it_says_so(
    one_postgresql: SQLServer, make_sql_list: MakeList, make_app: Any, role: Callable[[str], None]
) -> None:
    """As raises do; so does what removes expired entries."""
    assert one_postgresql.clock is not None
    app = make_app(cookie_name="of_roles")  # others make entries in a time to come
    the_list = make_sql_list(one_postgresql.url)
    the_list.bind(app.settings)
    expired = [app.session() for _ in range(2)]
    the_list.lookup(expired)  # the tables are there
    retention = app.settings.absolute_age + app.settings.clock_skew
    role("default_transaction_read_only = on")
    the_list.close()
    try:
        for scope in expired:
            the_list.end(scope)
            one_postgresql.clock.move(retention + 1)
            for _ in range(30):  # at some of which what has expired is removed
                the_list.end(app.session())
            the_list.purge()
            assert the_list.lookup((scope,)).epochs == (0,)
    finally:
        one_postgresql.clock.move(-one_postgresql.clock.moved())


def test_a_role_of_postgresql_that_does_not_wait_for_locks(
    one_postgresql: SQLServer, make_sql_list: MakeList, app: Any, role: Callable[[str], None]
) -> None:
    """Raises wait for each other, for as long as an answer may take."""
    role("lock_timeout = '1ms'")
    the_list = make_sql_list(one_postgresql.url)
    scope = app.session()
    the_list.end(app.session())
    engine = sqlalchemy.create_engine(one_postgresql.url)
    with ThreadPoolExecutor(1) as threads, engine.connect() as other:
        other.exec_driver_sql("SELECT 1 FROM duck_cookie_session_histories FOR UPDATE")
        ended = threads.submit(the_list.end, scope)
        assert not wait([ended], timeout=0.5).done
        other.rollback()
        ended.result()
    engine.dispose()
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)


def test_a_database_of_postgresql_without_an_encoding(
    one_postgresql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    """As initdb makes them under the locale C."""
    one_postgresql.execute(
        "CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    the_list = make_sql_list(one_postgresql.url.replace("/postgres", "/plain"))
    use(the_list, app)
    the_list.close()
    one_postgresql.execute("DROP DATABASE plain WITH (FORCE)")


def test_tables_of_postgresql_that_a_crash_empties_are_refused(
    one_postgresql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    the_list = make_sql_list(one_postgresql.url)
    the_list.end(app.session())
    one_postgresql.execute(f"ALTER TABLE {ENTRIES} SET UNLOGGED")
    try:
        with pytest.raises(RevocationListUnavailable, match=r"lose revocations: tables=.*unlogged"):
            the_list.end(app.session())
    finally:
        one_postgresql.execute(f"ALTER TABLE {ENTRIES} SET LOGGED")
    the_list.end(app.session())


def test_a_mariadb_that_cuts_answers_short(
    one_mariadb: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    """A row that is missing would be a session that was never ended."""
    assert isinstance(one_mariadb, MariaDB)
    one_mariadb.as_root("SET GLOBAL sql_select_limit = 2")
    try:
        use(make_sql_list(one_mariadb.url), app)
    finally:
        one_mariadb.as_root("SET GLOBAL sql_select_limit = DEFAULT")


# Addresses


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_end_of_a_password_is_not_taken_for_the_host(kind: str) -> None:
    with pytest.raises(InvalidSettings, match="can't be read") as caught:
        SQLRevocationList(f"{kind}://user:pass@secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_driver_that_goes_on_without_tls_is_not_taken_where_tls_was_asked_for() -> None:
    url = "mysql+aiomysql://user@host/db?ssl_ca=/ca.pem"
    with pytest.raises(InvalidSettings, match="aiomysql"):
        SQLRevocationList(url)
    SQLRevocationList("mysql+aiomysql://user@host/db")
    SQLRevocationList(url.replace("aiomysql", "asyncmy"))


def test_an_option_that_no_driver_knows_is_an_outage(
    one_mariadb: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    the_list = make_sql_list(f"{one_mariadb.url}?colour=red")

    async def awaited() -> None:
        with pytest.raises(RevocationListUnavailable, match="colour"):
            await the_list.alookup((app.everything,))
        await the_list.aclose()

    with pytest.raises(RevocationListUnavailable, match="colour"):
        the_list.lookup((app.everything,))
    asyncio.run(awaited())


def test_no_traceback_shows_a_session_id(
    one_sql: SQLServer, make_sql_list: MakeList, app: Any
) -> None:
    the_list = make_sql_list(one_sql.url)
    scope = app.session()
    the_list.raise_epoch(scope)
    one_sql.execute(f"ALTER TABLE {ENTRIES} RENAME COLUMN epoch TO number")
    try:
        for call in (lambda: the_list.lookup((scope,)), lambda: the_list.end(scope)):
            with pytest.raises(RevocationListUnavailable) as caught:
                call()
            shown = "".join(traceback.format_exception(caught.value))
            assert repr(scope[9:])[2:-1] not in shown
            assert scope[9:].hex() not in shown
    finally:
        one_sql.execute(f"ALTER TABLE {ENTRIES} RENAME COLUMN number TO epoch")


# Event loops


@pytest.mark.parametrize("driver", ["psycopg", "asyncmy", "aiomysql"])
def test_an_event_loop_that_ends_leaves_no_connection_open(
    request: pytest.FixtureRequest, make_sql_list: MakeList, app: Any, driver: str
) -> None:
    """As where each request has a loop of its own: an async view under WSGI."""
    kind = "postgresql" if driver == "psycopg" else "mariadb"
    server: SQLServer = request.getfixturevalue(f"one_{kind}")
    the_list = make_sql_list(server.url.replace("pymysql", driver))
    there = (
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        if kind == "postgresql"
        else "SELECT count(*) FROM information_schema.PROCESSLIST WHERE user = 'shop'"
    )

    async def view() -> None:
        await asyncio.gather(*(the_list.alookup((app.everything,)) for _ in range(3)))

    gc.disable()
    try:
        for _ in range(5):
            asyncio.run(view())
        deadline = time.monotonic() + 10  # the server takes a moment to see it
        while server.execute(there) != [(1,)]:  # whoever asks
            assert time.monotonic() < deadline
    finally:
        gc.enable()


# In between


class PgBouncer:
    """A pooler that gives each transaction a connection of the server that is free just then."""

    def __init__(self, server: SQLServer) -> None:
        self.directory = server.directory
        there = sqlalchemy.engine.make_url(server.url)
        self.port = server.port + 1 if server.port < 65535 else 1024
        ini = self.directory / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={server.port} user=shop "
            f"password='{there.password}'\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            "unix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n",
            "utf-8",
        )
        server._own(ini)
        with (self.directory / "pgbouncer.log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")), str(ini)],
                stderr=log,
                cwd=self.directory,
                **server._as_user(),
            )
        self.url = f"postgresql://anybody@127.0.0.1:{self.port}/postgres"


@pytest.fixture
def pooler(one_postgresql: SQLServer) -> Iterator[PgBouncer]:
    if shutil.which("pgbouncer", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("no PgBouncer: apt-get install pgbouncer")
    made = PgBouncer(one_postgresql)
    deadline = time.monotonic() + 20
    while b"process up" not in (made.directory / "pgbouncer.log").read_bytes():
        assert time.monotonic() < deadline, (made.directory / "pgbouncer.log").read_text()
        time.sleep(0.02)
    yield made
    made.process.terminate()
    made.process.wait()


def test_behind_a_pooler_that_shares_connections_out_by_transactions(
    pooler: PgBouncer, make_sql_list: MakeList, app: Any
) -> None:
    """No statement has a name there, by which that of another client could be carried out."""
    lists = [make_sql_list(pooler.url) for _ in range(3)]

    def work(the_list: SQLRevocationList) -> list[tuple[bytes, int]]:
        told = []
        for number in range(1, 25):
            the_list.lookup([app.session() for _ in range(1 + number % 4)])
            scope = app.session()
            told.append((scope, the_list.raise_epoch(scope)))
        return told

    with ThreadPoolExecutor(3) as threads:
        told = [one for done in threads.map(work, lists) for one in done]
    assert len({epoch for _, epoch in told}) == len(told)
    for scope, epoch in told:
        assert lists[0].lookup((scope,)).epochs == (epoch,)
    use(lists[1], app)
