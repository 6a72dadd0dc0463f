"""Revocation lists alone: a check of everything, session and subject; room an entry takes."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.measure import Contender, Options, calling, measure, same, table
from tests.benchmarks.peers import missing
from tests.benchmarks.report import RoundTripError, Row, Section, Table

NAME = "lists"
BOUNDED = "max_staleness, session seen within it"
EPOCH, MADE = 1_800_000_000_000_000, 1_800_000_000_000_000


def run(options: Options) -> Section:
    """Memory, SQLite and Redis, with few and with many live entries."""
    section = Section(NAME)
    if not ours.available():
        ours.node(section)
        return section
    sizes = (1_000, 10_000) if options.quick else (1_000, 100_000, 1_000_000)
    with contextlib.ExitStack() as stack:
        entries = [Contender("dict lookup of three keys", _dict_lookup(), limit=20_000)]
        entries += _memory(sizes)
        entries += _sqlite(section, sizes, stack)
        samples = measure(entries, options)
    base = entries[0].name
    section.tables.append(table("a check on this machine", samples, base))
    _judge_sqlite(section, sizes)
    _memory_bytes(section)
    _redis(section, sizes, options)
    return section


def scopes_of(number: int | None = None) -> tuple[bytes, ...]:
    """Everything, a session and its subject, of the benchmark's application."""
    from duck_cookie_session.revocation.base import Scopes

    made = Scopes(ours.settings())
    subject = str(secrets.randbelow(10**9) if number is None else number)
    return made.everything, made.session(secrets.token_bytes(16)), made.subject(subject)


def fresh_scopes(count: int) -> Sequence[tuple[bytes, ...]]:
    """Scopes of sessions and subjects that nobody has asked for."""
    return [scopes_of() for _ in range(count)]


def _prove(revocations: Any) -> None:
    """Check that a revocation is seen, and that nothing else is."""
    everything, session, subject = scopes_of()
    before = revocations.lookup((everything, session, subject)).epochs
    epoch = revocations.raise_epoch(session)
    after = revocations.lookup((everything, session, subject)).epochs
    if before != (0, 0, 0) or not epoch or after != (0, epoch, 0):
        raise RoundTripError(f"{type(revocations).__name__}: a raise was not seen as it should be")


def _dict_lookup() -> Callable[[int], float]:
    everything, session, subject = scopes_of()
    known = {everything: 1, session: 2, subject: 3}
    get = known.get
    return calling(lambda scopes: tuple([get(scope) for scope in scopes]), same(tuple(known)))


def _memory(sizes: Sequence[int]) -> list[Contender]:
    from duck_cookie_session import MemoryRevocationList

    found = []
    for size in sizes:
        revocations = MemoryRevocationList()
        revocations.bind(ours.settings())
        _prove(revocations)
        for number in range(size):
            revocations.raise_epoch(scopes_of(number)[1])
        found.append(
            Contender(f"memory, {size:,} entries", calling(revocations.lookup, fresh_scopes), 1_000)
        )
    return found


def _sqlite(section: Section, sizes: Sequence[int], stack: contextlib.ExitStack) -> list[Contender]:
    from duck_cookie_session import SQLiteRevocationList

    found = []
    rows = []
    for size in sizes:
        folder = Path(tempfile.mkdtemp(prefix="benchmark-list-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        revocations = SQLiteRevocationList(folder)
        revocations.bind(ours.settings())
        _prove(revocations)
        revocations.close()
        fill_sqlite(folder, size)
        revocations = SQLiteRevocationList(folder)
        revocations.bind(ours.settings())
        stack.callback(revocations.close)
        found += [
            Contender(
                f"SQLite, {size:,} entries, session not seen before",
                calling(revocations.lookup, fresh_scopes),
                1_000,
            ),
            Contender(
                f"SQLite, {size:,} entries, session seen before",
                calling(revocations.lookup, same(scopes_of())),
                5_000,
            ),
        ]
        taken = sum(path.stat().st_size for path in folder.iterdir() if "-shm" not in path.name)
        rows.append(_plain(f"SQLite, {size:,} entries", taken / size))
    section.tables.append(Table("room", "bytes an entry", rows))
    section.judge_figure("SQLite: an entry", rows[-1].median, 120, "bytes")
    return found


def fill_sqlite(folder: Path, size: int) -> None:
    """Put entries into a list's file at once; one raise each would wait for the disk each time."""
    from duck_cookie_session.revocation.sqlite import FILE_NAME

    connection = sqlite3.connect(folder / FILE_NAME)
    with contextlib.closing(connection), connection:
        connection.executemany(
            "INSERT INTO epochs (scope, epoch, made) VALUES (?, ?, ?)",
            ((scopes_of(number)[1], EPOCH + number, MADE + number) for number in range(size)),
        )


def _judge_sqlite(section: Section, sizes: Sequence[int]) -> None:
    checks = next(entry for entry in section.tables if entry.title == "a check on this machine")
    names = [f"SQLite, {size:,} entries, session not seen before" for size in sizes]
    section.judge(
        f"SQLite: {sizes[-1]:,} entries / {sizes[0]:,}",
        checks.median(names[-1]),
        checks.median(names[0]),
        2.0,
    )


def _memory_bytes(section: Section) -> None:
    from duck_cookie_session import MemoryRevocationList

    revocations = MemoryRevocationList()
    revocations.bind(ours.settings())
    scopes = [scopes_of(number)[1] for number in range(20_000)]
    tracemalloc.start()
    try:
        for scope in scopes:
            revocations.raise_epoch(bytes(bytearray(scope)))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    room = next(entry for entry in section.tables if entry.title == "room")
    room.rows.append(_plain(f"memory, {len(scopes):,} entries", taken / len(scopes)))


def _redis(section: Section, sizes: Sequence[int], options: Options) -> None:
    if missing(section, "redis"):
        return
    if find_spec("duck_cookie_session.revocation.redis") is None:
        section.leave_out("Redis lists (not in this version)")
        return
    from tests.helpers.redis_server import WHY_NOT, RedisServer, redis_binary

    if redis_binary() is None:
        section.leave_out(f"Redis lists ({WHY_NOT})")
        return
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            server = RedisServer(Path(folder))
            server.start()
            try:
                _redis_checks(section, size, server.url, options)
            finally:
                server.kill()
    first, last = (f"a check on Redis, {size:,} entries" for size in (sizes[0], sizes[-1]))
    tables = {entry.title: entry for entry in section.tables}
    section.judge(
        f"Redis with max_staleness: {sizes[-1]:,} entries / {sizes[0]:,}",
        tables[last].median(BOUNDED),
        tables[first].median(BOUNDED),
        1.3,
    )


def _redis_checks(section: Section, size: int, url: str, options: Options) -> None:
    with _redis_lists(url) as (shared, own, bounded, client):
        for revocations in (shared, own, bounded):
            _prove(revocations)
        before = client.info("memory")["used_memory"]
        taken = fill_redis(shared, client, size)
        after = client.info("memory")["used_memory"]
        seen = scopes_of()
        client.set("benchmark", "0")
        known = dict.fromkeys(seen, 0)
        # As with every token that was sealed after the first revocation.
        checkpoint = own.lookup(seen).checkpoint
        on_shared = partial(shared.lookup, checkpoint=checkpoint)
        on_own = partial(own.lookup, checkpoint=checkpoint)
        reused = partial(bounded.lookup, checkpoint=checkpoint, fresh=False)
        entries = [
            Contender("bare GET", calling(client.get, same("benchmark"), waits=True)),
            Contender("strict, same client", calling(on_shared, same(seen), waits=True)),
            Contender("strict, client of its own", calling(on_own, same(seen), waits=True)),
            Contender(
                "strict, sessions not seen before", calling(on_own, fresh_scopes, waits=True), 500
            ),
            Contender(BOUNDED, calling(reused, same(seen))),
            Contender("dict lookup", calling(known.get, same(seen[1])), 20_000),
        ]
        result = table(f"a check on Redis, {size:,} entries", measure(entries, options), "bare GET")
    section.tables.append(result)
    room = next(entry for entry in section.tables if entry.title == "room")
    room.rows.append(_plain(f"Redis, {size:,} entries", (after - before) / taken))
    section.judge(f"Redis {size:,}: strict / bare GET", result.rows[1].ratio, 1.0, 1.3)
    bounded_cost = result.median(BOUNDED) or 0.0
    section.judge_figure(f"Redis {size:,}: max_staleness", bounded_cost, 3.0, "us")
    section.judge_figure(f"Redis {size:,}: an entry", room.rows[-1].median, 200, "bytes")


@contextlib.contextmanager
def _redis_lists(url: str) -> Iterator[tuple[Any, Any, Any, Any]]:
    """A list on the client that does the bare GET, one with its own, a bounded one, the client."""
    import redis

    from duck_cookie_session.revocation.redis import RedisRevocationList

    client = redis.Redis.from_url(url, socket_timeout=0.25, socket_connect_timeout=0.25)
    lists = (
        RedisRevocationList(client=client),
        RedisRevocationList(url=url),
        RedisRevocationList(url=url, max_staleness=3_600),
    )
    for made in lists:
        made.bind(ours.settings())
    try:
        yield *lists, client
    finally:
        for opened in (*lists, client):
            opened.close()


def fill_redis(revocations: Any, client: Any, size: int) -> int:
    """Raise the epochs of that many sessions; returns how many keys that made."""
    before = client.dbsize()
    for number in range(size):
        revocations.raise_epoch(scopes_of(number)[1])
    return int(client.dbsize() - before)


def _plain(name: str, value: float) -> Row:
    return Row(name, value, value, value)


def resident_bytes() -> int:
    """Resident memory of this process, where /proc tells it; else 0."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
