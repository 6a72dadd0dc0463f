"""Pages of Duck's Lively that stay open, whose sessions are bound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.sites import ROOT


@pytest.mark.slow
def test_an_open_page_goes_by_the_proof_that_it_was_opened_with(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.device.duck_page", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout.splitlines()[-1])
    expected = {
        "opened before the binding": ["ada", False],
        "30 s later": [None, False],
        "opened with a proof": ["ada", True],
        "opened by a thief": [None, False],
        "after the proof's end": ["ada", True],
        "revoked": [None, False],
    }
    for what in ("event", "navigation"):
        assert {when: seen[f"{when}: {what}"] for when in expected} == expected
