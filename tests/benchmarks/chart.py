"""The chart in docs/benchmarks.md: microseconds added to a request, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tests.benchmarks import ours
from tests.benchmarks.asgi_apps import FLOOR
from tests.benchmarks.report import Section, Table

PANELS = (
    ("request", "added to a request: read, cookie seen before", "Session read, cookie seen before"),
    ("request", "added to a request: written", "Session written"),
)
"""Section, title of its table, heading in the chart."""

SHORT = (
    ("duck-cookie-session", "memory", "this library, memory list"),
    ("duck-cookie-session", "sqlite", "this library, SQLite list"),
    ("floor", "", "floor: bare Fernet and msgpack"),
    ("starlette", "", "Starlette (signed, not encrypted)"),
    ("starsessions", "", "starsessions (signed, not encrypted)"),
    ("litestar", "", "Litestar (encrypted)"),
)
"""How a row's name begins, what is in it, and what the chart calls it."""

WIDTH, LABELS, VALUES = 720, 250, 50
LINE, BAR, HEADING, GAP = 22, 14, 28, 16

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .heading { font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  .peer { fill: #8c959f; }
  .floor { fill: #d0d7de; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; }
    .peer { fill: #6e7681; }
    .floor { fill: #3d444d; }
    .ours { fill: #4493f8; }
  }
"""


def draw(sections: Sequence[Section], about: dict[str, str]) -> str:
    """An SVG document of the panels whose sections were run."""
    panels = [
        (heading, table)
        for name, title, heading in PANELS
        if (table := _find(sections, name, title))
    ]
    most = max((row.median for _, table in panels for row in table.rows), default=1.0)
    scale = (WIDTH - LABELS - VALUES) / most
    parts: list[str] = []
    y = 24
    for heading, table in panels:
        parts += _panel(heading, table, y, scale)
        y += HEADING + LINE * len(table.rows) + GAP
    parts.append(
        _text(10, y + 6, "Microseconds added to an ASGI request. Less is better.", "small")
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


def _panel(heading: str, table: Table, y: int, scale: float) -> list[str]:
    parts = [_text(10, y, heading, "heading")]
    for number, row in enumerate(sorted(table.rows, key=lambda row: row.median)):
        top = y + 12 + LINE * number
        width = max(row.median * scale, 1.5)
        kind = "peer"
        if row.name.startswith((ours.DISTRIBUTION, FLOOR)):
            kind = "floor" if row.name.startswith(FLOOR) else "ours"
        parts += [
            _text(LABELS - 8, top + BAR - 3, _short(row.name), "", "end"),
            f'<rect class="{kind}" x="{LABELS}" y="{top}" width="{width:.1f}" '
            f'height="{BAR}" rx="2"/>',
            _text(LABELS + width + 6, top + BAR - 3, f"{row.median:.0f}", ""),
        ]
    return parts


def _short(name: str) -> str:
    return next(
        (short for start, part, short in SHORT if name.startswith(start) and part in name), name
    )


def _find(sections: Sequence[Section], name: str, title: str) -> Table | None:
    tables = [table for section in sections if section.name == name for table in section.tables]
    return next((table for table in tables if table.title == title), None)


def _text(x: float, y: float, content: str, kind: str, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(content)}</text>'
