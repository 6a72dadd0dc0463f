"""A session is bound over the wire: what servers do to requests and responses on their way.

The stories of bound sessions are in tests/device.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contrib.served import KINDS, serving
from tests.helpers.device_browser import DeviceBrowser, over_http

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize("name", ["duck", "duck-async", "flask", "django"])
def test_a_session_is_bound_renewed_and_ended(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    kind = replace(kind, environment={**kind.environment, "SITE_BOUND": "1"})
    with serving(kind, tmp_path, nodes=1) as site:
        browser = DeviceBrowser(over_http(site.ports[0]), time.time)
        assert browser.open("/login?user=ada").status == 200
        (bound,) = browser.bound.values()
        seen = json.loads(browser.open("/show").body)
        assert seen["user"]
        assert seen["bound"] is True
        for kept in ("-key-", "-proof-"):
            assert [name for name in browser.cookies if kept in name]
        proof = browser.cookies[bound.cookie]
        assert browser.renew(bound) is None
        assert browser.cookies[bound.cookie] != proof
        assert json.loads(browser.open("/show").body)["bound"] is True
        assert browser.open("/logout").status == 200
        assert not [name for name in browser.cookies if name.startswith("__Host-")]
        assert browser.send_refresh(bound, None).status == 401
