"""Sections as plain text."""

from __future__ import annotations

from tests.benchmarks.report import Section, Table


def render(section: Section) -> str:
    """One section: its tables, its targets, its notes and who was left out."""
    lines = [section.name, "=" * len(section.name)]
    for entry in section.tables:
        lines += ["", *_table(entry)]
    if section.judgements:
        lines += ["", "targets (information, never asserted)"]
        width = max(len(judgement.what) for judgement in section.judgements)
        for judgement in section.judgements:
            sign = ">=" if judgement.at_least else "<="
            verdict = "met" if judgement.met else "missed"
            figure = f"{_figure(judgement.value)}{judgement.unit}"
            target = f"{sign} {judgement.target:g}{judgement.unit}"
            lines.append(f"  {judgement.what:<{width}}  {figure:>10}  {target:<8}  {verdict}")
    lines += [f"  note: {note}" for note in section.notes]
    lines += [f"  left out: {name}" for name in section.left_out]
    return "\n".join(lines)


def _table(entry: Table) -> list[str]:
    base = f"; ratio to {entry.base}" if entry.base else ""
    lines = [f"{entry.title} ({entry.unit}{base})"]
    width = max((len(row.name) for row in entry.rows), default=0)
    for row in entry.rows:
        spread = "" if row.low == row.high else f"{_figure(row.low)} .. {_figure(row.high)}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        lines.append(
            f"  {row.name:<{width}}  {_figure(row.median):>10}  {spread:^24}  {ratio:>8}".rstrip()
        )
    return lines


def _figure(value: float) -> str:
    """Three figures that matter, without exponents."""
    if value == int(value) and abs(value) >= 10:
        return f"{int(value):,}"
    size = abs(value)
    digits = 3 if size < 1 else 2 if size < 10 else 1 if size < 1_000 else 0
    return f"{value:,.{digits}f}"


def summary(sections: list[Section]) -> str:
    """How many targets are met, and which are not."""
    judged = [(section.name, judgement) for section in sections for judgement in section.judgements]
    missed = [(name, judgement) for name, judgement in judged if not judgement.met]
    lines = [f"targets met: {len(judged) - len(missed)} of {len(judged)}"]
    lines += [
        f"  missed: {name}: {entry.what} ({_figure(entry.value)}{entry.unit})"
        for name, entry in missed
    ]
    return "\n".join(lines)
