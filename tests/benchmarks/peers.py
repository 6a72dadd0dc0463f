"""Who is installed, in which version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from tests.benchmarks.report import Section


def installed(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def label(distribution: str, what: str = "") -> str:
    """A contender's name in every table: the distribution, its version, and what of it is meant."""
    return " ".join(part for part in (distribution, installed(distribution), what) if part)


def missing(section: Section, *distributions: str) -> bool:
    """Whether one of `distributions` is not installed. What is missing is named in the section."""
    absent = [name for name in distributions if installed(name) is None]
    for name in absent:
        section.leave_out(f"{name} (not installed)")
    return bool(absent)
