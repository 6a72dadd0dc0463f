"""Threads and processes: whether anything is shared that should not be."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from tests.benchmarks import ours
from tests.benchmarks.contenders import bare_fernet
from tests.benchmarks.data import session_data
from tests.benchmarks.measure import Options, row
from tests.benchmarks.report import Section, Table

try:
    import resource
except ImportError:  # Windows counts no switches
    resource = None  # type: ignore[assignment]  # the way to say that a module is not there

NAME = "processes"
REPOSITORY = Path(__file__).parents[3]
BARE = "Fernet and msgpack alone"


class Outcome(NamedTuple):
    """One stretch of work: operations by the wall's clock and by the processor's, and waits."""

    by_wall: float
    by_processor: float
    waits: float

    @classmethod
    def together(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """What several workers did at the same time."""
        walls, processors, waits = zip(*outcomes, strict=True)
        return cls(sum(walls), sum(processors), statistics.mean(waits))


def run(options: Options) -> Section:
    """Read-and-write throughput of two processes against one, and of two threads against one."""
    section = Section(NAME)
    probe = ours.node(section)
    if probe is None:
        return section
    probe.close()
    seconds, rounds = (0.15, 3) if options.quick else (0.7, 7)
    for kind in ("memory", "sqlite"):
        _processes(section, kind, seconds, rounds)
    section.tables.append(_threads(seconds, rounds))
    section.notes.append(
        f"{os.cpu_count()} CPUs here. By the wall's clock a second process adds what other "
        "programs leave it; by its own processor time only what the two cost each other counts"
    )
    return section


def _processes(section: Section, kind: str, seconds: float, rounds: int) -> None:
    """Two processes on one list against one, and Fernet alone in the same rounds."""
    folder = tempfile.mkdtemp(prefix="benchmark-")
    groups = {name: [_Worker(name, folder) for _ in range(2)] for name in (kind, BARE)}
    found: dict[tuple[str, int], list[Outcome]] = {}
    try:
        for _ in range(rounds):
            for name, workers in groups.items():
                for count in (1, 2):
                    outcome = Outcome.together(_at_once(workers[:count], seconds))
                    found.setdefault((name, count), []).append(outcome)
    finally:
        for workers in groups.values():
            for worker in workers:
                worker.close()
        shutil.rmtree(folder, ignore_errors=True)
    title = f"{kind} list: a token opened, its next state sealed"
    for field, unit in (("by_wall", "operations a second"), ("by_processor", "a processor second")):
        result = Table(f"{title}, {field.replace('_', ' ')}", unit, [], "1 process")
        for name in groups:
            one, two = ([getattr(each, field) for each in found[name, count]] for count in (1, 2))
            gain = statistics.median(b / a for a, b in zip(one, two, strict=True))
            words = "" if name == kind else f"{name}, "
            result.rows += [row(f"{words}1 process", one), row(f"{words}2 processes", two, gain)]
        section.tables.append(result)
        words = f"{kind}: two processes / one, {field.replace('_', ' ')}"
        section.judge(words, result.rows[1].ratio, 1.0, 1.8, at_least=True)
    rows = [
        row(f"{count} process{'es' * (count - 1)}", [each.waits for each in found[kind, count]])
        for count in (1, 2)
    ]
    section.tables.append(Table(f"{kind} list: waits for anything", "in 1,000 operations", rows))


def work(node: Any, seconds: float) -> Outcome:
    """Open a token, seal the session's next state, over and over; no token is kept in memory."""
    data = session_data(380)
    tokens = [node.encode_elsewhere(data) for _ in range(64)]

    def once() -> int:
        for token in tokens:
            node.decode(token)
            node.own.set_session(token, data)
        return len(tokens)

    return _for_a_while(once, seconds)


def bare_work(seconds: float) -> Outcome:
    """The same with Fernet and msgpack alone: what the machine gives."""
    codec, data = bare_fernet(), session_data(380)
    token = codec.encode(data)

    def once() -> int:
        for _ in range(64):
            codec.decode(token)
            codec.encode(data)
        return 64

    return _for_a_while(once, seconds)


def _for_a_while(once: Callable[[], int], seconds: float) -> Outcome:
    done = 0
    waited, start, worked = _waits(), perf_counter(), process_time()
    while perf_counter() - start < seconds:
        done += once()
    return Outcome(
        done / (perf_counter() - start),
        done / (process_time() - worked),
        (_waits() - waited) / done * 1_000,
    )


def _waits() -> int:
    """How often this process gave up the processor of its own accord, to wait for something."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


class _Worker:
    """A process that measures on command."""

    def __init__(self, kind: str, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.sections.processes", kind, folder],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, seconds: float) -> None:
        """Begin a stretch of that length."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def result(self) -> Outcome:
        """What came of it."""
        assert self._process.stdout is not None
        return Outcome(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _at_once(workers: Sequence[_Worker], seconds: float) -> list[Outcome]:
    for worker in workers:
        worker.start(seconds)
    return [worker.result() for worker in workers]


def _threads(seconds: float, rounds: int) -> Table:
    node = ours.Node("memory", token_cache_size=0)
    one: list[float] = []
    two: list[float] = []
    for _ in range(rounds):
        one.append(work(node, seconds).by_wall)
        two.append(sum(outcome.by_wall for outcome in _in_threads(lambda: work(node, seconds))))
    node.close()
    ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
    rows = [row("one thread", one), row("two threads", two, ratio)]
    title = "two threads of one process, memory list"
    return Table(title, "operations a second", rows, "one thread")


def _in_threads(function: Callable[[], Outcome]) -> list[Outcome]:
    results: list[Outcome] = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main(kind: str, folder: str) -> None:
    """Measure once for each line on stdin, which is a number of seconds."""
    node = None if kind == BARE else ours.Node(kind, folder=Path(folder), token_cache_size=0)
    for line in sys.stdin:
        seconds = float(line)
        outcome = bare_work(seconds) if node is None else work(node, seconds)
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
