"""Whole servers under load: uvicorn with one Starlette-style application, and Duck's own server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

from tests.benchmarks import duck_project, ours, web
from tests.benchmarks.measure import Options, row
from tests.benchmarks.peers import label, missing
from tests.benchmarks.report import Section, Table
from tests.benchmarks.web import Answer

NAME = "macro"
REPOSITORY = Path(__file__).parents[3]
CONNECTIONS = 8
FIGURES = (("rate", "requests a second"), ("p50", "latency p50, us"), ("p99", "latency p99, us"))


class Server:
    """A server process on a free loopback port, asked by HTTP."""

    def __init__(self, name: str, kind: str, duck: bool) -> None:
        self.name = name
        self.has_session = kind != "none"
        self.keeps_data_on_server = kind == "file"
        self._folder = Path(tempfile.mkdtemp(prefix="benchmark-macro-"))
        self.port = _free_port()
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BENCHMARK_SESSION": kind}
        command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.macro_app:app"]
        command += ["--port", str(self.port), "--log-level", "warning", "--no-access-log"]
        if duck:
            duck_project.write_project(self._folder, kind, self.port)
            command = [sys.executable, "-m", "web.main"]
        self._errors = (self._folder / "stderr").open("w")
        self._process = subprocess.Popen(
            command, cwd=self._folder, env=environment, stdout=self._errors, stderr=self._errors
        )
        self._wait()

    def _wait(self) -> None:
        limit = monotonic() + 30
        while True:
            try:
                self.ask("/plain", "")
            except (OSError, http.client.HTTPException) as error:
                if monotonic() > limit or self._process.poll() is not None:
                    text = (self._folder / "stderr").read_text()[-2_000:]
                    raise RuntimeError(f"{self.name} does not answer: {text}") from error
                sleep(0.05)
            else:
                return

    def ask(self, path: str, cookie: str) -> Answer:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        return Answer(body, web.cookies_of(response.headers.get_all("set-cookie") or []))

    def load(self, path: str, cookie: str, seconds: float) -> dict[str, float]:
        """Requests a second and latencies in microseconds."""
        program = shutil.which("wrk")
        if program is not None:
            return _wrk(program, self.port, path, cookie, seconds)
        arguments = ["127.0.0.1", str(self.port), path, str(CONNECTIONS), str(seconds)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.load_client", *arguments],
            cwd=REPOSITORY,
            input=cookie,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}, {path}: {done.stderr[-1_000:]}")
        return dict(json.loads(done.stdout))

    def close(self) -> None:
        """End the process and remove its folder."""
        self._process.kill()
        self._process.wait()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def run(options: Options) -> Section:
    """Requests a second and latencies; session read and written."""
    section = Section(NAME)
    section.notes.append(
        f"{CONNECTIONS} connections, driven by "
        f"{'wrk' if shutil.which('wrk') else 'a Python client'}; "
        "the client shares the machine with the server"
    )
    lists = [(ours.label(f"({kind} list)"), kind) for kind in ("memory", "sqlite")]
    if not ours.available():
        ours.node(section)
        lists = []
    if not missing(section, "uvicorn", "starlette", "itsdangerous"):
        wanted = [(label("uvicorn", "no session"), "none")]
        wanted.append((label("starlette", "SessionMiddleware (signed)"), "starlette"))
        _group(section, "uvicorn", [*wanted, *lists], False, options)
    if not missing(section, "duckframework"):
        wanted = [(label("duckframework", "no session"), "none")]
        wanted.append((label("duckframework", "own engine, files"), "file"))
        _group(section, "Duck", [*wanted, *lists], True, options)
    return section


def _group(
    section: Section, title: str, wanted: list[tuple[str, str]], duck: bool, options: Options
) -> None:
    seconds, rounds = (0.3, 2) if options.quick else (2.0, 5)
    with _running(wanted, duck) as servers:
        for server in servers:
            web.prove(server)
        cookies = {
            server.name: web.cookie_header(server) if server.has_session else ""
            for server in servers
        }
        for case in ("read", "written"):
            found: dict[str, list[dict[str, float]]] = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    path = web.PATHS[case if server.has_session else "untouched"]
                    found[server.name].append(server.load(path, cookies[server.name], seconds))
            for figure, unit in FIGURES:
                section.tables.append(_table(f"{title}, {case}", figure, unit, found))


def _table(title: str, figure: str, unit: str, found: dict[str, list[dict[str, float]]]) -> Table:
    base = next(iter(found))
    standard = [entry[figure] for entry in found[base]]
    rows = []
    for name, entries in found.items():
        values = [entry[figure] for entry in entries]
        ratio = statistics.median(own / other for own, other in zip(values, standard, strict=True))
        rows.append(row(name, values, ratio))
    return Table(title, unit, rows, base)


@contextlib.contextmanager
def _running(wanted: list[tuple[str, str]], duck: bool) -> Iterator[list[Server]]:
    with contextlib.ExitStack() as stack:
        servers = []
        for name, kind in wanted:
            servers.append(Server(name, kind, duck))
            stack.callback(servers[-1].close)
        yield servers


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wrk(program: str, port: int, path: str, cookie: str, seconds: float) -> dict[str, float]:
    address = f"http://127.0.0.1:{port}{path}"
    duration = f"{max(1, round(seconds))}s"
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{duration}", "--latency", address]
    if cookie:
        command += ["-H", f"Cookie: {cookie}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    units = {"us": 1.0, "ms": 1e3, "s": 1e6}
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    quantiles = {
        percent: float(value) * units[unit]
        for percent, value, unit in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)", text)
    }
    if rate is None or "Non-2xx" in text:
        raise RuntimeError(f"wrk: {text}")
    return {"rate": float(rate[1]), "p50": quantiles["50"], "p99": quantiles["99"]}
