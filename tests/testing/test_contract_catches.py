"""The contract of revocation lists catches lists that are wrong in one thing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("wrong", "caught_by"),
    [
        ("TakesNoTurns", "threads"),
        ("PurgesByTheShortest", "leaves_other_applications_alone"),
        ("ExpectsAtLeast", "raises_what_it_expected"),
        ("RemembersOneNonce", "same_nonce"),
        ("EndsLater", "killed_process"),
        ("EndsInSilence", "can_not_be_asked"),
        ("ReusesWhatIsAwaited", "processes_see_each_other"),
        ("ReadsOneByOne", "one_read"),
        ("RaisesForEach", "show_a_loss"),
        ("CountsAnew", "new_birth"),
    ],
)
def test_a_list_that_is_wrong_in_one_thing_fails(wrong: str, caught_by: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider",
         "--tb=no", "-rf", "-k", caught_by, str(Path(__file__).with_name("wrong_lists.py"))],
        env={**os.environ, "WRONG_LIST": wrong, "PYTEST_ADDOPTS": "", "COLUMNS": "400"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert failed
    # By what it asserts, not because the wrong list could not even be called.
    assert all(re.search(" - (assert |AssertionError|Failed: )", line) for line in failed), failed
    assert "ERROR" not in done.stdout
