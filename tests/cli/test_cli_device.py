"""The command line and sessions bound to a device: what `check` and `inspect` say of them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import SessionSettings, SessionStorageConnector, SQLiteRevocationList
from duck_cookie_session.cli import main
from duck_cookie_session.revocation.memory import MemoryRevocationList
from duck_cookie_session.testing import session_token
from tests.device.asgi import NAME, Site
from tests.helpers import Clock
from tests.helpers.device_browser import DeviceBrowser

SECRET = "Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V"

Run = Callable[..., tuple[int, Any]]


class OlderList(MemoryRevocationList):
    """A list of somebody else's, from before sessions could be bound."""

    persistent = True

    def compare_and_raise(  # type: ignore[override]  # what is to be found
        self, scope: bytes, expected: int, *, nonce: bytes, last: bool = False
    ) -> int | None:
        return super().compare_and_raise(scope, expected, nonce=nonce, last=last)


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    return {
        "SESSION_SECRET_KEYS": [SECRET],
        "SESSION_SUBJECT_KEY": "user",
        "SESSION_DIR": str(tmp_path / "sessions"),
        "SESSION_COOKIE_NAME": NAME,
        "SESSION_DEVICE_BINDING": "offer",
    }


@pytest.fixture
def run(
    values: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    def run(*arguments: str, stdin: str = "") -> tuple[int, Any]:
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(values))
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["--settings", str(file), *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in arguments else said.out + said.err

    return run


def findings(run: Run) -> dict[str, tuple[str, str]]:
    _, said = run("check", "--json")
    return {one["what"]: (one["level"], one["text"]) for one in said["findings"]}


@pytest.fixture
def made(values: dict[str, Any]) -> None:
    """A list that a node has made."""
    settings = SessionSettings.from_mapping(values)
    connector = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    session_token(connector, {})
    connector.close()


def test_check_says_nothing_of_it_where_it_is_off(
    run: Run, values: dict[str, Any], made: None
) -> None:
    values["SESSION_DEVICE_BINDING"] = "off"
    assert not {"device", "proof", "https", "device key"} & {*findings(run)}


def test_check_says_that_it_is_on_what_it_needs_and_how_long_a_thief_has(
    run: Run, made: None
) -> None:
    found = findings(run)
    assert found["device"][0] == "good"
    assert NAME in found["device"][1]
    assert "/.session-device" in found["device"][1]
    assert found["proof"] == ("good", "good for 10 minutes")
    assert found["https"][0] == "note"
    assert found["device key"][0] == "good"
    assert "unproven" not in found


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("SESSION_DEVICE_PROOF_AGE", 120, ("proof", "note", "before every request")),
        ("SESSION_DEVICE_PROOF_AGE", 121, ("proof", "good", "2.017 minutes")),
        ("SESSION_DEVICE_PROOF_AGE", 3600, ("proof", "good", "60 minutes")),
        ("SESSION_DEVICE_PROOF_AGE", 3601, ("proof", "note", "a thief of all cookies")),
        ("SESSION_ON_UNREACHABLE", "accept", ("unproven", "note", "cookie alone is served")),
        ("SESSION_STORAGE", f"{__name__}.OlderList", ("device key", "bad", "OlderList")),
    ],
)
def test_check_says_what_to_change(
    run: Run,
    values: dict[str, Any],
    made: None,
    name: str,
    value: Any,
    finding: tuple[str, str, str],
) -> None:
    what, level, said = finding
    values[name] = value
    found = findings(run)[what]
    assert found[0] == level
    assert said in found[1]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SESSION_COOKIE_NAME", "session", "a __Host- name"),
        ("SESSION_COOKIE_SAMESITE", "None", "'Lax' or 'Strict'"),
        ("SESSION_COOKIE_SECURE", False, "SESSION_COOKIE_SECURE"),
    ],
)
def test_check_names_what_it_can_not_be_used_with(
    run: Run, values: dict[str, Any], name: str, value: Any, said: str
) -> None:
    values[name] = value
    code, out = run("check")
    assert code == 2
    assert said in out


@pytest.fixture
def browser(values: dict[str, Any]) -> DeviceBrowser:
    """One that is bound, by a node whose clock stands in 2027."""
    values["SESSION_DEVICE_PROOF_AGE"] = 60
    site = Site(lambda: SQLiteRevocationList(values["SESSION_DIR"]), Clock(), secret_keys=(SECRET,))
    bound = site.browser(site.node())
    site.close()
    return bound


def cookie(browser: DeviceBrowser, kind: str) -> tuple[str, str]:
    """Name and value of its device key or proof."""
    return next(
        (name, value) for name, (value, _) in browser.cookies.items() if f"-{kind}-" in name
    )


@pytest.mark.parametrize("binding", ["offer", "off"])
@pytest.mark.parametrize(
    ("kind", "said", "ends"),
    [
        ("key", "a device key", "2027-02-14T08:00:00Z"),
        ("proof", "a proof", "2027-01-15T08:01:00Z"),
    ],
)
def test_inspect_tells_a_device_key_and_a_proof_for_what_they_are(
    run: Run, values: dict[str, Any], browser: DeviceBrowser, kind: str, said: str, ends: str,
    binding: str,
) -> None:  # fmt: skip
    values["SESSION_DEVICE_BINDING"] = binding
    name, value = cookie(browser, kind)
    (bound,) = browser.bound.values()
    code, out = run("inspect", stdin=f"{name}={value}\n")
    assert code == 0
    assert out.startswith(f"No token, but {said} of a device, not past its end")
    assert value not in out
    code, facts = run("inspect", "--json", stdin=value)
    assert code == 0
    assert facts["binding"] == bound.identifier
    assert (facts["issued"], facts["ends"]) == ("2027-01-15T08:00:00Z", ends)
    assert {*facts} == {"accepted", "kind", "session_id", "binding", "issued", "ends"}
    token, _ = browser.cookies[NAME]
    assert run("inspect", "--json", stdin=token)[1]["session_id"] == facts["session_id"]


def test_inspect_tells_a_challenge_too(run: Run, browser: DeviceBrowser) -> None:
    (bound,) = browser.bound.values()
    _, facts = run("inspect", "--json", stdin=bound.challenge or "")
    assert facts["kind"] == "refresh"
    assert facts["ends"] == "2027-01-15T08:05:00Z"


def test_inspect_says_that_one_is_past_its_end(run: Run, values: dict[str, Any]) -> None:
    site = Site(
        lambda: SQLiteRevocationList(values["SESSION_DIR"]),
        Clock(1_700_000_000.0),
        secret_keys=(SECRET,),
    )
    browser = site.browser(site.node())
    site.close()
    code, out = run("inspect", stdin=cookie(browser, "proof")[1])
    assert code == 1
    assert "a proof of a device, past its end" in out


def test_inspect_takes_no_other_text_for_one(run: Run, browser: DeviceBrowser) -> None:
    name, value = cookie(browser, "proof")
    for text in (f"{name}={value[:-1]}", f"another-{name}={value}"):
        code, out = run("inspect", stdin=text)
        assert code == 2
        assert "alone" in out
    for text in (value[:-1], "-proof-AAAAAAAA=", "x"):
        code, facts = run("inspect", "--json", stdin=text)
        assert code == 1
        assert facts["reason"] in ("malformed", "no key")
        assert "kind" not in facts
