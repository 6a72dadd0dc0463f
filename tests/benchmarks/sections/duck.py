"""Duck in process: what a session adds to a request, against Duck's engine with file storage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import ours, web
from tests.benchmarks.measure import Contender, Options, added, measure, table
from tests.benchmarks.peers import label, missing
from tests.benchmarks.report import Section
from tests.benchmarks.web import Answer

NAME = "duck"
CASES = ("untouched", "read", "written")
REPOSITORY = Path(__file__).parents[3]


class DuckApplication:
    """One Duck process, asked over its stdin. What is timed is timed inside it."""

    def __init__(self, name: str, session: str) -> None:
        self.name = name
        self.has_session = session != "none"
        self.keeps_data_on_server = session == "file"
        self._folder = Path(tempfile.mkdtemp(prefix="benchmark-duck-"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.duck_project", session],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "stderr").open("w"),
            text=True,
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self.name} ended: {(self._folder / 'stderr').read_text()[-2_000:]}"
            )
        return dict(json.loads(line))

    def _send(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def ask(self, path: str, cookie: str) -> Answer:
        """Serve one request and keep the answer."""
        found = self._send({"ask": path, "cookie": cookie})
        return Answer(found["body"], found["cookies"])

    def timed(self, path: str, cookie: str, count: int) -> float:
        """Nanoseconds a request, as measured in the process itself."""
        return float(self._send({"path": path, "cookie": cookie, "count": count})["nanoseconds"])

    def close(self) -> None:
        """End the process and remove its folder."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def applications(section: Section) -> Iterator[list[DuckApplication]]:
    """Duck bare, with its own engine, and with this library over both lists."""
    wanted = [
        (label("duckframework", "bare"), "none"),
        (label("duckframework", "own engine, files"), "file"),
    ]
    if ours.available():
        wanted += [(ours.label(f"in Duck ({kind} list)"), kind) for kind in ("memory", "sqlite")]
    else:
        ours.node(section)
    with contextlib.ExitStack() as stack:
        found = []
        for name, session in wanted:
            found.append(DuckApplication(name, session))
            stack.callback(found[-1].close)
        yield found


def run(options: Options) -> Section:
    """Three cases, each minus bare Duck."""
    section = Section(NAME)
    if missing(section, "duckframework"):
        return section
    with applications(section) as found:
        for application in found:
            web.prove(application)
        cookies = {
            entry.name: web.cookie_header(entry) if entry.has_session else "" for entry in found
        }
        bare, own = found[0].name, found[1].name
        for case in CASES:
            entries = [_contender(entry, case, cookies[entry.name]) for entry in found]
            samples = measure(entries, options)
            extra = {entry.name: bare for entry in found[1:]}
            section.tables.append(added(f"added to a request: {case}", samples, extra, own))
            if case == "untouched":
                whole = table("whole request: untouched", samples, bare)
                section.tables.append(whole)
        _judge(section, bare, own)
    return section


def _contender(application: DuckApplication, case: str, cookie: str) -> Contender:
    path = web.PATHS[case] if application.has_session else web.PATHS["untouched"]
    return Contender(
        application.name, lambda count: application.timed(path, cookie, count), limit=40
    )


def _judge(section: Section, bare: str, own: str) -> None:
    untouched, whole, read, written = section.tables
    for kind in ("memory", "sqlite"):
        name = ours.label(f"in Duck ({kind} list)")
        section.judge(
            f"written, {kind} / Duck's own engine",
            written.median(name),
            written.median(own),
            0.48 if kind == "sqlite" else 1.0,
        )
        section.judge(
            f"untouched, {kind}: whole request / Duck without a session",
            whole.median(name),
            whole.median(bare),
            1.0,
        )
    del untouched, read
