"""The corpus of the fuzzer, as plain tests: what it once found worth keeping still holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from .targets import TARGETS, bindable

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_is_harmless(target: str) -> None:
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for path in inputs:
        TARGETS[target](path.read_bytes())


def test_what_a_browser_sends_is_in_the_corpus() -> None:
    """Else the fuzzer would begin with refusals only."""
    before = bindable.stats()
    for name in ("registered", "renewed", "page"):
        TARGETS["binding"]((CORPUS / "binding" / name).read_bytes())
    after = bindable.stats()
    for counter in ("device_registered", "device_refreshed", "read"):
        assert after[counter] > before[counter]  # type: ignore[operator]  # numbers, these
    assert after["refused"] == before["refused"]
