"""Fuzz one target after the other with atheris (libFuzzer): python -m tests.fuzz --seconds 30.

Each runs in a process of its own, with the library instrumented for coverage, from the corpus in
`corpus/<target>`, on inputs of up to 1 MB. An exception, an input that takes longer than
`TIMEOUT` seconds or a process that grows beyond `MEMORY` megabytes ends the run with exit code 1;
the input is left in the folder that is named then. It needs `pip install atheris` (wheels for
Linux on x86-64).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("token", "cookie", "payload", "settings", "device", "binding")
TIMEOUT = 10
MEMORY = 512


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: 30)")
    parser.add_argument("--target", choices=NAMES, action="append", help="only this one")
    parser.add_argument("--keep", type=Path, help="folder that keeps what was found worth keeping")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    chosen, rest = parser.parse_known_args()
    if chosen.one:
        return _fuzz(chosen.one, rest)
    return max([_run(name, chosen.seconds, chosen.keep) for name in chosen.target or NAMES])


def _fuzz(name: str, arguments: list[str]) -> int:
    import atheris  # only here: the corpus can be run without it

    with atheris.instrument_imports(include=["duck_cookie_session"]):
        from .targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()  # ends the process
    return 0


def _run(name: str, seconds: int, keep: Path | None) -> int:
    found = (keep or Path(tempfile.mkdtemp(prefix="fuzz-"))) / name
    found.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", "--one", name]
    command += [f"-max_total_time={seconds}", "-max_len=1048576", f"-timeout={TIMEOUT}"]
    command += [f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={found}/", "-print_final_stats=1"]
    command += [str(found), str(HERE / "corpus" / name)]
    started = time.monotonic()
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True)
    report = done.stdout + done.stderr
    took = time.monotonic() - started
    runs, slowest, memory = (
        (re.findall(rf"stat::{stat}:\s+(\d+)", report) or ["?"])[-1]
        for stat in ("number_of_executed_units", "slowest_unit_time_sec", "peak_rss_mb")
    )
    covered = (re.findall(r"cov: (\d+)", report) or ["?"])[-1]
    print(
        f"{name}: {'passed' if done.returncode == 0 else 'FAILED'}, {runs} inputs in {took:.0f} s, "
        f"{covered} edges, slowest input {slowest} s, peak memory {memory} MB",
        flush=True,
    )
    if done.returncode:
        told = [line for line in report.splitlines() if not line.startswith(("#", "\t"))]
        print(*told[-60:], f"Input and corpus: {found}", sep="\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
