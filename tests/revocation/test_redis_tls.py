"""A list behind TLS: with a certificate that is trusted, and with one that is not.

One server behind a terminator; Sentinels and a Cluster of processes that speak nothing but TLS,
among themselves as well.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from duck_cookie_session.errors import RevocationListUnavailable
from duck_cookie_session.revocation.base import LAST_EPOCH, Scopes
from duck_cookie_session.revocation.redis import RedisRevocationList
from tests.helpers import make_settings
from tests.helpers.redis_fleet import Cluster, Sentinels, wait_until
from tests.helpers.redis_server import RedisServer, tls_binary
from tests.helpers.tls import Certificate, Terminator

SETTINGS = make_settings()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path / "list.pem")


@pytest.fixture
def behind(redis_server: RedisServer, certificate: Certificate) -> Iterator[Terminator]:
    terminator = Terminator(redis_server.port, certificate.path)
    yield terminator
    terminator.close()


def bound(port: int, options: str) -> RedisRevocationList:
    return bound_to(f"rediss://127.0.0.1:{port}/0{options}")


def bound_to(url: str) -> RedisRevocationList:
    made = RedisRevocationList(url, timeout=2)
    made.bind(SETTINGS)
    return made


def test_a_certificate_that_is_trusted(behind: Terminator, certificate: Certificate) -> None:
    one = bound(behind.port, f"?ssl_ca_certs={certificate.path}")
    use(one)
    assert behind.served > 0
    one.close()


@pytest.mark.parametrize("options", ["", "?ssl_ca_certs={other}"])
def test_one_that_is_not_is_an_outage(behind: Terminator, tmp_path: Path, options: str) -> None:
    other = Certificate(tmp_path / "other.pem")
    no_list(behind, options.format(other=other.path))


def test_one_of_another_host_is_an_outage(redis_server: RedisServer, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path / "list.pem", "127.0.0.2")
    terminator = Terminator(redis_server.port, certificate.path)
    no_list(terminator, f"?ssl_ca_certs={certificate.path}")
    terminator.close()


def no_list(behind: Terminator, options: str) -> None:
    """Neither asked nor told anything: whoever stands there is not the list."""
    outage(bound(behind.port, options))
    assert behind.served == 0


def outage(one: RedisRevocationList) -> None:
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
    one.close()


Make = Callable[..., RedisServer]


@pytest.fixture
def make_tls(make_redis_server: Make, certificate: Certificate) -> Make:
    binary = tls_binary()
    if binary is None:
        pytest.skip("no redis-server that was built with TLS: apt-get install redis-server")
    return functools.partial(make_redis_server, kind=binary, certificate=certificate.path)


@pytest.fixture
def sentinels(make_tls: Make, tmp_path: Path) -> Iterator[Sentinels]:
    made = Sentinels(make_tls, tmp_path)
    yield made
    made.close()


def use(one: RedisRevocationList) -> bytes:
    """A plain call and an awaited one; the session that was ended."""
    scope = Scopes(SETTINGS).session(os.urandom(16))

    async def work() -> None:
        assert (await one.alookup((scope,))).epochs == (0,)
        await one.aend(scope)
        await one.aclose()

    asyncio.run(work())
    assert one.lookup((scope,)).epochs == (LAST_EPOCH,)
    return scope


@pytest.mark.slow
def test_through_sentinels_and_a_failover(
    sentinels: Sentinels, certificate: Certificate, tmp_path: Path
) -> None:
    assert sentinels.url.startswith("rediss+sentinel://")
    outage(bound_to(sentinels.url))
    outage(bound_to(f"{sentinels.url}?ssl_ca_certs={Certificate(tmp_path / 'other.pem').path}"))
    outage(bound_to(sentinels.url.replace("rediss", "redis")))
    one = bound_to(f"{sentinels.url}?ssl_ca_certs={certificate.path}")
    scope = use(one)
    sentinels.fail_over()

    def knows() -> bool:
        try:
            return one.lookup((scope,)).epochs == (LAST_EPOCH,)
        except RevocationListUnavailable:
            return False

    wait_until(knows, "no primary after the failover")
    use(one)
    one.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # redis-py's
def test_on_a_cluster(make_tls: Make, certificate: Certificate, tmp_path: Path) -> None:
    cluster = Cluster(make_tls)
    assert cluster.url.startswith("rediss+cluster://")
    outage(bound_to(cluster.url))
    outage(bound_to(f"{cluster.url}?ssl_ca_certs={Certificate(tmp_path / 'other.pem').path}"))
    outage(bound_to(cluster.url.replace("rediss", "redis")))
    one = bound_to(f"{cluster.url}?ssl_ca_certs={certificate.path}")
    use(one)
    one.close()
