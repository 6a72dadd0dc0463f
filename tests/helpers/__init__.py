"""What tests share. `redis_server`, which needs redis-py, is imported by its own name."""

from __future__ import annotations

from .clock import DAY, START, Clock
from .cookies import LOOKED_AT, sent_cookie
from .forks import fork_unseen
from .lists import NetworkList, SwitchableList, age_of, compare, epochs_of
from .nodes import Node, closing
from .settings import OTHER_SECRET, SECRET, make_settings

__all__ = [
    "DAY",
    "LOOKED_AT",
    "OTHER_SECRET",
    "SECRET",
    "START",
    "Clock",
    "NetworkList",
    "Node",
    "SwitchableList",
    "age_of",
    "closing",
    "compare",
    "epochs_of",
    "fork_unseen",
    "make_settings",
    "sent_cookie",
]
