"""What a section gives back: tables of rows, judgements against targets, and what was left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """One measured thing: the median of its rounds and the quartiles, in the table's unit."""

    name: str
    median: float
    low: float
    high: float
    ratio: float | None = None


@dataclass
class Table:
    """Rows in one unit; `base` names the row that ratios are taken against."""

    title: str
    unit: str
    rows: list[Row]
    base: str = ""

    def median(self, name: str) -> float | None:
        """The median of the row of that name, or None if it was not measured."""
        return next((row.median for row in self.rows if row.name == name), None)


@dataclass
class Judgement:
    """A figure beside its target. Information only: a missed target never fails a run."""

    what: str
    value: float
    target: float
    unit: str = "x"
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure reaches its target."""
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass
class Section:
    """Everything that one section found."""

    name: str
    tables: list[Table] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, what: str) -> None:
        """Name, once, what was not measured."""
        if what not in self.left_out:
            self.left_out.append(what)

    def judge(
        self,
        what: str,
        value: float | None,
        base: float | None,
        target: float,
        *,
        at_least: bool = False,
    ) -> None:
        """Judge `value / base` against `target`, unless one of the two was not measured."""
        if value is not None and base:
            self.judgements.append(Judgement(what, value / base, target, at_least=at_least))

    def judge_figure(self, what: str, value: float, target: float, unit: str) -> None:
        """Judge a figure that is not a ratio."""
        self.judgements.append(Judgement(what, value, target, f" {unit}"))

    def to_json(self) -> dict[str, Any]:
        """A plain dict of all this, with the verdicts spelled out."""
        plain = asdict(self)
        for entry, judgement in zip(plain["judgements"], self.judgements, strict=True):
            entry["met"] = judgement.met
        return plain


class RoundTripError(Exception):
    """A contender did not give back what was stored in it, or accepted a mutilated cookie."""
