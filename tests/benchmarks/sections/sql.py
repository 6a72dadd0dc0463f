"""The list in a PostgreSQL and a MariaDB: a check, a logout, a purge beside it, room an entry."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.measure import Contender, Options, calling, measure, same, table
from tests.benchmarks.report import Row, Section, Table
from tests.benchmarks.sections.lists import _plain, _prove, fresh_scopes, scopes_of

NAME = "sql"
BATCH = 1_000


def run(options: Options) -> Section:
    """Each server with few and with many live entries."""
    section = Section(NAME)
    if not ours.available():
        ours.node(section)
        return section
    if find_spec("sqlalchemy") is None:
        section.leave_out("lists in a database (SQLAlchemy is not installed)")
        return section
    from tests.helpers.sql_servers import KINDS, why_not

    rows: list[Row] = []
    for kind in KINDS.values():
        reason = why_not(kind)
        if reason is not None:
            section.leave_out(reason)
            continue
        for size in (1_000, 10_000) if options.quick else (1_000, 1_000_000):
            server = kind()
            try:
                server.start()
                rows += _server(section, server, size, options)
            finally:
                server.remove()
    section.tables.append(Table("room", "bytes an entry", rows))
    return section


def _server(section: Section, server: Any, size: int, options: Options) -> Iterator[Row]:
    name = f"{server.name}, {size:,} entries"
    with _lists(server.url) as (the_list, bounded, connection):
        _prove(the_list)
        _prove(bounded)
        _fill(server, size)
        seen = scopes_of()

        def select(_: object) -> object:
            return connection.exec_driver_sql("SELECT 1").scalar()

        def logout(scopes: tuple[bytes, ...]) -> object:
            return the_list.end(scopes[1])

        entries = [
            Contender("bare SELECT 1 by SQLAlchemy", calling(select, same(1), waits=True), 200),
            Contender("a check", calling(the_list.lookup, fresh_scopes, waits=True), 200),
            Contender(
                "max_staleness, session seen within it",
                calling(lambda scopes: bounded.lookup(scopes, fresh=False), same(seen)),
            ),
            Contender("a logout", calling(logout, fresh_scopes, waits=True), 20),
        ]
        found = table(name, measure(entries, options), "bare SELECT 1 by SQLAlchemy")
        section.tables.append(found)
        survey = the_list.survey(scopes_of()[0][:8])
        yield _plain(name, (survey.bytes or 0) / survey.entries)
        section.tables.append(_beside_a_purge(server, the_list, name))


@contextlib.contextmanager
def _lists(url: str) -> Iterator[tuple[Any, Any, Any]]:
    """A strict list, a bounded one, and a connection such as theirs."""
    import sqlalchemy

    from duck_cookie_session.revocation.sql import SQLRevocationList

    engine = sqlalchemy.create_engine(
        url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
    )
    lists = SQLRevocationList(url, timeout=30), SQLRevocationList(url, max_staleness=3_600)
    for made in lists:
        made.bind(ours.settings())
    try:
        with engine.connect() as connection:
            yield *lists, connection
    finally:
        engine.dispose()
        for made in lists:
            made.close()


def _fill(server: Any, size: int) -> None:
    """Put entries into the table at once; one raise each would wait for the disk each time."""
    import sqlalchemy

    from duck_cookie_session.revocation._sql_texts import DIALECTS, in_hex

    dialect = next(one for one in DIALECTS.values() if one.name == server.name)
    at = int(time.time() * 1_000_000)
    engine = sqlalchemy.create_engine(server.url)
    with contextlib.closing(engine.connect()) as connection:
        for begun in range(0, size, BATCH):
            rows = [
                (scopes_of(0)[1], at + begun + number, at + begun + number, None)
                for number in range(min(BATCH, size - begun))
            ]
            statement = dialect.put(*rows)
            if server.name == "MariaDB":
                statement = in_hex(statement)
            connection.exec_driver_sql(*statement)
        connection.commit()
    engine.dispose()
    server.execute(
        "ANALYZE duck_cookie_session_entries"
        if server.name == "PostgreSQL"
        else "ANALYZE TABLE duck_cookie_session_entries"
    )


def _beside_a_purge(server: Any, the_list: Any, name: str) -> Table:
    """Milliseconds of logouts and checks while as many entries as were live are removed."""
    survey = the_list.survey(scopes_of()[0][:8])
    server.execute("UPDATE duck_cookie_session_entries SET made = 1")
    rows = []
    done = threading.Event()
    took: list[float] = []

    def purge() -> None:
        began = time.perf_counter()
        the_list.purge()
        took.append(time.perf_counter() - began)
        done.set()

    logouts, checks = [], []
    thread = threading.Thread(target=purge)
    thread.start()
    while not done.is_set():
        scopes = scopes_of()
        logouts.append(_timed(lambda scopes=scopes: the_list.end(scopes[1])))
        checks.append(_timed(lambda scopes=scopes: the_list.lookup(scopes)))
    thread.join()
    for what, times in (("a logout", logouts), ("a check", checks)):
        times.sort()
        rows.append(_spread(f"{what}, of {len(times)}", times))
    rows.append(_plain(f"the purge of {survey.entries:,}", took[0] * 1_000))
    return Table(f"{name}: beside a purge", "ms, in dots p50 and the longest", rows)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1_000


def _spread(name: str, times: Sequence[float]) -> Row:
    return Row(name, times[len(times) // 2], times[len(times) // 2], times[-1])
