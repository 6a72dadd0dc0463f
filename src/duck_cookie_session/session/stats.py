"""What one connector has done since it was made, counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from ..errors import (
    DeviceReason,
    InvalidArgument,
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


class _Tally:
    """A number that many threads count up; one step is one call into C, so none is lost."""

    __slots__ = ("_steps", "add")

    def __init__(self) -> None:
        self._steps = itertools.count()
        self.add = self._steps.__next__

    def value(self) -> int:
        """Steps so far."""
        return int(repr(self._steps)[len("count(") : -1])  # the only way to look without a step


class Stats:
    """Counters, safe for many threads and for forks: they have no lock."""

    def __init__(self) -> None:
        self._counts = {name: _Tally() for name in COUNTED}
        self._refused = {reason: _Tally() for reason in Reason}
        self._device_refused = {reason: _Tally() for reason in DeviceReason}
        self._not_saved = {kind: _Tally() for kind in NOT_SAVED}
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

    def count_not_saved(self, error: SessionError) -> None:
        """Count a response whose session was not saved, by the kind of error."""
        self._not_saved[type(error)].add()

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """All counters by name, zeros too; what was refused or not saved is a dict by reason."""
        counts: dict[str, int | dict[str, int]] = {
            name: tally.value() for name, tally in self._counts.items()
        }
        counts["refused"] = {reason.value: tally.value() for reason, tally in self._refused.items()}
        counts["device_refused"] = {
            reason.value: tally.value() for reason, tally in self._device_refused.items()
        }
        counts["not_saved"] = {
            NOT_SAVED[kind]: tally.value() for kind, tally in self._not_saved.items()
        }
        return counts
