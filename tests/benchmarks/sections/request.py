"""What a session adds to a request, in process: the whole minus the bare application."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.benchmarks import ours, web
from tests.benchmarks.asgi_apps import FLOOR, AsgiApplication, applications
from tests.benchmarks.measure import Contender, Options, added, awaiting, measure
from tests.benchmarks.report import Section, Table

NAME = "request"
CASES = ("untouched", "read, cookie seen before", "read, cookie new to the node", "written")


def run(options: Options) -> Section:
    """ASGI applications in process, four cases."""
    section = Section(NAME)
    loop = asyncio.new_event_loop()
    try:
        contenders = applications(section, loop)
        for application in contenders:
            web.prove(application)
        if contenders:
            for case in CASES:
                section.tables.append(_case(case, contenders, loop, options))
            _judge(section)
    finally:
        loop.close()
    return section


def _case(case: str, contenders: list[AsgiApplication], loop: Any, options: Options) -> Table:
    """One table: microseconds that each adds to its bare application."""
    entries = [Contender(entry.name, _batch(case, entry, loop), limit=400) for entry in contenders]
    samples = measure(entries, options)
    bare = {entry.name: entry.bare for entry in contenders if entry.has_session}
    return added(f"added to a request: {case}", samples, bare, next(iter(bare)))


def _batch(case: str, application: AsgiApplication, loop: Any) -> Any:
    path = web.PATHS["plain" if case == "plain" else case.partition(",")[0]]
    if not application.has_session:
        cookie = "session=" + "x" * 600
        path = web.PATHS["untouched"]
        return awaiting(
            loop.run_until_complete,
            application.serve,
            lambda n: [application.scope(path, cookie) for _ in range(n)],
        )
    if "new to the node" in case:
        fresh = ours.Fresh(
            lambda number: application.scope(
                path, web.cookie_header(application.elsewhere or application, number)
            )
        )
        return awaiting(loop.run_until_complete, application.serve, fresh.take)
    cookie = web.cookie_header(application)
    return awaiting(
        loop.run_until_complete,
        application.serve,
        lambda n: [application.scope(path, cookie) for _ in range(n)],
    )


def _judge(section: Section) -> None:
    memory, sqlite = ours.label("(memory list)"), ours.label("(sqlite list)")
    untouched, seen, new, written = section.tables
    starlette = untouched.base
    targets = [
        ("untouched, memory / Starlette", untouched, memory, 0.1),
        ("untouched, SQLite / Starlette", untouched, sqlite, 0.1),
        ("read seen, memory / Starlette", seen, memory, 0.48),
        ("read seen, SQLite / Starlette", seen, sqlite, 0.62),
        ("written, memory / Starlette", written, memory, 0.85),
        ("written, SQLite / Starlette", written, sqlite, 0.95),
    ]
    for what, result, own, target in targets:
        section.judge(what, result.median(own), result.median(starlette), target)
    for result, own, what in (
        (new, memory, "read new, memory / fastest ASGI peer"),
        (written, sqlite, "written, SQLite / fastest ASGI peer but Starlette"),
    ):
        peers = [
            row.median
            for row in result.rows
            if not row.name.startswith((ours.DISTRIBUTION, FLOOR))
            and (result is new or row.name != starlette)
        ]
        if peers:  # else nobody to compare with is installed; the table names who is left out
            section.judge(what, result.median(own), min(peers), 1.0)
