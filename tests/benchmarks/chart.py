"""The chart in docs/benchmarks.md: bars on a log scale, as SVG, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from tests.benchmarks import ours
from tests.benchmarks.report import Section, Table

PANELS = (
    (
        "request",
        "added to a request: untouched",
        "ASGI request, session untouched: microseconds added",
    ),
    (
        "request",
        "added to a request: read, cookie seen before",
        "read, cookie seen before on this node",
    ),
    (
        "request",
        "added to a request: read, cookie new to the node",
        "read, cookie new to this node",
    ),
    ("request", "added to a request: written", "written"),
    ("codec", "encode, 380 packed bytes", "Codec alone, 380 packed bytes, encode: microseconds"),
    ("codec", "decode, 380 packed bytes", "decode"),
)
"""Section, title of its table, heading in the chart."""

NO_SESSIONS = ("msgpack", "rfernet", "cryptography")
"""What the tables compare with, but nobody would take for a session library."""

WIDTH, LABELS, VALUES = 900, 360, 70
LINE, BAR, HEADING, GAP = 22, 13, 44, 14

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .heading { font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  .peer { fill: #8c959f; }
  .ours { fill: #0969da; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .spread { stroke: #24292f; stroke-width: 1.2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
    .peer { fill: #6e7681; }
    .ours { fill: #4493f8; }
    .grid { stroke: #3d444d; }
    .spread { stroke: #e6edf3; }
  }
"""


def draw(sections: Sequence[Section], about: dict[str, str]) -> str:
    """An SVG document of the panels whose sections were run."""
    panels = [
        (heading, table)
        for name, title, heading in PANELS
        if (table := _find(sections, name, title))
    ]
    values = [
        value
        for _, table in panels
        for row in table.rows
        for value in (row.low, row.median, row.high)
    ]
    scale = _Scale(values or [1.0])
    parts: list[str] = []
    y = 24
    for heading, table in panels:
        parts += _panel(heading, table, y, scale)
        y += HEADING + LINE * len(table.rows) + GAP
    parts.append(
        _text(10, y + 6, "Log scale; bar: median, line: quartiles. Less is better. ", "small")
    )
    facts = ", ".join(f"{key} {value}" for key, value in about.items())
    parts.append(_text(10, y + 22, facts, "small"))
    y += 34
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
        f'width="{WIDTH}" height="{y}" '
        'role="img" aria-label="Benchmark of cookie sessions">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


class _Scale:
    """Microseconds to pixels, by powers of ten."""

    def __init__(self, values: Sequence[float]) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.first = max(-1, math.floor(math.log10(min(positive))))
        self.last = max(self.first + 1, math.ceil(math.log10(max(positive))))
        self._pixels = (WIDTH - LABELS - VALUES) / (self.last - self.first)

    def x(self, value: float) -> float:
        """Where a value stands; what is below the scale stands at its start."""
        if value <= 0:
            return float(LABELS)
        return LABELS + max(0.0, math.log10(value) - self.first) * self._pixels


def _panel(heading: str, table: Table, y: int, scale: _Scale) -> list[str]:
    parts = [_text(10, y, heading, "heading")]
    y += 16
    bottom = y + 12 + LINE * len(table.rows)
    for power in range(scale.first, scale.last + 1):
        x = scale.x(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{y + 10}" y2="{bottom}"/>')
        parts.append(_text(x, y + 4, f"{10.0**power:g}", "small", "middle"))
    for number, row in enumerate(sorted(table.rows, key=lambda row: row.median)):
        top = y + 14 + LINE * number
        middle = top + BAR / 2
        kind = "ours" if row.name.startswith(ours.DISTRIBUTION) else "peer"
        end = max(scale.x(row.median), LABELS + 1.5)
        low, high = scale.x(row.low), scale.x(row.high)
        parts += [
            _text(LABELS - 8, top + BAR - 2, row.name, "", "end"),
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{end - LABELS:.1f}" '
            f'height="{BAR}" rx="2"/>',
            f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            _text(max(end, high) + 6, top + BAR - 2, f"{row.median:.3g}", ""),
        ]
    return parts


def _find(sections: Sequence[Section], name: str, title: str) -> Table | None:
    tables = [table for section in sections if section.name == name for table in section.tables]
    found = next((table for table in tables if table.title == title), None)
    if found is None:
        return None
    return replace(found, rows=[row for row in found.rows if not row.name.startswith(NO_SESSIONS)])


def _text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(content)}</text>'
