"""The recipes of docs/other.md, besides what the conformance suite does with them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from duck_cookie_session import InvalidSettings, SessionStorageConnector
from duck_cookie_session.testing import session_token

RECIPE = Path(__file__).parent / "apps" / "recipe_connector.py"


def test_the_connector_is_made_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", "short")
    with pytest.raises(InvalidSettings, match="secret_keys"):
        runpy.run_path(str(RECIPE))
    monkeypatch.setenv("SECRET_KEY", "k" * 40)
    connector = runpy.run_path(str(RECIPE))["connector"]
    assert isinstance(connector, SessionStorageConnector)
    token = session_token(connector, {"user": "alice"})
    connector.delete_subject("alice")
    assert connector.get_session(token) is None
