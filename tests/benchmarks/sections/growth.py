"""What grows: cost with many revocations and many secrets, memory after many sessions."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import ours
from tests.benchmarks.data import session_data
from tests.benchmarks.measure import Contender, Options, awaiting, calling, measure, table
from tests.benchmarks.report import Row, Section, Table
from tests.benchmarks.sections import lists

NAME = "growth"
REPOSITORY = Path(__file__).parents[3]
SECRETS = (1, 2, 5, 20)


def run(options: Options) -> Section:
    """A request by the number of live revocations and of secrets; resident memory."""
    section = Section(NAME)
    probe = ours.node(section)
    if probe is None:
        return section
    _secrets(section, options)
    _revocations(section, options)
    _resident(section, options)
    return section


def _secrets(section: Section, options: Options) -> None:
    """Read a token new to the node, sealed under the oldest of so many secrets."""
    secrets = [f"secret number {number:02}, long enough 0123456789" for number in range(20)]
    data = session_data(380)
    entries = []
    for count in SECRETS:
        reader = ours.Node("memory", secret_keys=tuple(secrets[:count]))
        writer = ours.Node("memory", secret_keys=(secrets[count - 1],))
        fresh = ours.Fresh(_writes(writer, data))
        entries.append(Contender(_secrets_name(count), calling(reader.decode, fresh.take), 200))
    result = table("read of a new token, by secrets", measure(entries, options), _secrets_name(1))
    section.tables.append(result)


def _secrets_name(count: int) -> str:
    return f"{count} secret{'s' if count > 1 else ''}, sealed under the oldest"


def _writes(node: Any, data: dict[str, Any]) -> Callable[[int], str]:
    def write(number: int) -> str:
        return str(node.encode_elsewhere({**data, "user_id": 10_000 + number % 50_000}))

    return write


def _revocations(section: Section, options: Options) -> None:
    """A whole request through the ASGI middleware, its cookie new, by the list's live entries."""
    sizes = (1_000, 10_000) if options.quick else (1_000, 100_000, 1_000_000)
    loop = asyncio.new_event_loop()
    folders: list[str] = []
    entries = []
    try:
        for kind in ("memory", "sqlite"):
            for size in sizes:
                folder = tempfile.mkdtemp(prefix="benchmark-")
                folders.append(folder)
                node = _filled(kind, size, Path(folder))
                app = ours.asgi_middleware(_application, node.own)
                fresh = ours.Fresh(_scopes(_writes(node, session_data(380))))
                entries.append(
                    Contender(
                        f"{kind}, {size:,} live revocations",
                        awaiting(loop.run_until_complete, _serving(app), fresh.take),
                        200,
                    )
                )
        samples = measure(entries, options)
    finally:
        loop.close()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    title = "a request that reads a cookie new to the node, by live revocations"
    result = table(title, samples, entries[0].name)
    section.tables.append(result)
    for kind in ("memory", "sqlite"):
        few, many = (f"{kind}, {size:,} live revocations" for size in (sizes[0], sizes[-1]))
        section.judge(
            f"{kind}: request with {sizes[-1]:,} revocations / {sizes[0]:,}",
            result.median(many),
            result.median(few),
            2.0 if kind == "sqlite" else 1.3,
        )


def _filled(kind: str, size: int, folder: Path) -> ours.Node:
    if kind == "sqlite":
        ours.Node("sqlite", folder=folder).make_list()
        lists.fill_sqlite(folder, size)
        return ours.Node("sqlite", folder=folder)
    node = ours.Node("separate memory")
    for number in range(size):
        node.list.raise_epoch(lists.scopes_of(number)[1])
    return node


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """The smallest application that reads its session."""
    if scope["session"].get("user_id") is None:
        raise AssertionError("no session")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _serving(app: Any) -> Callable[[Any], Any]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        del message

    return lambda scope: app(scope, receive, send)


def _scopes(write: Callable[[int], str]) -> Callable[[int], dict[str, Any]]:
    def scope(number: int) -> dict[str, Any]:
        cookie = f"{ours.COOKIE_NAME}={write(number)}".encode()
        return {
            "type": "http",
            "method": "GET",
            "scheme": "https",
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"example.org"), (b"cookie", cookie)],
        }

    return scope


def _resident(section: Section, options: Options) -> None:
    """Resident memory of a process through which many distinct sessions pass."""
    if not lists.resident_bytes():
        section.leave_out("resident memory (no /proc here)")
        return
    total = 20_000 if options.quick else 1_000_000
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.sections.growth", str(total)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-1_000:])
    rows = [
        Row(f"after {passed:,} sessions", *[resident / 2**20] * 3)
        for passed, resident in json.loads(done.stdout)
    ]
    section.tables.append(Table("resident memory of the process", "MiB", rows))
    half = next(row for row in rows if row.name == f"after {total // 2:,} sessions")
    section.judge(
        f"resident memory after {total:,} sessions / after half of them",
        rows[-1].median,
        half.median,
        1.05,
    )


def pass_through(total: int) -> list[tuple[int, int]]:
    """Let sessions be made on one node and read on the other; resident bytes at ten stages."""
    node = ours.Node("sqlite")
    write = _writes(node, session_data(380))
    stages: list[tuple[int, int]] = []
    for number in range(1, total + 1):
        if node.decode(write(number)) is None:
            raise AssertionError("a session was refused")
        if number % (total // 10) == 0:
            stages.append((number, lists.resident_bytes()))
    node.close()
    return stages


def main(arguments: Sequence[str]) -> None:
    """Print the stages as JSON."""
    print(json.dumps(pass_through(int(arguments[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
