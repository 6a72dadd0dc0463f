"""examples/edge, the verifier for a CDN's worker: all vectors, and what the library seals."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import SECRET, START, Clock, Node
from tests.token.test_vectors import REFUSED, VECTORS

HERE = Path(__file__).parent
VERIFIER = HERE.parents[1] / "examples" / "edge" / "verify.mjs"
NEVER_ENDS = 2**40


def verified(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on the PATH")  # which CI takes for a failure, as any skip
    ran = subprocess.run(
        [node, str(HERE / "run_edge.mjs")],
        input=json.dumps(entries),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said: list[dict[str, Any]] = json.loads(ran.stdout)
    return said


def test_it_is_under_100_lines() -> None:
    assert len(VERIFIER.read_text().splitlines()) < 100


def test_it_reads_every_vector() -> None:
    entries = [
        {
            **vector,
            "now_ms": max(vector["claims"]["expires_ms"] - 1, 0),
            "absolute_age_s": NEVER_ENDS,
        }
        for vector in VECTORS
    ]
    for vector, said in zip(VECTORS, verified(entries), strict=True):
        claims = vector["claims"]
        if not claims["expires_ms"]:
            assert said == {"reason": "expired"}, vector["name"]
            continue
        assert said == {
            "liveUntil": claims["expires_ms"],
            "sessionId": claims["session_id"],
            "subject": claims["subject"],
        }, vector["name"]


def test_it_refuses_what_must_be_refused() -> None:
    """All but what is wrong in the data, at which it does not look."""
    entries = [one for one in REFUSED if one["stage"] not in ("data", "inflate")]
    for refused, said in zip(entries, verified(entries), strict=True):
        assert said == {"reason": refused["reason"]}, refused["name"]


def test_it_agrees_on_the_last_millisecond() -> None:
    timed = [one for one in REFUSED if one["stage"] == "time"]
    earlier = [{**one, "now_ms": one["now_ms"] - 1} for one in timed]
    for refused, said in zip(timed, verified(earlier), strict=True):
        assert said["liveUntil"] == refused["now_ms"]


def test_what_the_library_seals(node: Node, clock: Clock) -> None:
    session = node.request()
    session["user"] = "zoë"
    session.save()
    (said,) = verified(
        [
            {
                "token": session.session_key,
                "secrets": [SECRET],
                "cookie_name": "session_id",
                "audience": "",
                "now_ms": START * 1000,
                "absolute_age_s": 30 * 86_400,
            }
        ]
    )
    assert said["sessionId"] == session.session_id
    assert said["subject"] == "zoë"
    assert said["liveUntil"] == (START + 604_800) * 1000
