"""Drivers of PostgreSQL and MariaDB, and what their connections are to be like.

Every connection commits each statement by itself and sends nothing unasked, so that a check is one
round trip. Every wait ends: for connecting, for a free connection, and for each answer.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Generator
from typing import Any

try:
    import sqlalchemy
    from sqlalchemy import event
    from sqlalchemy.engine import URL as URL
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import DBAPIError as DBAPIError
    from sqlalchemy.exc import SQLAlchemyError as SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncEngine as AsyncEngine
    from sqlalchemy.ext.asyncio import create_async_engine
except ImportError as _missing:  # pragma: no cover  # the tests have it
    raise ImportError(
        'SQLRevocationList needs SQLAlchemy: pip install "duck-cookie-session[sql]"'
    ) from _missing

from ..errors import InvalidSettings
from ._sql_texts import MARIADB, POSTGRESQL, Dialect

CONNECTIONS = 20
"""Of each process, and of each event loop."""

_ASYNC_MARIADB = ("asyncmy", "aiomysql")


def read_url(url: str | URL) -> tuple[URL, Dialect, URL | None]:
    """The address for plain calls, the dialect, and the address for awaitable ones.

    The last is None where no awaitable driver is installed: threads do it then.
    """
    try:
        read = make_url(url)
        backend, driver = read.get_backend_name(), read.drivername.partition("+")[2]
        if "@" in (read.host or ""):
            raise ValueError  # the rest of a password, which errors would show as the host
    except (ValueError, SQLAlchemyError):
        # Not shown: it may hold a password.
        raise InvalidSettings(
            "url (SESSION_REVOCATION_URL) can't be read as an address of a database; it looks "
            "like postgresql://user:password@host/database or mariadb://..., and in a password "
            "/ ? # @ are written %2F %3F %23 %40."
        ) from None
    if backend == "postgresql" and driver in ("", "psycopg", "psycopg_async"):
        _need("psycopg", "psycopg[binary]")
        plain = read.set(drivername="postgresql+psycopg")
        return plain, POSTGRESQL, plain
    if backend in ("mysql", "mariadb") and driver in ("", "pymysql", *_ASYNC_MARIADB):
        _need("pymysql", "pymysql")
        wanted: tuple[str, ...] = (driver,) if driver in _ASYNC_MARIADB else _ASYNC_MARIADB
        if any(name.startswith("ssl") for name in read.query):
            if driver == "aiomysql":
                raise InvalidSettings(
                    "url (SESSION_REVOCATION_URL) asks aiomysql for TLS, which it does without "
                    "where the server offers none; allowed with ssl_...: asyncmy, or pymysql, "
                    "whose awaitable calls are done by threads where asyncmy is not installed."
                )
            wanted = tuple(name for name in wanted if name != "aiomysql")
        there = [name for name in wanted if importlib.util.find_spec(name)]
        if driver in _ASYNC_MARIADB:
            _need(driver, driver)
        plain = read.set(drivername="mysql+pymysql")
        return plain, MARIADB, read.set(drivername=f"mysql+{there[0]}") if there else None
    raise InvalidSettings(
        f"url (SESSION_REVOCATION_URL) is for {read.drivername}; allowed: postgresql (with "
        "psycopg 3), mariadb and mysql (with pymysql, and asyncmy or aiomysql)."
    )


def _need(module: str, package: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise InvalidSettings(
            f"SQLRevocationList needs the driver {module} for this address: pip install {package}."
        )


def make_engine(url: URL, timeout: float) -> sqlalchemy.Engine:
    """An engine for plain calls.

    Args:
        timeout: seconds for connecting, for a free connection, and for each answer.
    """
    engine = sqlalchemy.create_engine(url, **_options(url, timeout))
    _prepare(engine, timeout, is_async=False)
    return engine


def make_async_engine(url: URL, timeout: float) -> AsyncEngine:
    """An engine for awaitable calls of one event loop."""
    engine = create_async_engine(url, **_options(url, timeout))
    _prepare(engine.sync_engine, timeout, is_async=True)
    return engine


def _options(url: URL, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,
        "pool_size": CONNECTIONS,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "pool_use_lifo": True,
        "hide_parameters": True,  # session ids, which a traceback would show
    }
    if _is_postgresql(url):
        options["use_native_hstore"] = False  # it asks for it at each connection
        options["connect_args"] = {
            "connect_timeout": max(1, math.ceil(timeout)),
            "client_encoding": "utf8",  # a database of SQL_ASCII would give bytes for text
        }
    else:
        options["connect_args"] = {"connect_timeout": timeout}
        if url.get_driver_name() == "pymysql":
            options["connect_args"]["read_timeout"] = timeout
            options["connect_args"]["write_timeout"] = timeout
    return options


def _prepare(engine: sqlalchemy.Engine, timeout: float, *, is_async: bool) -> None:
    """What connections of this engine are to be like."""
    if _is_postgresql(engine.url):
        import psycopg

        kind: Any = psycopg.AsyncConnection if is_async else psycopg.Connection
        made: Any = type("Bounded", (_Bounded, kind), {"answer_within": timeout})

        def connect(dialect: Any, record: Any, arguments: Any, keywords: Any) -> Any:
            if is_async:
                keywords["async_creator_fn"] = made.connect
                return None
            return made.connect(*arguments, **keywords)

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", _no_names_through_a_pooler)
    else:
        seconds = max(1, math.ceil(timeout))

        def prepare(connection: Any, record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES', "
                "SESSION sql_select_limit = 18446744073709551615, "  # as usual: answers are whole
                f"SESSION innodb_lock_wait_timeout = {seconds} "
                f"/*M!100300 , SESSION idle_transaction_timeout = {seconds} */"
            )
            cursor.close()

        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", prepare)


def _connect(dialect: Any, record: Any, arguments: Any, keywords: Any) -> Any:
    """Connect, raising only what is known to come of that.

    Drivers of MariaDB raise whatever they run into where an option of the address is none of
    theirs, or the server is not of their kind.
    """
    try:
        return dialect.connect(*arguments, **keywords)
    except (dialect.loaded_dbapi.Error, OSError, EOFError):
        raise
    except Exception as error:  # whatever foreign code runs into; raised on as an outage
        raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _no_names_through_a_pooler(connection: Any, record: Any) -> None:
    """Prepare no statements where another connection of the server may be next, as by PgBouncer.

    There a name may be that of another client's statement, which would be carried out instead. A
    pooler tells its clients a process id of its own, not that of the server's process.
    """
    cursor = connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    ((pid,),) = cursor.fetchall()
    cursor.close()
    if pid != record.driver_connection.info.backend_pid:
        record.driver_connection.prepare_threshold = None


def _is_postgresql(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


class _Bounded:
    """A connection of psycopg that waits for an answer no longer than it should.

    psycopg leaves it to the operating system to find that a server does not answer, which takes
    hours where the server is only stopped.
    """

    answer_within: float

    def wait(self, steps: Any, interval: float = 0.1) -> Any:
        """See `psycopg.Connection.wait`; awaitable in a connection that is."""
        within = self.answer_within
        return super().wait(_until(steps, within), min(interval, within / 4))  # type: ignore[misc]  # of the other base


def _until(steps: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """Steps of psycopg, which is told now and then that nothing came, given up after a while."""
    from psycopg import OperationalError  # an OSError would be taken for a closed socket

    deadline = time.monotonic() + seconds
    try:
        state = next(steps)
        while True:
            ready = yield state
            if not ready and time.monotonic() > deadline:
                raise OperationalError(f"no answer within {seconds:g} seconds")
            state = steps.send(ready)
    except StopIteration as done:
        return done.value
