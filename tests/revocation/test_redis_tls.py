"""A list behind TLS: with a certificate that is trusted, and with one that is not.

On processes that speak nothing but TLS, Sentinels and the nodes of a Cluster among themselves as
well.
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
from tests.helpers.tls import Certificate

SETTINGS = make_settings()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(tmp_path / "list.pem")


def bound(url: str, timeout: float = 2) -> RedisRevocationList:
    made = RedisRevocationList(url, timeout=timeout)
    made.bind(SETTINGS)
    return made


def outage(one: RedisRevocationList) -> None:
    """Neither asked nor told anything: whoever stands there is not the list."""
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


def test_one_server(make_tls: Make, certificate: Certificate, tmp_path: Path) -> None:
    server = make_tls()
    assert server.url.startswith("rediss://")
    outage(bound(server.url, 0.3))
    other = Certificate(tmp_path / "other.pem").path
    outage(bound(f"{server.url}?ssl_ca_certs={other}", 0.3))
    outage(bound(server.url.replace("rediss", "redis"), 0.3))
    one = bound(f"{server.url}?ssl_ca_certs={certificate.path}")
    use(one)
    one.close()


def test_a_certificate_of_another_host_is_an_outage(make_tls: Make, tmp_path: Path) -> None:
    others = Certificate(tmp_path / "others.pem", "127.0.0.2").path
    server = make_tls(certificate=others)
    outage(bound(f"{server.url}?ssl_ca_certs={others}"))


@pytest.mark.slow
def test_through_sentinels_and_a_failover(
    sentinels: Sentinels, certificate: Certificate, tmp_path: Path
) -> None:
    assert sentinels.url.startswith("rediss+sentinel://")
    outage(bound(sentinels.url, 0.3))
    other = Certificate(tmp_path / "other.pem").path
    outage(bound(f"{sentinels.url}?ssl_ca_certs={other}", 0.3))
    outage(bound(sentinels.url.replace("rediss", "redis"), 0.3))
    one = bound(f"{sentinels.url}?ssl_ca_certs={certificate.path}")
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
    outage(bound(cluster.url, 0.3))
    other = Certificate(tmp_path / "other.pem").path
    outage(bound(f"{cluster.url}?ssl_ca_certs={other}", 0.3))
    outage(bound(cluster.url.replace("rediss", "redis"), 0.3))
    one = bound(f"{cluster.url}?ssl_ca_certs={certificate.path}")
    use(one)
    one.close()
