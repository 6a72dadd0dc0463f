"""Flask and Django in process: what a session adds, against the framework's own cookie session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks import ours, web
from tests.benchmarks.measure import Contender, Options, added, calling, measure
from tests.benchmarks.report import Section
from tests.benchmarks.wsgi_apps import WsgiApplication, django_applications, flask_applications

NAME = "frameworks"
CASES = ("untouched", "read", "written")
WRITTEN_SQLITE = {"Django": 0.75, "Flask": 0.36}
"""Targets, over the framework's own session."""


def run(options: Options) -> Section:
    """Both frameworks, three cases each; `read` with cookies seen before and with new ones."""
    section = Section(NAME)
    for framework, make in (("Flask", flask_applications), ("Django", django_applications)):
        applications = make(section)
        for application in applications:
            web.prove(application)
        if applications:
            _framework(section, framework, applications, options)
    return section


def _framework(
    section: Section, framework: str, applications: list[WsgiApplication], options: Options
) -> None:
    bare = {entry.name: entry.bare for entry in applications if entry.has_session}
    own = next(iter(bare))
    for case in (*CASES[:2], "read, cookie new to the node", CASES[2]):
        entries = [Contender(entry.name, _batch(case, entry), limit=300) for entry in applications]
        result = added(
            f"{framework}: added to a request: {case}", measure(entries, options), bare, own
        )
        section.tables.append(result)
        for row in result.rows:
            if row.name.startswith(ours.DISTRIBUTION):
                kind = "SQLite" if "sqlite" in row.name else "memory"
                section.judge(
                    f"{framework}, {case}, {kind} / own session",
                    row.median,
                    result.median(own),
                    WRITTEN_SQLITE[framework] if (case, kind) == ("written", "SQLite") else 1.0,
                )


def _batch(case: str, application: WsgiApplication) -> Callable[[int], float]:
    path = web.PATHS[case.partition(",")[0]]
    if not application.has_session:
        cookie, path = "session=" + "x" * 600, web.PATHS["untouched"]
    elif "new" in case:
        fresh = ours.Fresh(lambda number: _numbered(application, path, number))
        return calling(application.serve, fresh.take)
    else:
        cookie = web.cookie_header(application)
    return calling(application.serve, lambda count: _same(application, path, cookie, count))


def _numbered(application: WsgiApplication, path: str, number: int) -> dict[str, Any]:
    return application.environ(path, web.cookie_header(application, number))


def _same(application: WsgiApplication, path: str, cookie: str, count: int) -> list[dict[str, Any]]:
    return [application.environ(path, cookie) for _ in range(count)]
