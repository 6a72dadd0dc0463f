"""`python -m tests.benchmarks`: run the sections, print one table each, write JSON and a chart."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

from tests.benchmarks import chart, ours, table
from tests.benchmarks.measure import Options
from tests.benchmarks.peers import installed
from tests.benchmarks.report import Section

SECTIONS = (
    "codec",
    "constructor",
    "engine",
    "request",
    "device",
    "frameworks",
    "duck",
    "lists",
    "sql",
    "processes",
    "growth",
    "macro",
)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for. Exit code 0 unless a contender fails its proof: an exception."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="section",
        help=f"any of: {', '.join(SECTIONS)} (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few rounds and small lists; all sections within a minute",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--svg", type=Path, metavar="FILE", help="write the chart that docs/benchmarks.md shows"
    )
    given = parser.parse_args(arguments)
    unknown = set(given.sections) - set(SECTIONS)
    if unknown:
        parser.error(
            f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}"
        )
    options = Options(quick=given.quick)
    about = _about(options)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    results: list[Section] = []
    for name in given.sections or SECTIONS:
        start = perf_counter()
        results.append(import_module(f"tests.benchmarks.sections.{name}").run(options))
        print(f"\n{table.render(results[-1])}\n  ({perf_counter() - start:.1f} s)", flush=True)
    print(f"\n{table.summary(results)}")
    if given.json:
        content = {"about": about, "sections": [section.to_json() for section in results]}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if given.svg:
        given.svg.write_text(chart.draw(results, about), encoding="utf-8")
    return 0


def _about(options: Options) -> dict[str, str]:
    """What was measured, and on what."""
    return {
        "duck-cookie-session": installed(ours.DISTRIBUTION) or "not installed",
        "Python": platform.python_version(),
        "cryptography": installed("cryptography") or "not installed",
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "rounds": f"{options.rounds}{' (quick)' if options.quick else ''}",
    }


if __name__ == "__main__":
    sys.exit(main())
