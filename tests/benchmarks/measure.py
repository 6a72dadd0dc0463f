"""Interleaved measuring: many short rounds, in each of which every contender has its turn.

Machines drift (frequency, neighbours, caches). So contenders are not measured one after the
other: every round runs one batch of each, the order turning by one from round to round, and
comparisons are made within a round.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns, thread_time_ns
from typing import Any, NamedTuple

from tests.benchmarks.report import Row, Table

Batch = Callable[[int], float]
"""Runs that many operations and gives the nanoseconds an operation took."""

BATCH_NANOSECONDS = 3_000_000
"""Length of a batch: far above the clock's resolution, short enough for many rounds."""

TRIES, UNDISTURBED = 5, 0.95
"""A batch counts if its thread had a processor for this share of its time, else it is repeated."""


@dataclass
class Options:
    """How thoroughly to measure."""

    quick: bool = False

    @property
    def rounds(self) -> int:
        """Rounds in each table."""
        return 11 if self.quick else 61

    @property
    def batch_nanoseconds(self) -> int:
        """How long one batch of one contender is meant to last."""
        return BATCH_NANOSECONDS // 3 if self.quick else BATCH_NANOSECONDS


@dataclass
class Contender:
    """A name and a way to run a batch. `limit` bounds it where its material is dear to make."""

    name: str
    batch: Batch
    limit: int = 5_000


def calling(
    function: Callable[[Any], object],
    items: Callable[[int], Sequence[Any]],
    *,
    waits: bool = False,
) -> Batch:
    """A batch that calls `function` with each of `items(n)`; making the items is not timed.

    Args:
        waits: the function waits for another process, so its time is more than its own work.
    """

    def attempt(count: int) -> Timing:
        material = items(count)
        start = Timing.now()
        for item in material:
            function(item)
        return start.since()

    return undisturbed(attempt, waits=waits)


def between(function: Callable[[], object], other: Callable[[], object]) -> Batch:
    """A batch that calls `function`, each time after `other`, which is not timed.

    In a loop of its own a function finds its code in the processor's nearest cache each time. In a
    request it does not.
    """

    def run(count: int) -> float:
        total = 0
        for _ in range(count):
            other()
            start = perf_counter_ns()
            function()
            total += perf_counter_ns() - start
        return total / count

    return run


def awaiting(
    run_until_complete: Callable[[Awaitable[Timing]], Timing],
    function: Callable[[Any], Awaitable[object]],
    items: Callable[[int], Sequence[Any]],
) -> Batch:
    """As `calling`, for a coroutine function, inside an event loop."""

    async def timed(material: Sequence[Any]) -> Timing:
        start = Timing.now()
        for item in material:
            await function(item)
        return start.since()

    return undisturbed(lambda count: run_until_complete(timed(items(count))))


class Timing(NamedTuple):
    """Nanoseconds on the wall, and nanoseconds that this thread had a processor."""

    wall: int
    worked: int

    @classmethod
    def now(cls) -> Timing:
        """What both clocks show."""
        return cls(perf_counter_ns(), thread_time_ns())

    def since(self) -> Timing:
        """How far both clocks went on."""
        return Timing(perf_counter_ns() - self.wall, thread_time_ns() - self.worked)


def undisturbed(attempt: Callable[[int], Timing], *, waits: bool = False) -> Batch:
    """A batch that is done again where the system gave the processor to others meanwhile.

    Without that a busy machine would be measured, and not the contender. After a few tries the
    shortest counts.
    """

    def run(count: int) -> float:
        shortest = 0
        for _ in range(1 if waits else TRIES):
            taken = attempt(count)
            if taken.worked >= taken.wall * UNDISTURBED:
                return taken.wall / count
            shortest = min(shortest or taken.wall, taken.wall)
        return shortest / count

    return run


def same(item: Any) -> Callable[[int], Sequence[Any]]:
    """Items for a batch: the same one over and over."""
    return lambda count: [item] * count


def measure(contenders: Sequence[Contender], options: Options) -> dict[str, list[float]]:
    """Microseconds an operation, one figure a round, by the contender's name."""
    counts = {contender.name: _count(contender, options) for contender in contenders}
    samples: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    gc.collect()
    gc.freeze()
    was_enabled = gc.isenabled()
    try:
        for number in range(options.rounds):
            turn = number % len(contenders)
            for contender in [*contenders[turn:], *contenders[:turn]]:
                gc.collect()
                gc.disable()
                nanoseconds = contender.batch(counts[contender.name])
                gc.enable()
                samples[contender.name].append(nanoseconds / 1_000)
    finally:
        gc.unfreeze()
        if not was_enabled:
            gc.disable()
    return samples


def _count(contender: Contender, options: Options) -> int:
    """How many operations make a batch of the wanted length. This also warms the contender up."""
    contender.batch(min(3, contender.limit))
    each = contender.batch(min(20, contender.limit))
    return max(1, min(contender.limit, int(options.batch_nanoseconds / max(each, 1))))


def table(
    title: str, samples: dict[str, list[float]], base: str, *, names: Sequence[str] | None = None
) -> Table:
    """Medians, quartiles and ratios to `base`: the median of the ratios of single rounds."""
    rows = []
    for name in names or samples:
        ratios = [own / other for own, other in zip(samples[name], samples[base], strict=True)]
        rows.append(row(name, samples[name], statistics.median(ratios)))
    return Table(title, "us", rows, base)


def added(title: str, samples: dict[str, list[float]], bare: dict[str, str], base: str) -> Table:
    """What each adds to its bare application (`bare`: names), round by round."""
    extra = {
        name: [own - other for own, other in zip(samples[name], samples[under], strict=True)]
        for name, under in bare.items()
    }
    rows = [row(name, extra[name]) for name in bare]
    result = Table(title, "us", rows, base)
    standard = result.median(base)
    if standard is not None and standard > 0:
        for entry in rows:
            entry.ratio = entry.median / standard
    return result


def row(name: str, values: Sequence[float], ratio: float | None = None) -> Row:
    """One row of several figures: median, lower and upper quartile."""
    low, middle, high = (
        statistics.quantiles(values, n=4, method="inclusive")
        if len(values) > 1
        else [values[0]] * 3
    )
    return Row(name, middle, low, high, ratio)
