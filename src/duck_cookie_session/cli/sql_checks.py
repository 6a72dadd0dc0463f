"""What `check` looks at in a PostgreSQL or MariaDB server."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..errors import RevocationListUnavailable
from ..revocation.base import RevocationList
from ..revocation.sql import SQLRevocationList
from .findings import Finding, bad, check_clock, good


def check_sql(revocations: RevocationList, clock_skew: float) -> Iterator[Finding]:
    """Whether the server is durable, and its clock.

    Args:
        revocations: the list; anything but SQLRevocationList is passed over.
        clock_skew: seconds that clocks may differ by.
    """
    if not isinstance(revocations, SQLRevocationList):
        return
    try:
        yield good("durable", revocations.durability())
    except RevocationListUnavailable as error:
        yield bad("durable", str(error))
    before = time.time()
    there = revocations.server_time()
    yield check_clock(before, there, time.time(), clock_skew)
