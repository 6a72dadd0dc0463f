"""The contract finds what a writer of a list easily gets wrong, by the test named for it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

LIST = '''
import threading, time
from contextlib import contextmanager
import pytest
from duck_cookie_session.revocation.book import Book, BookRevocationList
from duck_cookie_session.testing.contract import RevocationListContract

class OneTable(BookRevocationList):
    """All applications in one table, in memory."""

    def __init__(self):
        super().__init__()
        self.lock, self.kept, self.rows = threading.Lock(), {}, {}

    @contextmanager
    def turn(self, prefix):
        with self.lock:
            others = {scope: row for scope, row in self.rows.items() if scope[:8] != prefix}
            mine = {scope: row for scope, row in self.rows.items() if scope[:8] == prefix}
            now = int(time.time() * 1_000_000)
            book = Book(self.kept.get(prefix), mine, self.binding(prefix), now)
            yield book
            self.kept[prefix] = book.kept
            self.rows = {**others, **book.entries}

    def knows(self, prefix):
        return prefix in self.kept

class TestOneTable(RevocationListContract):
    persistent = False

    @pytest.fixture(autouse=True)
    def prepare(self):
        self.made = OneTable()

    def opener(self):
        return lambda: self.made
'''

WRONG = {
    "nothing": ("", "", ""),
    "the entries of all applications": (
        "(self.kept.get(prefix), mine,",
        "(self.kept.get(prefix), {**others, **mine},",
        "test_applications_stay_apart",
    ),
    "known to everybody once somebody has used it": (
        "return prefix in self.kept",
        "return bool(self.kept)",
        "test_it_knows_who_has_used_it_and_asking_that_makes_nothing",
    ),
    "a clock in milliseconds": (
        "1_000_000",
        "1_000",
        "test_raises_rise_and_go_by_the_lists_clock",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found(wrong: str, tmp_path: Path) -> None:
    right, instead, finder = WRONG[wrong]
    assert right in LIST
    (tmp_path / "test_lists.py").write_text(LIST.replace(right, instead), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lists.py"]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    failed = re.findall(r"^FAILED .*::(test_\w+)", run.stdout, re.MULTILINE)
    assert failed == ([finder] if finder else []), run.stdout
    assert run.returncode == (1 if finder else 0)


def test_it_begins_with_what_is_simple(tmp_path: Path) -> None:
    (tmp_path / "test_lists.py").write_text(LIST, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:randomly"]
    run = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    first, *_, last = [line for line in run.stdout.splitlines() if "::" in line]
    assert first.endswith("::test_a_new_list_has_a_birth_and_nothing_else")
    assert "threads" in last or "process" in last or "forked" in last
