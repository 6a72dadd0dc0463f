"""Counters of a connector for Prometheus (extra `prometheus`).

    from prometheus_client import REGISTRY
    from duck_cookie_session import get_session_storage_connector
    from duck_cookie_session.contrib.prometheus import SessionCollector

    REGISTRY.register(SessionCollector(get_session_storage_connector()))

Each process counts for itself: where a server runs several workers, scrape each of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..session.connector import SessionStorageConnector

PREFIX = "duck_cookie_session_"

HELP = {
    "issued": "Tokens of new sessions and of saved ones.",
    "reissued": "Of the issued tokens, those with the same data, for a newer expiry or secret.",
    "read": "Sessions read.",
    "read_from_cache": "Tokens that were verified before and kept in memory.",
    "revoked": "Revocations of a session, a subject, a group or everything.",
    "bound": "Sessions bound to a device.",
    "device_registered": "Registrations of devices that were answered with a proof.",
    "device_refreshed": "Proofs of devices that were renewed.",
    "provider_logouts": "Logouts that an identity provider announced, carried out.",
    "forgotten": "Times that the revocation list was found to have gone back in time.",
    "unreachable": "Calls that the revocation list did not answer.",
    "refused": "Tokens refused.",
    "device_refused": "Registrations and renewals of devices that were refused.",
    "provider_logouts_refused": "Logout tokens of an identity provider that were refused.",
    "not_saved": "Responses whose session was not saved.",
    "list_seconds": "How long questions to the revocation list took.",
    "list_wait_seconds": "How long questions waited for a connection, of those that had to.",
}

BY_LIST = ("forgotten", "unreachable", "list_seconds", "list_wait_seconds")


class SessionCollector(Collector):
    """Gives `connector.stats()` as `duck_cookie_session_*`: counters, and histograms in seconds.

    No label holds anything of a session: a reason is one of a few words, a list the name of its
    class.

    Args:
        connector: the one whose counters are shown.
    """

    def __init__(self, connector: SessionStorageConnector) -> None:
        self._connector = connector

    def collect(self) -> Iterator[Metric]:
        """The counters as they stand now."""
        of_list = type(self._connector.revocations).__name__
        for name, value in self._connector.stats().items():
            names = (PREFIX + name, HELP[name])
            by, labels = (["list"], [of_list]) if name in BY_LIST else ([], [])
            if not isinstance(value, dict):
                counter = CounterMetricFamily(*names, labels=by)
                counter.add_metric(labels, value)
                yield counter
            elif "sum" in value:
                buckets = [(bound, value[bound]) for bound in value if bound != "sum"]
                histogram = HistogramMetricFamily(*names, labels=by)
                histogram.add_metric(labels, buckets, value["sum"])
                yield histogram
            else:
                counter = CounterMetricFamily(*names, labels=["reason"])
                for reason, count in value.items():
                    counter.add_metric([reason], count)
                yield counter

    def describe(self) -> Iterator[Metric]:
        """What `collect` gives; asked for at registration."""
        return self.collect()
