"""What one connector has done since it was made, counted."""

from __future__ import annotations

from collections.abc import Callable

from .._counting import Tally, Timings
from ..errors import (
    DeviceReason,
    InvalidArgument,
    LogoutReason,
    Reason,
    SessionError,
    SessionExpired,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)

COUNTED = (
    "issued",  # tokens handed out
    "reissued",  # of those, the same data under a newer expiry, secret or epoch
    "read",  # sessions read
    "read_from_cache",  # tokens that were verified before and kept in memory
    "revoked",  # times that a session, a subject, a group or everything was
    "bound",  # sessions bound to a device
    "device_registered",  # registrations answered with a proof
    "device_refreshed",  # proofs renewed
    "provider_logouts",  # logouts that an identity provider announced, carried out
    "forgotten",  # times that the list was found to have gone back in time
    "unreachable",  # calls that the revocation list did not answer
)

NOT_SAVED: dict[type[SessionError], str] = {
    SessionTooLarge: "too large",
    SessionSerializationError: "not serializable",
    InvalidArgument: "wrong argument",
    SessionRevoked: "revoked",
    SessionExpired: "expired",
}
"""Why the session of a response was not saved."""

Counts = dict[str, int | dict[str, float]]
"""Counters by name; of what was refused or not saved, by reason; "list_seconds" and
"list_wait_seconds" as `Histogram.as_dict` gives them."""


class Stats:
    """Counters, safe for many threads and for forks: they have no lock.

    Args:
        timings: those of the revocation list, if it has any.
    """

    def __init__(self, timings: Timings | None = None) -> None:
        self._timings = timings
        self._counts = {name: Tally() for name in COUNTED}
        self._refused = {reason: Tally() for reason in Reason}
        self._device_refused = {reason: Tally() for reason in DeviceReason}
        self._logouts_refused = {reason: Tally() for reason in LogoutReason}
        self._not_saved = {kind: Tally() for kind in NOT_SAVED}
        self.count_read: Callable[[], int] = self._counts["read"].add
        self.count_cached: Callable[[], int] = self._counts["read_from_cache"].add
        self.count_issued: Callable[[], int] = self._counts["issued"].add

    def count(self, name: str) -> None:
        """Count one of `COUNTED`."""
        self._counts[name].add()

    def count_refused(self, reason: Reason) -> None:
        """Count a refused token by its reason."""
        self._refused[reason].add()

    def count_device_refused(self, reason: DeviceReason) -> None:
        """Count a registration or renewal of a device that was refused, by its reason."""
        self._device_refused[reason].add()

    def count_logout_refused(self, reason: LogoutReason) -> None:
        """Count a logout token of an identity provider that was refused, by its reason."""
        self._logouts_refused[reason].add()

    def count_not_saved(self, error: SessionError) -> None:
        """Count a response whose session was not saved, by the kind of error."""
        self._not_saved[type(error)].add()

    def as_dict(self) -> Counts:
        """All counters by name, zeros too."""
        counts: Counts = {name: tally.value() for name, tally in self._counts.items()}
        counts["refused"] = {reason.value: tally.value() for reason, tally in self._refused.items()}
        counts["device_refused"] = {
            reason.value: tally.value() for reason, tally in self._device_refused.items()
        }
        counts["provider_logouts_refused"] = {
            reason.value: tally.value() for reason, tally in self._logouts_refused.items()
        }
        counts["not_saved"] = {
            NOT_SAVED[kind]: tally.value() for kind, tally in self._not_saved.items()
        }
        if self._timings is not None:
            counts["list_seconds"] = self._timings.asked.as_dict()
            counts["list_wait_seconds"] = self._timings.waited.as_dict()
        return counts
