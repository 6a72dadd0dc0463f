"""Numbers that many threads add to."""

from __future__ import annotations

import threading

from duck_cookie_session._counting import BOUNDS, Histogram


def test_a_histogram_counts_each_with_those_above_it() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.0005, 0.0006, 0.25, 2.6):
        histogram.add(seconds)
    found = histogram.as_dict()
    assert found.pop("sum") == 0.0 + 0.0005 + 0.0006 + 0.25 + 2.6
    assert [*found] == [*map(repr, BOUNDS), "+Inf"]
    assert (found["0.0005"], found["0.001"], found["0.1"], found["0.25"]) == (2, 3, 3, 4)
    assert (found["2.5"], found["+Inf"]) == (4, 5)


def test_many_threads_lose_none() -> None:
    histogram = Histogram()

    def work() -> None:
        for number in range(2_000):
            histogram.add(number / 1_000)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = histogram.as_dict()
    assert (found["1.0"], found["+Inf"]) == (4 * 1_001, 8_000)
