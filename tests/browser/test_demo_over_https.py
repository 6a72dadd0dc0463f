"""The demo over https: what it prints is carried out, and Chromium binds its session."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .chromium import browser

LAST = "Open one of them in a browser; Ctrl-C stops both.\n"


@pytest.mark.server
def test_what_the_demo_says_has_chromium_bind_its_session(driver: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "duck_cookie_session", "demo", "--https"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        said = "".join(iter(demo.stdout.readline, LAST))
        _walk(driver, said)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        demo.kill()
        demo.communicate()


def _walk(driver: Any, said: str) -> None:
    trust, _, start = said.partition("  chromium ")
    lines = [line for line in trust.splitlines() if line.startswith("  ")]
    subprocess.run(["bash", "-e", "-c", "\n".join(lines)], check=True)
    home, address = (re.findall(each, said)[0] for each in (r"HOME=(\S+)", r"Node 1: (\S+)"))
    flags = re.findall(r"--enable-features=\S+", start)
    with browser(driver, flags=flags, env={**os.environ, "HOME": home}) as context:
        page = context.new_page()
        page.goto(address)
        assert page.locator("#device").count() == 0
        page.fill("#name", "ada")
        page.click("button:text-is('Log in')")
        for _ in range(100):  # the registration is under way beside the page
            if page.inner_text("#device").startswith("bound to it"):
                break
            page.wait_for_timeout(100)
            page.reload()
        assert page.inner_text("#device").startswith("bound to it")
        page.click("text=Copy my cookie")
        page.click("text=Present it to node 2")
        assert "accepted the copy: ada" in page.inner_text("#answer")
        assert "bound less than 30 seconds ago" in page.inner_text("#answer")
        assert page.inner_text("#who") == "ada"
        page.click("button:text-is('Log out')")
        names = {cookie["name"] for cookie in context.cookies()}
        assert names == {"copied_session"}
