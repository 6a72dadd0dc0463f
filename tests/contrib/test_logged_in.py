"""The page "where am I logged in" of docs/logged-in.md, under three frameworks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import SECRET

APPS = Path(__file__).parent / "apps" / "logged_in"


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["flask", "asgi", "django"])
def test_where_am_i_logged_in(framework: str, tmp_path: Path) -> None:
    shutil.copytree(APPS, tmp_path / "app")
    if framework == "django":
        page = tmp_path / "app" / "templates" / "sessions.html"
        html = page.read_text("utf-8").replace('">', '">{% csrf_token %}')
        page.write_text(html, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "story.py", framework],
        cwd=tmp_path / "app",
        env={**os.environ, "SECRET_KEY": SECRET, "DATABASE_URL": "sqlite:///logins.db"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "told\n"), done.stderr
