"""The pages of docs/: in which order they are read, and how long they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

PAGES: dict[str, int | None] = {
    "start": 400,
    "why": 500,
    "how-it-works": 900,
    "duck": 350,
    "asgi": 350,
    "flask": 350,
    "django": 350,
    "other": 350,
    "logout": 600,
    "device": 800,
    "lists": 700,
    "proxies": 400,
    "operations": 600,
    "testing": 400,
    "migration": 600,
    "settings": None,
    "command-line": None,
    "api": None,
    "format": None,
    "security": None,
    "architecture": None,
    "stability": 200,
    "benchmarks": 300,
}
"""Pages in the order in which they are read, and about how many words each has. Others stand
between them: a recipe, or what is looked up."""

TOLERANCE = 0.35
"""A page may be longer or shorter than that by about a third. More belongs on a page of its own."""


def words_of(text: str) -> int:
    """Words that are read: running text and tables, not code, addresses and comments."""
    for left_out in (r"^```.*?^```$", r"<!--.*?-->", r"\]\([^)]*\)"):
        text = re.sub(left_out, " ", text, flags=re.DOTALL | re.MULTILINE)
    return sum(1 for word in text.split() if re.search(r"\w", word))


def read(page: str) -> str:
    """A page, with what it takes from the README."""
    text = (DOCS / f"{page}.md").read_text("utf-8")
    included = re.search(r"{include} (\S+)\n:start-after: (.*)\n:end-before: (.*)\n", text)
    if included is not None:
        whole = (DOCS / included[1]).read_text("utf-8")
        text += whole.partition(included[2])[2].partition(included[3])[0]
    return text


def test_pages_stand_in_the_order_in_which_they_are_read() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    trees = re.findall(r"^```{toctree}\n(.*?)^```", index, re.DOTALL | re.MULTILINE)
    listed = [line for line in "".join(trees).splitlines() if re.fullmatch(r"[\w-]+", line)]
    assert [page for page in listed if page in PAGES] == list(PAGES)


@pytest.mark.parametrize("page", [page for page, words in PAGES.items() if words])
def test_a_page_is_about_as_long_as_it_should_be(page: str) -> None:
    wanted = PAGES[page] or 0
    assert abs(words_of(read(page)) - wanted) <= TOLERANCE * wanted


FRAMEWORKS = ("duck", "asgi", "flask", "django", "other")
NEEDED = ("pip install", "keygen", "logout.md", "testing.md", "command-line.md")


@pytest.mark.parametrize("page", FRAMEWORKS)
def test_a_frameworks_page_has_all_that_its_reader_needs(page: str) -> None:
    """Installing, settings, login and logout, tests, and the command line."""
    text = read(page)
    assert [needed for needed in NEEDED if needed not in text] == []
    headings = " ".join(re.findall(r"^## (.*)$", text, re.MULTILINE)).lower()
    assert all(word in headings for word in ("login and logout", "tests", "command line"))
    assert "settings" in headings or "connector" in headings


def test_the_format_names_no_code_of_ours() -> None:
    """It is enough by itself: whoever reads it needs neither this library nor its other pages."""
    text = (DOCS / "format.md").read_text("utf-8")
    assert re.findall(r"src/|duck_cookie_session|\]\((?!https:|#)", text) == []
