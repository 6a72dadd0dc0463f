"""The model of the revocation list's rules and the script that runs it are in step.

Spin itself runs in CI (`docs/model/run`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = (ROOT / "docs/model/revocation.pml").read_text("utf-8")
RUN = (ROOT / "docs/model/run").read_text("utf-8")


def test_each_rule_that_can_be_left_out_is_left_out_once() -> None:
    rules = re.findall(r"^#(?:el)?if(?:n?def|) (?:defined\()?(M_\w+)", MODEL, re.MULTILINE)
    left_out = re.findall(r"^ *fails (M_\w+)", RUN, re.MULTILINE)
    assert len(rules) > 10
    assert sorted(left_out) == sorted(set(rules))


@pytest.mark.parametrize("option", sorted(set(re.findall(r"-D(\w+)=", RUN)) - {"MEMLIM"}))
def test_every_bound_that_the_script_sets_is_one_of_the_model(option: str) -> None:
    assert f"#ifndef {option}\n" in MODEL


def test_ci_runs_it() -> None:
    assert re.search(r"^ *docs/model/run$", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)
