"""How many instructions a session takes, over those of its floor: the same on a busy machine.

`python -m tests.benchmarks.instructions` prints a table for the cases of the section `engine`; it
needs `valgrind` on the PATH and takes some minutes. What the kernel does is not counted.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable

import msgpack

from tests.benchmarks import contenders, ours
from tests.benchmarks.data import session_data
from tests.benchmarks.sections.engine import READ_FLOOR, WRITE_FLOOR, _reading, _writing

WRITTEN, READ = "written, {}", "read, token seen before, {}"
CASES = (
    WRITE_FLOOR,
    *(WRITTEN.format(kind) for kind in ("memory", "sqlite")),
    READ_FLOOR,
    *(READ.format(kind) for kind in ("memory", "sqlite")),
)
_WARM_UP, _TIMES = 50, 500
_VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


def _work(case: str) -> Callable[[], object]:
    data, codec = session_data(380), contenders.bare_fernet()
    packed, bare = msgpack.packb(data), codec.encode(data)
    if case == WRITE_FLOOR:
        return lambda: codec.encode(msgpack.unpackb(packed))
    if case == READ_FLOOR:
        return lambda: codec.decode(bare)
    node = ours.Node(case.rpartition(" ")[2])
    token = node.encode_new(data)
    act = _writing(node) if case.startswith("written") else _reading(node)
    return lambda: act(token)


def _repeat(case: str, times: int) -> None:
    work = _work(case)
    gc.disable()
    for _ in range(_WARM_UP + times):
        work()


def _instructions(case: str, times: int) -> int:
    own = [sys.executable, "-m", "tests.benchmarks.instructions", case, str(times)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*_VALGRIND, *own], env=environment, capture_output=True, text=True, check=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found is not None
    return int(found[1])


def _main() -> None:
    print("| case | instructions | over its floor |\n|---|---|---|")
    floor = 0
    for case in CASES:
        each = (_instructions(case, _TIMES) - _instructions(case, 0)) // _TIMES
        floor = each if case in (WRITE_FLOOR, READ_FLOOR) else floor
        print(f"| {case} | {each:,} | {each / floor:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        _repeat(sys.argv[1], int(sys.argv[2]))
    else:
        _main()
