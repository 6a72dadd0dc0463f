"""History checks: processes that share sessions over a list that is disturbed, and the judge.

The deep form, of at least 20,000 operations for each kind of list:

    python -m tests.revocation.histories --operations 20000
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.helpers.redis_fleet import Sentinels
from tests.helpers.redis_proxy import Faulty
from tests.helpers.redis_server import RedisServer
from tests.revocation.fleet import Event, Judge, Plan, run_fleet, summary

if TYPE_CHECKING:
    from tests.helpers.sql_servers import SQLServer  # needs SQLAlchemy

PROCESSES = 4


def plans(where: str, operations: int, **more: object) -> list[Plan]:
    seed = random.SystemRandom().randrange(10**6)
    each = -(-operations // PROCESSES)
    return [
        Plan(where, number, seed, operations=each, **more)  # type: ignore[arg-type]
        for number in range(PROCESSES)
    ]


def judge(name: str, events: Sequence[Event]) -> list[str]:
    """What is wrong with a history; prints what happened in it."""
    wrong = Judge(events, dict.fromkeys(range(PROCESSES), 0.0)).violations()
    count = {word: sum(one.startswith(word) for one in wrong) for word in WRONG}
    told = ", ".join(f"{word} {number}" for word, number in count.items())
    print(f"{name}: {summary(events)}\n  {told}", flush=True)
    return wrong


WRONG = ("accepted though revoked", "refused though never revoked", "two winners")


def on_sqlite(directory: Path, operations: int) -> list[str]:
    return judge("SQLite", run_fleet(plans(str(directory / "list"), operations)))


def on_sql(server: SQLServer, operations: int) -> list[str]:
    return judge(server.name, run_fleet(plans(server.url, operations)))


def through_faults(server: RedisServer, operations: int, share: float = 0.01) -> list[str]:
    """Over Redis or Valkey, by a proxy that disturbs a part of all requests."""
    proxy = Faulty(server, share, random.SystemRandom().randrange(10**6))
    try:
        events = run_fleet(plans(proxy.url, operations, timeout=1.0))
    finally:
        proxy.close()
    wrong = judge("a server behind a faulty proxy", events)
    print(f"  faults: {dict(proxy.faults)}")
    return wrong


def through_a_failover(sentinels: Sentinels, operations: int) -> list[str]:
    """Over Sentinels with min_replicas=1; the primary is killed in between."""

    def disturb() -> None:
        time.sleep(min(8.0, operations / 600))
        sentinels.fail_over()

    events = run_fleet(
        plans(sentinels.url, operations, timeout=1.0, min_replicas=1, seconds=240.0), disturb
    )
    return judge("Sentinel failover, min_replicas=1", events)


def main(arguments: list[str] | None = None) -> int:
    from tests.helpers.sql_servers import KINDS  # as above

    parser = argparse.ArgumentParser(description="History checks of the revocation lists.")
    parser.add_argument("--operations", type=int, default=20_000)
    operations = parser.parse_args(arguments).operations
    servers: list[RedisServer] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)

        def make(*options: str) -> RedisServer:
            place = directory / f"redis{len(servers)}"
            place.mkdir()
            servers.append(RedisServer(place, *options))
            servers[-1].start()
            return servers[-1]

        kinds: list[Callable[[], list[str]]] = [
            lambda: on_sqlite(directory, operations),
            lambda: through_faults(make(), operations),
        ]
        try:
            for kind in kinds:
                wrong += kind()
            for made in KINDS.values():
                database = made()
                try:
                    database.start()
                    wrong += on_sql(database, operations)
                finally:
                    database.remove()
            sentinels = Sentinels(make, directory, replicas=2)
            try:
                wrong += through_a_failover(sentinels, operations)
            finally:
                sentinels.close()
        finally:
            for server in servers:
                server.kill()
    for one in wrong[:10]:
        print(one)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
