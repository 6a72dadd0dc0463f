"""Threads and processes: whether anything is shared that should not be."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.data import session_data
from tests.benchmarks.measure import Options, row
from tests.benchmarks.report import Section, Table

NAME = "processes"
REPOSITORY = Path(__file__).parents[3]


def run(options: Options) -> Section:
    """Read-and-write throughput of two processes against one, and of two threads against one."""
    section = Section(NAME)
    probe = ours.node(section)
    if probe is None:
        return section
    probe.close()
    seconds, rounds = (0.15, 3) if options.quick else (1.5, 7)
    for kind in ("memory", "sqlite"):
        _processes(section, kind, seconds, rounds)
    section.tables.append(_threads(seconds, rounds))
    section.notes.append(
        f"{os.cpu_count()} CPUs here; whatever else runs on them lowers what a second process can "
        "add, for Fernet alone as well"
    )
    return section


def _processes(section: Section, kind: str, seconds: float, rounds: int) -> None:
    """Two processes on one list against one, and Fernet alone in the same rounds."""
    folder = tempfile.mkdtemp(prefix="benchmark-")
    own = [_Worker(kind, folder) for _ in range(2)]
    bare = [_Worker("bare") for _ in range(2)]
    found: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            for name, workers in (("", own), ("Fernet and msgpack alone, ", bare)):
                for count in (1, 2):
                    rate = sum(_together(workers[:count], seconds))
                    found.setdefault(f"{name}{count}", []).append(rate)
    finally:
        for worker in (*own, *bare):
            worker.close()
        shutil.rmtree(folder, ignore_errors=True)
    rows = []
    ratios = []
    for one, two in _in_pairs(found):
        ratios.append(statistics.median(b / a for a, b in zip(found[one], found[two], strict=True)))
        rows.append(row(f"{one} process", found[one]))
        rows.append(row(f"{two} processes", found[two], ratios[-1]))
    title = f"new token read and next state sealed, {kind} list"
    section.tables.append(Table(title, "operations a second", rows, "one process"))
    words = f"{kind}: two processes / one"
    own_gain, fernet_gain = ratios
    section.judge(words, own_gain, 1.0, 1.8, at_least=True)
    section.judge(f"{words}, by Fernet's own gain", own_gain, fernet_gain, 0.9, at_least=True)


def _in_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Names two by two."""
    each = iter(names)
    return list(zip(each, each, strict=True))


def work(node: Any, seconds: float) -> float:
    """Operations a second: read a token new to the node, seal the session's next state."""
    data = session_data(380)
    done = 0
    tokens = [node.encode_elsewhere(data) for _ in range(64)]
    start = perf_counter()
    while perf_counter() - start < seconds:
        for token in tokens:
            node.decode(token)
            node.own.set_session(token, data)
        done += len(tokens)
    return done / (perf_counter() - start)


def bare_work(seconds: float) -> float:
    """The same with Fernet and msgpack alone: what the machine gives."""
    from tests.benchmarks.contenders import bare_fernet

    codec, data = bare_fernet(), session_data(380)
    token = codec.encode(data)
    done = 0
    start = perf_counter()
    while perf_counter() - start < seconds:
        for _ in range(64):
            codec.decode(token)
            codec.encode(data)
        done += 64
    return done / (perf_counter() - start)


class _Worker:
    """A process that measures on command."""

    def __init__(self, kind: str, folder: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.sections.processes", kind, folder],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def result(self) -> float:
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _together(workers: list[_Worker], seconds: float) -> list[float]:
    for worker in workers:
        worker.start(seconds)
    return [worker.result() for worker in workers]


def _threads(seconds: float, rounds: int) -> Table:
    node = ours.Node("memory")
    one: list[float] = []
    two: list[float] = []
    for _ in range(rounds):
        one.append(work(node, seconds))
        two.append(sum(_in_threads(lambda: work(node, seconds))))
    node.close()
    ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
    rows = [row("one thread", one), row("two threads", two, ratio)]
    return Table(
        "two threads of one process (memory list)", "operations a second", rows, "one thread"
    )


def _in_threads(function: Callable[[], float]) -> list[float]:
    results: list[float] = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main() -> None:
    """Measure once for each line on stdin, which is a number of seconds."""
    kind = sys.argv[1]
    measure_once: Callable[[float], float] = bare_work
    if kind != "bare":
        node = ours.Node(kind, folder=Path(sys.argv[2]))

        def measure_once(seconds: float) -> float:
            return work(node, seconds)

    for line in sys.stdin:
        print(measure_once(float(line)), flush=True)


if __name__ == "__main__":
    main()
