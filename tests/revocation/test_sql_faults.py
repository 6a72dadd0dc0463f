"""The database killed, stopped, cut off, or held by another: nothing is lost, and nobody hangs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

from duck_cookie_session import RevocationListUnavailable
from duck_cookie_session.revocation.base import LAST_EPOCH
from tests.helpers.sql_servers import SQLServer
from tests.revocation.fleet import Judge, Plan, run_fleet, summary

sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra `sql`)")

from duck_cookie_session.revocation.sql import SQLRevocationList  # noqa: E402  # as above

pytestmark = pytest.mark.slow

TIMEOUT = 1.0
A_LITTLE = 2.5  # a connection to PostgreSQL may take 2 seconds, and the machine may be busy

MakeServer = Callable[..., SQLServer]


@pytest.fixture
def make_list(app: Any) -> Iterator[Callable[..., SQLRevocationList]]:
    made: list[SQLRevocationList] = []

    def make(server: SQLServer, **arguments: Any) -> SQLRevocationList:
        made.append(SQLRevocationList(server.url, **{"timeout": 20, **arguments}))
        made[-1].bind(app.settings)
        return made[-1]

    yield make
    for one in made:
        one.close()


def cut(server: SQLServer) -> None:
    """Close every connection from the server's end, but for the one that says so."""
    if server.name == "PostgreSQL":
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return
    own = server.execute(
        "SELECT id FROM information_schema.PROCESSLIST "
        "WHERE user = 'shop' AND id <> CONNECTION_ID()"
    )
    for (number,) in own:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError):  # gone meanwhile
            server.execute(f"KILL CONNECTION {number}")


def test_killed_stopped_and_cut_off_in_mid_load_nothing_is_lost(
    make_sql_server: MakeServer,
) -> None:
    """Of what was acknowledged: no revoked token is accepted, and none is refused without cause."""
    server = make_sql_server()
    faults: list[tuple[int, int]] = []

    def fault(step: Callable[[], None]) -> None:
        began = time.monotonic_ns()
        step()
        server.execute("SELECT 1")
        faults.append((began, time.monotonic_ns()))
        time.sleep(1.5)  # the load goes on; for the last part of it all must be well

    def kill() -> None:
        server.kill()
        time.sleep(0.2)
        server.start()

    def stop() -> None:
        server.pause()
        time.sleep(1.5)
        server.resume()

    def interfere() -> None:
        time.sleep(3)
        for step in (kill, lambda: cut(server), stop, kill):
            fault(step)

    seed = random.SystemRandom().randrange(10**6)
    print("seed:", seed)
    plans = [Plan(server.url, number, seed, seconds=18, timeout=TIMEOUT) for number in range(4)]
    events = run_fleet(plans, interfere)
    print(summary(events))
    wrong = Judge(events, dict.fromkeys(range(4), 0.0), ()).violations()
    assert not wrong, f"{len(wrong)} violations, the first: {wrong[0]}"
    reads = [event for event in events if event.kind == "read"]
    assert max(event.ended - event.began for event in reads) < (2 * TIMEOUT + A_LITTLE) * 1e9
    assert "unavailable" in {event.outcome for event in events}
    last = max(ended for _, ended in faults)
    assert any(event.outcome == "done" and event.began > last for event in reads)


def test_a_server_killed_while_it_raises_keeps_what_it_acknowledged(
    make_sql_server: MakeServer, make_list: Callable[..., SQLRevocationList], app: Any
) -> None:
    server = make_sql_server()
    the_list = make_list(server)
    told: list[tuple[bytes, int]] = []
    scopes = [app.session() for _ in range(4)]

    def work(scope: bytes) -> None:
        with contextlib.suppress(RevocationListUnavailable):
            while True:
                told.append((scope, the_list.raise_epoch(scope)))

    threads = [threading.Thread(target=work, args=(scope,)) for scope in scopes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(told) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    standing = dict(zip(scopes, the_list.lookup(scopes).epochs, strict=True))
    for scope, epoch in told:
        assert standing[scope] >= epoch


def test_idle_connections_that_were_cut_are_made_anew(
    one_sql: SQLServer, make_list: Callable[..., SQLRevocationList], app: Any
) -> None:
    """As by a restart, a firewall, or a time-out of the server: nobody hears of it."""
    the_list = make_list(one_sql)
    scope, nonce = app.session(), b"n" * 16
    calls: tuple[Callable[[], Any], ...] = (
        lambda: the_list.lookup((scope,)),
        lambda: the_list.compare_and_raise(scope, 0, nonce=nonce),
        lambda: the_list.end(scope),
    )
    for call in calls:
        the_list.lookup((scope,))
        cut(one_sql)
        call()
    assert the_list.lookup((scope,)).epochs == (LAST_EPOCH,)

    async def awaited() -> None:
        for call in (the_list.araise_epoch(app.session()), the_list.alookup((scope,))):
            await the_list.alookup((scope,))
            cut(one_sql)
            await call
        await the_list.aclose()

    asyncio.run(awaited())


@pytest.fixture
def stopped(one_sql: SQLServer) -> Iterator[Callable[[], None]]:
    """Stops the server's processes, until the test ends."""
    yield one_sql.pause
    one_sql.resume()


def test_a_server_that_does_not_answer_is_given_up(
    one_sql: SQLServer,
    make_list: Callable[..., SQLRevocationList],
    app: Any,
    stopped: Callable[[], None],
) -> None:
    the_list = make_list(one_sql, timeout=0.5)
    patient = make_list(one_sql)
    scope = app.session()
    patient.lookup((scope,))
    new = make_list(one_sql, timeout=0.5)  # which has no connection yet

    async def warm() -> None:
        await the_list.alookup((scope,))
        stopped()
        await unavailable(the_list.alookup((scope,)))
        with pytest.raises(RevocationListUnavailable):  # no connection any more
            await the_list.araise_epoch(scope)
        await the_list.aclose()

    async def unavailable(call: Any) -> None:
        began = time.monotonic()
        with pytest.raises(RevocationListUnavailable, match="no answer"):
            await call
        assert time.monotonic() - began < 0.5 + A_LITTLE

    the_list.lookup((scope,))
    asyncio.run(warm())
    for call in (
        lambda: the_list.lookup((scope,)),
        lambda: the_list.lookup((scope,)),
        lambda: new.raise_epoch(scope),
    ):
        began = time.monotonic()
        with pytest.raises(RevocationListUnavailable):
            call()
        assert time.monotonic() - began < 0.5 + A_LITTLE
    one_sql.resume()
    assert patient.raise_epoch(scope) > 0
    assert patient.lookup((scope,)).epochs[0] > 0


def test_whoever_holds_the_row_and_stands_still_holds_nobody_for_long(
    one_sql: SQLServer, make_list: Callable[..., SQLRevocationList], app: Any
) -> None:
    """A process that was stopped in the middle of a raise; checks don't notice it at all."""
    the_list, other = make_list(one_sql, timeout=1), make_list(one_sql)
    scope = app.session()
    epoch = the_list.raise_epoch(scope)
    dialect = the_list._reached.dialect
    with the_list._reached._connected().connect() as connection:
        for statement in (dialect.start(1), dialect.lock(app.scopes.prefix)):
            connection.exec_driver_sql(*statement)
        began = time.monotonic()
        assert other.lookup((scope,)).epochs == (epoch,)
        assert other.raise_epoch(scope) > epoch
        assert time.monotonic() - began < 10
        connection.invalidate()


def test_a_purge_under_way_holds_up_neither_raises_nor_checks(
    one_sql: SQLServer, make_list: Callable[..., SQLRevocationList], app: Any
) -> None:
    """Not though it stands still itself, for an entry that somebody else has locked."""
    assert one_sql.clock is not None
    the_list, purging = make_list(one_sql), make_list(one_sql)
    expired, other = app.session(), app.session()
    the_list.end(expired)
    retention = app.settings.absolute_age + app.settings.clock_skew
    one_sql.clock.move(retention + 1)
    engine = sqlalchemy.create_engine(one_sql.url, isolation_level="READ COMMITTED")
    try:
        with ThreadPoolExecutor(1) as threads, engine.begin() as holding:
            holding.exec_driver_sql("SELECT 1 FROM duck_cookie_session_entries FOR UPDATE")
            purged = threads.submit(purging.purge)
            assert not wait([purged], timeout=1).done
            began = time.monotonic()
            the_list.end(other)
            assert the_list.lookup((other, expired)).epochs == (LAST_EPOCH, LAST_EPOCH)
            assert time.monotonic() - began < 10
            assert not purged.done()
            holding.rollback()
            assert purged.result() >= 1
        assert the_list.lookup((expired,)).epochs == (0,)
    finally:
        engine.dispose()
        one_sql.clock.move(-retention - 1)


def test_a_pool_that_is_used_up_is_waited_for_and_no_longer(
    one_sql: SQLServer, make_list: Callable[..., SQLRevocationList], app: Any
) -> None:
    the_list = make_list(one_sql, timeout=1)
    scope = app.session()
    the_list.lookup((scope,))
    with contextlib.ExitStack() as held:
        for _ in range(20):
            held.enter_context(the_list._reached._connected().connect())
        began = time.monotonic()
        with pytest.raises(RevocationListUnavailable):
            the_list.lookup((scope,))
        assert time.monotonic() - began < 1 + A_LITTLE
    assert the_list.lookup((scope,)).epochs == (0,)
