"""History checks: processes that share sessions over a list that is disturbed, and the judge.

In the manner of Jepsen: the processes are killed at random moments (kill -9), and so is the server
where it keeps what it acknowledged. The deep form, of at least 20,000 operations for each kind of
list:

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
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
A_SECOND = 600
"""About so many operations, on two cores."""


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


def on_sqlite(directory: Path, operations: int, kills: int = 1) -> list[str]:
    """Over one file; each process is killed that often."""
    events = run_fleet(plans(str(directory / "list"), operations), kills=kills)
    return judge("SQLite", events)


def on_sql(server: SQLServer, operations: int, kills: int = 1) -> list[str]:
    """Over a database."""
    return judge(server.name, run_fleet(plans(server.url, operations), kills=kills))


def through_faults(
    server: RedisServer, operations: int, kills: int = 1, share: float = 0.01
) -> list[str]:
    """Over Redis or Valkey, by a proxy that disturbs a part of all requests.

    Args:
        server: one that keeps what it acknowledged; killed and started again as often as each
            process.
    """
    proxy = Faulty(server, share, random.SystemRandom().randrange(10**6))

    def restart() -> None:
        for _ in range(kills):
            time.sleep(random.SystemRandom().uniform(0.5, 1.5) * operations / kills / A_SECOND / 2)
            server.kill()
            server.start()

    try:
        events = run_fleet(plans(proxy.url, operations, timeout=1.0), restart, kills=kills)
    finally:
        proxy.close()
    wrong = judge(f"{server.kind or 'Redis'} behind a faulty proxy, killed {kills} times", events)
    print(f"  faults: {dict(proxy.faults)}")
    return wrong


def through_a_failover(sentinels: Sentinels, operations: int, kills: int = 1) -> list[str]:
    """Over Sentinels with min_replicas=1; the primary is killed that often, too."""

    def disturb() -> None:
        for _ in range(kills):
            time.sleep(min(8.0, operations / A_SECOND / kills))
            sentinels.fail_over()
            sentinels.mend()

    where = plans(sentinels.url, operations, timeout=1.0, min_replicas=1, seconds=240.0)
    events = run_fleet(where, disturb, kills=kills)
    return judge(f"Sentinel failover, min_replicas=1, {kills} primaries killed", events)


def main(arguments: list[str] | None = None) -> int:
    from tests.helpers.sql_servers import KINDS  # as above

    parser = argparse.ArgumentParser(description="History checks of the revocation lists.")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=5, help="of each process and server")
    read = parser.parse_args(arguments)
    operations, kills = read.operations, read.kills
    servers: list[RedisServer] = []
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)

        def make(*options: str, kind: str | None = None) -> RedisServer:
            place = directory / f"redis{len(servers)}"
            place.mkdir()
            servers.append(RedisServer(place, *options, kind=kind))
            servers[-1].start()
            return servers[-1]

        kinds: list[Callable[[], list[str]]] = [
            lambda: on_sqlite(directory, operations, kills),
            lambda: through_faults(make(*DURABLE), operations, kills),
            lambda: through_faults(make(*DURABLE, kind="valkey"), operations, kills),
        ]
        try:
            for kind in kinds:
                wrong += kind()
            for made in KINDS.values():
                database = made()
                try:
                    database.start()
                    wrong += on_sql(database, operations, kills)
                finally:
                    database.remove()
            sentinels = Sentinels(make, directory, replicas=2)
            try:
                wrong += through_a_failover(sentinels, operations, kills)
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
