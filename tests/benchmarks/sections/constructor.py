"""What building a session object costs: Duck builds one for every request."""

from __future__ import annotations

from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.measure import Contender, Options, calling, measure, same, table
from tests.benchmarks.report import Section

NAME = "constructor"


def run(options: Options) -> Section:
    """`SessionStore(None)` against `dict()`."""
    section = Section(NAME)
    node = ours.node(section)
    if node is None:
        return section
    from duck_cookie_session import SessionStore

    def empty(_: Any) -> object:
        return dict()  # noqa: C408 - the call is what is compared with

    entries = [
        Contender("dict()", calling(empty, same(None)), limit=20_000),
        Contender("SessionStore(None)", calling(SessionStore, same(None)), limit=20_000),
    ]
    section.tables.append(table("building one", measure(entries, options), "dict()"))
    section.judge("SessionStore(None) / dict()", section.tables[0].rows[1].ratio, 1.0, 20)
    node.close()
    return section
