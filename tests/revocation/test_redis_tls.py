"""A list behind TLS: with a certificate that is trusted, and with one that is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from duck_cookie_session.errors import RevocationListUnavailable
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_server import RedisServer
from tests.helpers.tls import Certificate, Terminator

SETTINGS = make_settings()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path / "list.pem")


@pytest.fixture
def behind(redis_server: RedisServer, certificate: Certificate) -> Iterator[Terminator]:
    terminator = Terminator(redis_server.port, certificate)
    yield terminator
    terminator.close()


def bound(port: int, options: str) -> RedisRevocationList:
    made = RedisRevocationList(f"rediss://127.0.0.1:{port}/0{options}", timeout=2)
    made.bind(SETTINGS)
    return made


def test_a_certificate_that_is_trusted(behind: Terminator, certificate: Certificate) -> None:
    one = bound(behind.port, f"?ssl_ca_certs={certificate.path}")
    scope = Scopes(SETTINGS).session(os.urandom(16))

    async def work() -> None:
        assert (await one.alookup((scope,))).epochs == (0,)
        await one.aend(scope)
        await one.aclose()

    asyncio.run(work())
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)
    assert behind.served > 0
    one.close()


@pytest.mark.parametrize("options", ["", "?ssl_ca_certs={other}"])
def test_one_that_is_not_is_an_outage(behind: Terminator, tmp_path: Path, options: str) -> None:
    other = Certificate(tmp_path / "other.pem")
    no_list(behind, options.format(other=other.path))


def test_one_of_another_host_is_an_outage(redis_server: RedisServer, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path / "list.pem", "127.0.0.2")
    terminator = Terminator(redis_server.port, certificate)
    no_list(terminator, f"?ssl_ca_certs={certificate.path}")
    terminator.close()


def no_list(behind: Terminator, options: str) -> None:
    """Neither asked nor told anything: whoever stands there is not the list."""
    one = bound(behind.port, options)
    scope = Scopes(SETTINGS).session(os.urandom(16))
    with pytest.raises(RevocationListUnavailable):
        one.lookup((scope,))
    with pytest.raises(RevocationListUnavailable):
        one.end(scope)

    async def work() -> None:
        with pytest.raises(RevocationListUnavailable):
            await one.alookup((scope,))
        await one.aclose()

    asyncio.run(work())
    assert behind.served == 0
    one.close()
