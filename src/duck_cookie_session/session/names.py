"""The names that settings have, and which of them a misspelt one is nearest to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields

from ..settings import SessionSettings, setting_name

NAMES = (
    *(setting_name(spec.name) for spec in fields(SessionSettings)),
    *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "SESSION_STORAGE", "SESSION_ENGINE"),
)
"""The settings that the library reads."""


def nearest(name: str, known: Iterable[str] = NAMES) -> str:
    """The name that was probably meant: that of the field of this name, or one spelt alike."""
    known, full = tuple(known), setting_name(name)
    if full in known:
        return full
    return difflib.get_close_matches(name.upper(), known, n=1, cutoff=0)[0]


def unknown(
    names: Iterable[str], framework: Iterable[str] = (), *, alike: float = 0
) -> dict[str, str]:
    """Names with SESSION_ that nothing reads, each with the nearest known one.

    Args:
        names: the names of settings that were given.
        framework: names that are known beside ours.
        alike: how much a name must be like the nearest, from 0 to 1.
    """
    known = dict.fromkeys((*NAMES, *(n for n in framework if n.startswith("SESSION_"))))
    found = {
        name: nearest(name, known)
        for name in sorted(names)
        if name.startswith("SESSION_") and name not in known
    }
    return {
        name: other
        for name, other in found.items()
        if difflib.SequenceMatcher(None, name, other).ratio() >= alike
    }
