"""Our lists pass the contract that is published for others, each on what it runs on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from duck_cookie_session.revocation.base import RevocationList
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.revocation.sqlite import FILE_NAME, SQLiteRevocationList
from duck_cookie_session.testing.contract import RevocationListContract
from tests.helpers.fake_clock import FileClock

if TYPE_CHECKING:  # what needs redis-py and SQLAlchemy
    from tests.helpers.redis_server import RedisServer
    from tests.helpers.sql_servers import SQLServer

Opener = Callable[[], RevocationList]


class TestMemory(RevocationListContract):
    persistent = False

    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.clock = FileClock(tmp_path / "clock")
        self.made = MemoryRevocationList(self.clock)

    def opener(self) -> Opener:
        return lambda: self.made

    def move_clock(self, seconds: float) -> None:
        self.clock.move(seconds)


@pytest.mark.slow
class TestSQLite(RevocationListContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.clock = FileClock(tmp_path / "clock")
        self.directory = tmp_path / "sessions"

    def opener(self) -> Opener:
        return functools.partial(
            SQLiteRevocationList, self.directory, clock=self.clock, busy_timeout=30
        )

    def move_clock(self, seconds: float) -> None:
        self.clock.move(seconds)

    def cut_off(self) -> None:
        file = self.directory / FILE_NAME
        file.unlink()
        file.mkdir()


@pytest.mark.slow
class TestRedis(RevocationListContract):
    """Without its clock, which libfaketime can't move: test_redis_history.py looks after that."""

    @pytest.fixture(autouse=True)
    def _prepare(self, make_redis_server: Callable[..., RedisServer]) -> None:
        self.server = make_redis_server()

    def opener(self) -> Opener:
        from duck_cookie_session.revocation.redis import RedisRevocationList

        return functools.partial(RedisRevocationList, self.server.url, timeout=10)

    def cut_off(self) -> None:
        self.server.kill()


class OnSQL(RevocationListContract):
    """A list in the database of a server that all tests share."""

    server: SQLServer

    @pytest.fixture(autouse=True)
    def _whole(self, _prepare: None) -> Iterator[None]:
        yield
        self.clock.move(-self.clock.moved())
        if self.server.process is None:
            self.server.start()

    @property
    def clock(self) -> FileClock:
        assert self.server.clock is not None
        return self.server.clock

    def opener(self) -> Opener:
        from duck_cookie_session.revocation.sql import SQLRevocationList

        return functools.partial(SQLRevocationList, self.server.url, timeout=10)

    def move_clock(self, seconds: float) -> None:
        self.clock.move(seconds)

    def cut_off(self) -> None:
        self.server.kill()


@pytest.mark.slow
class TestPostgreSQL(OnSQL):
    @pytest.fixture(autouse=True)
    def _prepare(self, one_postgresql: SQLServer) -> None:
        self.server = one_postgresql


@pytest.mark.slow
class TestMariaDB(OnSQL):
    @pytest.fixture(autouse=True)
    def _prepare(self, one_mariadb: SQLServer) -> None:
        self.server = one_mariadb
