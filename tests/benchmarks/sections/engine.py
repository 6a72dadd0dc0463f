"""What a session costs without any framework, over the cryptography that it needs."""

from __future__ import annotations

import functools
import statistics
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgpack

from tests.benchmarks import contenders, ours
from tests.benchmarks.data import session_data
from tests.benchmarks.measure import (
    Contender,
    Options,
    between,
    calling,
    measure,
    row,
    same,
    table,
)
from tests.benchmarks.report import Section, Table
from tests.benchmarks.straight import writer

NAME = "engine"
WRITTEN, READ_SEEN, READ_NEW = "written", "read, token seen before", "read, token new to the node"
WRITE_FLOOR, READ_FLOOR = "unpack, pack and Fernet alone", "Fernet and unpack alone"
STRAIGHT = "written by one function, memory"
BETWEEN = "the same, after a session written each time"


def run(options: Options) -> Section:
    """A `SessionStore` written and read through `session_headers`, and two threads that read."""
    section = Section(NAME)
    data = session_data(380)
    codec = contenders.bare_fernet()
    packed, bare = msgpack.packb(data), codec.encode(data)
    floors = [
        Contender(
            WRITE_FLOOR, calling(lambda _: codec.encode(msgpack.unpackb(packed)), same(None))
        ),
        Contender(READ_FLOOR, calling(codec.decode, same(bare))),
    ]
    nodes = {kind: node for kind in ("memory", "sqlite") if (node := ours.node(section, kind))}
    writes, reads = [floors[0]], [floors[1]]
    if "memory" in nodes:
        write, token = _writing(nodes["memory"]), nodes["memory"].encode_new(data)
        other = functools.partial(write, token)
        writes.append(
            Contender(BETWEEN, between(lambda: codec.encode(msgpack.unpackb(packed)), other))
        )
        straight = writer(nodes["memory"].own.load(token))
        writes.append(Contender(STRAIGHT, calling(lambda _: straight(), same(None))))
        reads.append(Contender(BETWEEN, between(lambda: codec.decode(bare), other)))
    for kind, node in nodes.items():
        token = node.encode_new(data)
        writes.append(Contender(f"{WRITTEN}, {kind}", calling(_writing(node), same(token))))
        reads.append(Contender(f"{READ_SEEN}, {kind}", calling(_reading(node), same(token))))
        fresh = ours.Fresh(_elsewhere(node, data))
        reads.append(
            Contender(f"{READ_NEW}, {kind}", calling(_reading(node), fresh.take), limit=200)
        )
    for title, entries in (("a session written", writes), ("a session read", reads)):
        section.tables.append(table(title, measure(entries, options), entries[0].name))
    written, read = section.tables
    for result, name, target in (
        (written, f"{WRITTEN}, memory", 2.2),
        (written, f"{WRITTEN}, sqlite", 2.5),
        (read, f"{READ_NEW}, memory", 2.0),
    ):
        ratio = next((entry.ratio for entry in result.rows if entry.name == name), None)
        section.judge(f"{name} / {result.base}", ratio, 1.0, target)
    if "sqlite" in nodes:
        section.tables.append(_threads(section, nodes["sqlite"], data, options))
    return section


def _writing(node: ours.Node) -> Callable[[str], object]:
    from duck_cookie_session import SessionStore, session_headers

    def write(token: str) -> object:
        session = SessionStore(token, connector=node.own)
        session["locale"] = "sv_SE"
        return session_headers(session)

    return write


def _reading(node: ours.Node) -> Callable[[str], object]:
    from duck_cookie_session import SessionStore, session_headers

    def read(token: str) -> object:
        session = SessionStore(token, connector=node.own)
        session.get("user_id")
        return session_headers(session)

    return read


def _elsewhere(node: ours.Node, data: dict[str, Any]) -> Callable[[int], str]:
    return lambda number: node.encode_elsewhere({**data, "user_id": 10_000 + number % 50_000})


def _threads(section: Section, node: ours.Node, data: dict[str, Any], options: Options) -> Table:
    """Reads a second of one thread and of two, over one SQLite list."""
    read, token = _reading(node), node.encode_new(data)
    count = 500 if options.quick else 2_000

    def work() -> None:
        for _ in range(count):
            read(token)

    def rate(threads: int) -> float:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        start = perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return threads * count / (perf_counter() - start)

    rounds = [(rate(1), rate(2)) for _ in range(5 if options.quick else 21)]
    gain = statistics.median(two / one for one, two in rounds)
    section.judge("SQLite, reads of two threads / of one", gain, 1.0, 1.0, at_least=True)
    rows = [
        row("1 thread", [one for one, _ in rounds]),
        row("2 threads", [two for _, two in rounds], gain),
    ]
    return Table("SQLite list: reads", "reads a second", rows, "1 thread")
