"""The quick form of the history checks, processes and servers killed among them.

`histories` says how to run the deep one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.redis_fleet import Sentinels
from tests.helpers.redis_server import RedisServer
from tests.revocation.histories import (
    DURABLE,
    on_sql,
    on_sqlite,
    through_a_failover,
    through_faults,
)

if TYPE_CHECKING:
    from tests.helpers.sql_servers import SQLServer  # needs SQLAlchemy

pytestmark = pytest.mark.slow


def test_on_sqlite(tmp_path: Path) -> None:
    assert on_sqlite(tmp_path, 1_000) == []


def test_on_a_database(one_sql: SQLServer) -> None:
    assert on_sql(one_sql, 600) == []


def test_on_a_server_behind_a_faulty_proxy(make_redis_server: Callable[..., RedisServer]) -> None:
    assert through_faults(make_redis_server(*DURABLE), 2_000) == []


def test_through_a_failover(make_redis_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    sentinels = Sentinels(make_redis_server, tmp_path, replicas=2)
    try:
        assert through_a_failover(sentinels, 2_000) == []
    finally:
        sentinels.close()
