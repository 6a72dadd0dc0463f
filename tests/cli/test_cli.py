"""The command line, run in this process: what it prints, its exit codes, what it never shows."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from duck_cookie_session import (
    MemoryRevocationList,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SessionTooLarge,
    SQLiteRevocationList,
    session_headers,
)
from duck_cookie_session.cli import main
from duck_cookie_session.cli.main import COMMANDS, parser
from duck_cookie_session.cli.output import duration, moment
from duck_cookie_session.cli.tokens import REASONS
from duck_cookie_session.errors import Reason
from duck_cookie_session.settings import setting_name
from duck_cookie_session.testing import session_token
from duck_cookie_session.token.format import Claims, id_from_text, id_to_text, seal_token
from duck_cookie_session.token.keys import KeyRing

WEEK = 604_800
SECRET = "Zk3v9qTpL0xWb7RmYc2HsUfD8jNaGe5V"
OTHER_SECRET = "pQ7mXv2LdT9sKc4RbW0yZnHg6FjUa8Ee"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def findings(self) -> dict[str, str]:
        return {found["what"]: found["level"] for found in self.json["findings"]}


Run = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("SESSION_", "DUCK_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SESSION_SECRET_KEYS", json.dumps([SECRET]))
    monkeypatch.setenv("SESSION_SUBJECT_KEY", "user")
    monkeypatch.setenv("SESSION_DIR", str(folder))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def node(folder: Path) -> Iterator[SessionStorageConnector]:
    """What a node of the application has; its clock is the machine's, as the command line's is."""
    settings = SessionSettings(
        secret_keys=SECRET, subject_key="user", session_dir=str(folder), cookie_age=WEEK
    )
    made = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    yield made
    made.close()


def test_keygen_gives_another_good_secret_each_time(run: Run) -> None:
    first, second = run("keygen").out.strip(), run("keygen", "--json").json["secret"]
    assert first != second
    assert len(first) == len(second) == 32  # the most that Duck's SECRET_KEY may have
    assert SessionSettings(secret_keys=[first, second]).secret_keys == (first, second)


def test_keygen_needs_no_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESSION_SECRET_KEYS")
    assert run("keygen").code == 0


# inspect


def test_inspect_says_what_a_live_token_holds(run: Run, node: SessionStorageConnector) -> None:
    token = session_token(node, {"user": 7, "cart": ["tea"]})
    outcome = run("inspect", "--json", stdin=token + "\n")
    facts = outcome.json
    assert outcome.code == 0
    assert facts["accepted"] is True
    assert facts["reason"] is None
    assert facts["list"] == "asked"
    assert facts["session_id"] == id_to_text(node.session_id_of(token) or b"")
    assert facts["subject"] == "7"
    assert facts["lifetime"] == WEEK
    assert facts["secret"] == 1
    attributes = "; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax"
    assert facts["bytes"]["cookie"] == len("session_id=") + len(token) + len(attributes)
    assert facts["bytes"]["keys"] == {"'cart'": 10, "'user'": 6}
    assert facts["created"] == facts["issued"]
    assert "tea" not in outcome.out


def test_inspect_takes_a_cookie_with_its_name(run: Run, node: SessionStorageConnector) -> None:
    token = session_token(node, {"a": 1})
    outcome = run("inspect", stdin=f"session_id={token}")
    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "Accepted")


@pytest.mark.parametrize("command", ["inspect", "revoke"])
@pytest.mark.parametrize("form", ["session_id={}; Path=/", "session={}", "Cookie: session_id={}"])
def test_more_than_the_value_of_a_cookie_is_told_from_a_malformed_token(
    run: Run, node: SessionStorageConnector, command: str, form: str
) -> None:
    token = session_token(node, {"user": 7})
    outcome = run(command, stdin=form.format(token))
    assert (outcome.code, outcome.out) == (2, "")
    assert "Give the value of the cookie 'session_id' alone" in outcome.err
    assert token not in outcome.err
    assert node.get_session(token) == {"user": 7}
    padded = run("inspect", "--json", stdin=token + "==")
    assert (padded.code, padded.json["reason"]) == (1, "malformed")


def test_values_are_shown_on_request_only_and_never_drive_the_terminal(
    run: Run, node: SessionStorageConnector
) -> None:
    hostile = "tea\x1b[2J\r\n\u202eevil"
    token = session_token(node, {"user": hostile, f"key{hostile}": hostile, "n": 10**5000})
    for options in ((), ("--show-values",), ("--json",), ("--json", "--show-values")):
        outcome = run("inspect", *options, stdin=token)
        assert outcome.code == 0
        assert not any(char != "\n" and not char.isprintable() for char in outcome.out)
        assert ("\\x1b" in outcome.out or "\\u001b" in outcome.out) is True
        assert ("'n' = <int" in outcome.out) is (options == ("--show-values",))


def test_values_of_a_session(run: Run, node: SessionStorageConnector) -> None:
    token = session_token(node, {"cart": ["tea"]})
    assert "'cart' = ['tea']" in run("inspect", "--show-values", stdin=token).out
    assert run("inspect", "--show-values", "--json", stdin=token).json["values"] == {
        "'cart'": "['tea']"
    }


def test_inspect_says_why_a_token_is_refused(
    run: Run, node: SessionStorageConnector, folder: Path
) -> None:
    def sealed(**changed: Any) -> str:
        """A token of the same list, under other settings or an earlier clock."""
        ago = changed.pop("ago", 0)
        settings = {"secret_keys": SECRET, "subject_key": "user", "cookie_age": WEEK, **changed}
        connector = SessionStorageConnector(
            lambda: node.revocations,
            settings=SessionSettings(**settings),
            clock=lambda: time.time() - ago,
        )
        return session_token(connector, {"user": 7})

    ended, subject = sealed(), sealed()
    node.delete_session(ended)
    node.delete_subject(7)
    refused = {
        "malformed": "no token",
        "no key": sealed(secret_keys=OTHER_SECRET),
        "expired": sealed(ago=WEEK + 1),
        "ended": ended,
        "subject revoked": subject,
        "too old": sealed(ago=2_592_001, cookie_age=5_184_000, absolute_age=5_184_000),
    }
    for reason, token in refused.items():
        outcome = run("inspect", "--json", stdin=token)
        assert (outcome.code, outcome.json["reason"]) == (1, reason)
        assert run("inspect", stdin=token).out.startswith(f"Refused: {reason} (")
    another_cookie = sealed(cookie_name="other")
    assert run("inspect", "--json", stdin=another_cookie).json["reason"] == "no key"
    another = sealed(subject_key=None)
    node.clear_all_sessions()
    assert run("inspect", "--json", stdin=another).json["reason"] == "all revoked"


def test_inspect_explains_a_revoked_group_and_every_other_reason(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_GROUP_KEYS", '["tenant"]')
    connector = SessionStorageConnector(
        lambda: node.revocations,
        settings=SessionSettings(
            secret_keys=SECRET, subject_key="user", cookie_age=WEEK, group_keys=("tenant",)
        ),
    )
    token = session_token(connector, {"user": 7, "tenant": "acme"})
    connector.delete_group("tenant", "acme")
    outcome = run("inspect", stdin=token)
    assert outcome.code == 1
    assert outcome.out.startswith("Refused: group revoked (")
    assert {reason.value for reason in Reason} == set(REASONS)


def test_inspect_names_the_secret_that_made_a_token(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = session_token(node, {"a": 1})
    monkeypatch.setenv("SESSION_SECRET_KEYS", json.dumps([OTHER_SECRET, SECRET]))
    assert "2 of 2" in run("inspect", stdin=token).out


def test_inspect_tells_a_fixed_expiry_from_a_lifetime(
    run: Run, node: SessionStorageConnector
) -> None:
    from datetime import datetime

    from duck_cookie_session import SessionStore

    store = SessionStore(None, connector=node)
    store["a"] = 1
    until = datetime.fromtimestamp(int(time.time()) + 600, UTC)
    store.set_expiry(until)
    store.save()
    facts = run("inspect", "--json", stdin=store.session_key or "").json
    assert facts["lifetime"] is None
    assert facts["expires"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "fixed" in run("inspect", stdin=store.session_key or "").out


def test_inspect_without_a_list_says_that_it_was_not_asked(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = session_token(node, {"a": 1})
    monkeypatch.delenv("SESSION_DIR")
    outcome = run("inspect", stdin=token)
    assert outcome.code == 0
    assert "the revocation list was not asked" in outcome.out
    assert "SESSION_DIR" in outcome.err


def test_inspect_does_not_believe_a_token_when_the_list_is_broken(
    run: Run, node: SessionStorageConnector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = session_token(node, {"a": 1})
    node.close()
    for path in folder.iterdir():
        path.unlink()
    (folder / "revocations.sqlite3").write_bytes(b"junk" * 4096)
    monkeypatch.setenv("SESSION_ON_UNREACHABLE", "accept")
    outcome = run("inspect", "--json", stdin=token)
    assert (outcome.code, outcome.json["list"]) == (3, "unreachable")
    assert outcome.json["accepted"] is None
    assert "can't be used" in outcome.err


def test_inspect_reads_no_more_than_a_cookie_holds(run: Run) -> None:
    outcome = run("inspect", "--json", stdin="A" * 5_000_000)
    assert outcome.json["reason"] == "malformed"


def test_a_token_is_read_from_a_terminal_up_to_its_line(
    node: SessionStorageConnector,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    token = session_token(node, {"a": 1})
    monkeypatch.setattr(sys, "stdin", Terminal(f"{token}\nsomething else\n"))
    assert main(["inspect"]) == 0
    assert "paste the token" in capsys.readouterr().err


def test_foreign_data_under_our_own_secret_and_times_beyond_the_calendar(
    run: Run, node: SessionStorageConnector
) -> None:
    latest = 2**48 - 1
    now = int(time.time() * 1000)
    standing = node.revocations.lookup((node.rules.scopes.everything,))
    claims = Claims(
        b"i" * 16, now, latest, 0, True, standing.birth, 0, 0, 0, 0, standing.epochs[0], None
    )
    token = seal_token(KeyRing.of(node.settings), claims, b"\xc1", now // 1000)
    outcome = run("inspect", "--json", "--show-values", stdin=token)
    assert "can't be read" in outcome.json["unreadable"]
    assert outcome.json["expires"] == f"{latest / 1000:.0f} seconds after 1970"
    assert "browser-length" in run("inspect", stdin=token).out


# revoke, clear-all, revocations


def test_revoke_by_token_by_id_and_by_subject(run: Run, node: SessionStorageConnector) -> None:
    by_token, by_id, by_subject, kept = (session_token(node, {"user": user}) for user in "1223")
    session_id = id_to_text(node.session_id_of(by_id) or b"")
    assert run("revoke", stdin=by_token).code == 0
    assert node.get_session(by_token) is None
    assert run("revoke", f"--session-id={session_id}", "--json").json == {
        "revoked": "session_id",
        "session_id": session_id,
    }
    assert node.get_session(by_id) is None
    assert node.get_session(by_subject) == {"user": "2"}
    assert run("revoke", "--subject", "2").out.split() == ["revoked", "subject", "2"]
    assert node.get_session(by_subject) is None
    assert node.get_session(kept) == {"user": "3"}


def test_revoke_by_group(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_GROUP_KEYS", json.dumps(["tenant"]))
    settings = SessionSettings(
        secret_keys=SECRET, subject_key="user", session_dir=str(folder), group_keys=["tenant"]
    )
    node = SessionStorageConnector(SQLiteRevocationList, settings=settings)
    try:
        first, second = (session_token(node, {"tenant": name}) for name in ("acme", "zeta"))
        assert run("revoke", "--group", "tenant=acme").out.split() == [
            *("revoked", "group", "tenant=acme")
        ]
        assert (node.get_session(first), node.get_session(second)) == (None, {"tenant": "zeta"})
        assert run("revoke", "--json", "--group", "tenant=zeta").json == {
            "revoked": "group",
            "group": {"name": "tenant", "value": "zeta"},
        }
        assert node.get_session(second) is None
        wrong = run("revoke", "--group", "tenent=acme")
        assert (wrong.code, "SESSION_GROUP_KEYS" in wrong.err) == (2, True)
        assert run("revoke", "--group", "acme").code == 2
    finally:
        node.close()


def test_an_expired_token_can_be_revoked(run: Run, node: SessionStorageConnector) -> None:
    old = SessionStorageConnector(
        lambda: node.revocations, settings=node.settings, clock=lambda: time.time() - WEEK - 1
    )
    assert run("revoke", stdin=session_token(old, {"a": 1})).code == 0
    assert run("revocations", "--json").json["count"] == 1


def test_revoking_what_is_no_token_is_not_reported_as_done(
    run: Run, node: SessionStorageConnector
) -> None:
    session_token(node, {})
    outcome = run("revoke", stdin="junk")
    assert (outcome.code, outcome.out) == (1, "")
    assert "nothing was revoked" in outcome.err
    assert run("revoke", "--session-id", "short").code == 2
    assert run("revoke", stdin="").code == 2
    assert run("revoke", "--subject", "1", "--session-id", "x").code == 2


@pytest.mark.parametrize(
    "command",
    [
        ("revoke", "--subject", "7"),
        ("revoke", "--session-id={id}"),
        ("clear-all", "--yes"),
        ("new-birth", "--yes"),
    ],
)
@pytest.mark.parametrize("name", ["SESSION_COOKIE_NAME", "SESSION_AUDIENCE"])
def test_what_no_node_goes_by_is_not_reported_as_revoked(
    run: Run,
    node: SessionStorageConnector,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    name: str,
) -> None:
    token = session_token(node, {"user": 7})
    session_id = id_to_text(node.session_id_of(token) or b"")
    monkeypatch.setenv(name, "another")
    outcome = run(*(argument.format(id=session_id) for argument in command))
    assert (outcome.code, outcome.out) == (2, "")
    assert "Nothing was changed" in outcome.err
    assert "SESSION_COOKIE_NAME" in outcome.err
    assert node.get_session(token) == {"user": 7}
    monkeypatch.delenv(name)
    assert run(*(argument.format(id=session_id) for argument in command)).code == 0
    assert node.get_session(token) is None


@pytest.mark.parametrize("command", ["clear-all", "new-birth"])
def test_what_logs_everybody_out_asks_first(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    token = session_token(node, {"a": 1})
    assert run(command).code == 2
    answers = iter(["no", "yes"])

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def on_terminal(*arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr("builtins.input", lambda _: next(answers))
        return main(arguments)

    assert on_terminal(command) == 1
    assert node.get_session(token) == {"a": 1}
    assert on_terminal(command) == 0
    assert node.get_session(token) is None
    newer = session_token(node, {"a": 2})
    assert run(command, "--yes").code == 0
    assert node.get_session(newer) is None


def test_new_birth_lets_a_copy_live_beside_its_original(
    run: Run,
    node: SessionStorageConnector,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = session_token(node, {"a": 1})
    node.delete_subject("x")  # the history has a checkpoint now
    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    node.delete_subject("x")
    beyond = session_token(node, {"b": 2})  # proof, to a list of the same birth
    copy = SessionStorageConnector(lambda: SQLiteRevocationList(copied), settings=node.settings)
    monkeypatch.setenv("SESSION_DIR", str(copied))
    try:
        assert run("new-birth", "--yes").code == 0
        own = session_token(copy, {"c": 3})
        assert [copy.get_session(one) for one in (token, beyond, own)] == [None, None, {"c": 3}]
        assert [node.get_session(one) for one in (token, beyond, own)] == [{"a": 1}, {"b": 2}, None]
        refused = copy.stats()["refused"]
        assert isinstance(refused, dict)
        assert {reason: count for reason, count in refused.items() if count} == {"other list": 2}
    finally:
        copy.close()


def test_new_birth_is_refused_where_no_birth_is_kept(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.delete_subject("x")
    monkeypatch.setenv("SESSION_ON_LOST", "accept")
    outcome = run("new-birth", "--yes")
    assert (outcome.code, outcome.out) == (2, "")
    assert "on_lost" in outcome.err


def test_revocations_are_counted_and_purged(run: Run, node: SessionStorageConnector) -> None:
    long_ago = SQLiteRevocationList(
        node.settings.session_dir or "", clock=lambda: time.time() - 40 * 86_400
    )
    past = SessionStorageConnector(lambda: long_ago, settings=node.settings)
    for _ in range(50):  # more than a revocation sweeps by the way
        past.delete_session(past.generate_session_id())
    past.close()
    node.delete_subject("x")
    before = run("revocations", "--json").json
    assert 2 <= before["count"] <= 51
    assert before["bytes"] > 0
    assert before["oldest"] < before["next_expiry"]
    purged = run("revocations", "--purge", "--json").json
    assert (purged["purged"], purged["count"]) == (before["count"] - 1, 1)
    assert purged["oldest"] > before["oldest"]
    assert "count" in run("revocations").out


def test_a_long_purge_shows_its_progress(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duck_cookie_session.cli.revoking.PROGRESS_EVERY", 0)
    for _ in range(3):
        node.delete_session(node.generate_session_id())
    outcome = run("revocations", "--purge", "--json")
    assert "3 entries looked at" in outcome.err
    assert outcome.json["count"] == 3


@pytest.mark.parametrize("command", ["revocations", "revoke", "clear-all", "new-birth"])
def test_a_wrong_folder_is_an_error_and_no_list_is_made_there(
    run: Run, folder: Path, command: str
) -> None:
    options = {"revoke": ["--subject", "x"], "revocations": []}.get(command, ["--yes"])
    outcome = run(command, *options)
    assert outcome.code == 2
    assert str(folder) in outcome.err
    assert not folder.exists()


def test_a_list_that_can_not_be_asked_is_exit_code_3(run: Run, folder: Path) -> None:
    folder.mkdir()
    (folder / "revocations.sqlite3").write_bytes(b"junk" * 4096)
    outcome = run("revoke", "--subject", "x")
    assert (outcome.code, outcome.out) == (3, "")
    assert "move it away" in outcome.err


BARRED = """
import contextlib, io, json, os
from duck_cookie_session.cli import main

def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()

run("check")  # imports all there is to import, which another user may not read
if os.getuid() == 0:  # root may go anywhere
    os.setgid(65534)
    os.setuid(65534)
print(json.dumps([run("check", "--json"), run("revoke", "--subject", "7"), run("revocations")]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="users and modes are those of Unix")
def test_a_folder_that_this_user_may_not_enter(node: SessionStorageConnector, folder: Path) -> None:
    session_token(node, {"user": 7})
    above = folder.parent
    above.chmod(0o700 if os.getuid() == 0 else 0)
    try:
        ran = subprocess.run(
            [sys.executable, "-c", BARRED], capture_output=True, text=True, check=True, cwd="/"
        )
    finally:
        above.chmod(0o700)
    (code, out, _), *others = json.loads(ran.stdout)
    (found,) = (line for line in json.loads(out)["findings"] if line["what"] == "list")
    assert (code, found["level"]) == (1, "bad")
    assert "let the user of this process write to the file and its folder" in found["text"]
    for code, out, err in others:
        assert (code, out) == (3, "")
        assert "let the user of this process write to the file and its folder" in err


def test_a_memory_list_can_not_be_looked_into(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_STORAGE", "duck_cookie_session.MemoryRevocationList")
    outcome = run("revoke", "--subject", "x")
    assert outcome.code == 2
    assert "memory of each process" in outcome.err


# rotate


def test_rotate_follows_stage_promote_retire(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_SECRET_KEYS", json.dumps([SECRET, OTHER_SECRET]))
    outcome = run("rotate", "--json", "--promoted", "2026-11-01")
    plan = outcome.json
    assert [step["secret_keys"] for step in plan["steps"]] == [
        ["secret 1", "secret 2", "new"],
        ["new", "secret 1", "secret 2"],
        ["new"],
    ]
    # Seven days of cookie_age, or 30 of absolute_age, and a minute of clock_skew.
    assert plan["steps"][2]["safe_after"] == "2026-11-08T00:01:00Z"
    assert plan["steps"][2]["safe_after_with_longer_expiries"] == "2026-12-01T00:01:00Z"
    assert SessionSettings(secret_keys=plan["new_secret"])
    assert SECRET not in outcome.out


def test_rotate_for_people_never_shows_a_present_secret(run: Run) -> None:
    outcome = run("rotate", "--promoted", "2026-11-01T12:00+02:00")
    assert outcome.code == 0
    assert SECRET not in outcome.out
    assert "SESSION_SECRET_KEYS = [<secret 1>, " in outcome.out
    assert "2026-11-08T10:01:00Z" in outcome.out
    assert run("rotate", "--promoted", "soon").code == 2


# check


def test_check_finds_nothing_bad_in_the_defaults(run: Run, node: SessionStorageConnector) -> None:
    node.delete_session(node.generate_session_id())
    outcome = run("check", "--json")
    assert outcome.code == 0, outcome.out
    found = outcome.findings
    assert found == {
        **dict.fromkeys(("settings", "secrets", "Secure", "HttpOnly", "SameSite"), "good"),
        **dict.fromkeys(("lifetime", "list", "file", "access", "durable"), "good"),
        **dict.fromkeys(("room", "growth", "subject"), "good"),
        **dict.fromkeys(("name", "head"), "note"),
    }
    lines = run("check").out.splitlines()
    assert len(lines) == len(found)
    assert all(line.startswith(("good", "note", "bad")) for line in lines)


@pytest.mark.parametrize(
    ("name", "value", "what", "level"),
    [
        ("cookie_secure", "false", "Secure", "bad"),
        ("cookie_httponly", "False", "HttpOnly", "bad"),
        ("cookie_samesite", "None", "SameSite", "note"),
        ("cookie_domain", "example.org", "Domain", "note"),
        ("cookie_name", "__Host-s", "name", "good"),
        ("cookie_age", "9999999", "lifetime", "note"),
        ("on_unreachable", "accept", "on_unreachable", "note"),
        ("on_lost", "accept", "on_lost", "note"),
        ("compress", "true", "compress", "note"),
        ("max_staleness", "5", "max_staleness", "note"),
        ("subject_key", "", "subject", "bad"),
        ("max_cookie_bytes", "3000", "head", "good"),
        ("audience", "another", "used", "note"),
        ("secret_keys", "a" * 40, "secrets", "bad"),
        ("secret_keys", "please-change-me-before-going-live!!", "secrets", "bad"),
        ("secret_keys", "qazwsxedcrfvtgbyhn" * 5, "secrets", "bad"),
        ("session_dir", "", "list", "bad"),
    ],
)
def test_check_says_what_to_change(
    run: Run,
    node: SessionStorageConnector,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    what: str,
    level: str,
) -> None:
    session_token(node, {})
    monkeypatch.setenv(setting_name(name), value)
    outcome = run("check", "--json")
    assert outcome.findings[what] == level
    assert outcome.code == (1 if level == "bad" else 0)
    assert value not in outcome.out or name != "secret_keys"
    if what in ("Secure", "HttpOnly"):  # in the words that settings have, whatever the framework
        assert f"{setting_name(name)} = True" in outcome.out


def test_check_before_the_first_request_gates_a_deployment(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    outcome = run("check", "--json")
    assert (outcome.code, outcome.findings["list"]) == (0, "note")
    assert "the first node that answers makes it" in outcome.out
    assert not folder.exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("SESSION_DIR", str(tmp_path / "file" / "below"))
    outcome = run("check", "--json")
    assert (outcome.code, outcome.findings["list"]) == (1, "bad")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is Linux's")
@pytest.mark.parametrize("where", ["/proc", "/proc/sessions", "/proc/a/b"])
def test_check_of_a_folder_in_which_even_root_can_make_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("SESSION_DIR", where)
    outcome = run("check", "--json")
    assert (outcome.code, outcome.findings["list"]) == (1, "bad")
    assert "none can be made in /proc" in outcome.out


def test_what_only_looks_makes_no_entry_for_an_application_that_is_not_there(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would disarm what guards `revoke` and `clear-all` against a wrong cookie name."""
    token = session_token(node, {"user": 7})
    monkeypatch.setenv("SESSION_COOKIE_NAME", "sesion_id")
    other = SessionStorageConnector(
        SQLiteRevocationList,
        settings=SessionSettings(
            secret_keys=SECRET, session_dir=node.settings.session_dir, cookie_name="sesion_id"
        ),
    )
    elsewhere = seal_token(
        KeyRing.of(other.settings), Claims(b"i" * 16, 0, 2**48 - 1, 0), b"\x80", 0
    )
    for looks in (("check",), ("inspect",), ("revocations", "--purge"), ("rotate",)):
        run(*looks, stdin=elsewhere)
        assert not other.revocations.knows(other.rules.scopes.prefix)
    other.close()
    outcome = run("check")
    assert outcome.code == 0
    assert "by nobody yet under the cookie name 'sesion_id' and the audience ''" in outcome.out
    assert run("revoke", "--subject", "7").code == 2
    assert run("clear-all", "--yes").code == 2
    assert node.get_session(token) == {"user": 7}


def test_check_says_how_large_the_head_of_a_response_gets(
    run: Run, node: SessionStorageConnector
) -> None:
    session_token(node, {})
    (largest,) = re.findall(r"head +up to ([\d,]+) bytes", run("check").out)
    low, high = 0, 4_000
    store = SessionStore(None, connector=node)
    while low < high:  # the largest data that fit
        middle = (low + high + 1) // 2
        store["text"] = "x" * middle
        try:
            store.save()
        except SessionTooLarge:
            high = middle - 1
        else:
            low = middle
    store["text"] = "x" * low
    headers = session_headers(store)
    size = sum(len(f"{name}: {value}\r\n") for name, value in headers)
    assert int(largest.replace(",", "")) - 40 < size <= int(largest.replace(",", ""))


def test_a_random_secret_is_never_taken_for_a_placeholder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four characters of a word stand in one random secret of some ten thousand."""
    for chance in ("1234", "xxxx", "XxXx"):
        secret = f"kV3u0Yx2Tq9sLm8Wp5Rd7Fg6H{chance}Bn4Zc1JaQe_oUiy-tEwKX0v2M9l"
        monkeypatch.setenv("SESSION_SECRET_KEYS", secret)
        assert run("check", "--json").findings["secrets"] == "good"


def test_check_accepts_what_keygen_makes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        monkeypatch.setenv("SESSION_SECRET_KEYS", run("keygen").out)
        assert run("check", "--json").findings["secrets"] == "good"


def test_check_finds_a_damaged_or_open_list(
    run: Run, node: SessionStorageConnector, folder: Path
) -> None:
    for _ in range(200):
        node.delete_session(node.generate_session_id())
    node.close()
    path = folder / "revocations.sqlite3"
    path.chmod(0o644)
    assert run("check", "--json").findings["access"] == "bad"
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    outcome = run("check", "--json")
    assert outcome.code == 1
    assert "bad" in (outcome.findings.get("file"), outcome.findings["list"])


def test_check_shows_the_growth(run: Run, node: SessionStorageConnector, folder: Path) -> None:
    days = 10
    for day in range(days):
        ago = SQLiteRevocationList(folder, clock=lambda ago=days - day: time.time() - ago * 86_400)
        past = SessionStorageConnector(lambda ago=ago: ago, settings=node.settings)
        for _ in range(5):
            past.delete_session(past.generate_session_id())
        past.close()
    assert "50 entries" in run("check").out
    assert "about 5 a day: levels off at about 150" in run("check").out


def test_file_systems_that_do_not_last(tmp_path: Path) -> None:
    from duck_cookie_session.cli.sqlite_checks import _check_durable, file_system

    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\n"
        f"tmpfs {tmp_path}/t tmpfs rw 0 0\n"
        f"host:/x {tmp_path}/n\\040s nfs4 rw 0 0\n"
    )
    for place, kind, level in (
        ("t/s", "tmpfs", "bad"),
        ("n s/s", "nfs4", "bad"),
        ("tt", "ext4", "good"),
    ):
        assert file_system(tmp_path / place, mounts) == kind
        assert _check_durable(kind).level == level
    assert file_system(tmp_path, tmp_path / "missing") is None
    assert _check_durable(None).level == "good"


def test_check_of_lists_of_other_kinds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, level in (("Kept", "note"), ("Forgetful", "bad")):
        monkeypatch.setenv("SESSION_STORAGE", f"{__name__}.{name}List")
        assert run("check", "--json").findings["durable"] == level


def test_check_says_how_long_an_answer_takes_without_connecting(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    FarList.asked = 0
    monkeypatch.setenv("SESSION_STORAGE", f"{__name__}.FarList")
    monkeypatch.setattr("time.perf_counter", lambda: FarList.spent[FarList.asked])
    assert "FarList, answered in 0.4 ms\n" in run("check").out


class KeptList(MemoryRevocationList):
    """A list of somebody else's, which says that it is kept."""

    persistent = True


class FarList(KeptList):
    """A list that takes 241 ms to be reached, and 0.4 ms to answer."""

    asked = 0
    spent = (0, 0.241, 0.2414, 0.2418)

    def knows(self, prefix: bytes) -> bool:
        FarList.asked += 1
        return False


class ForgetfulList(MemoryRevocationList):
    """A list of somebody else's, which is not kept."""


def test_check_of_a_storage_that_is_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_STORAGE", "builtins.dict")
    assert run("check", "--json").findings["list"] == "bad"
    monkeypatch.setenv("SESSION_STORAGE", "nowhere.at.All")
    outcome = run("check")
    assert outcome.code == 2
    assert "nowhere" in outcome.err


def test_check_of_a_cookie_without_samesite(
    run: Run, tmp_path: Path, folder: Path, node: SessionStorageConnector
) -> None:
    session_token(node, {})
    file = tmp_path / "settings.json"
    settings = {
        "SECRET_KEY": SECRET,
        "SECRET_KEY_FALLBACKS": [OTHER_SECRET[:-1] + str(n) for n in range(3)],
        "SESSION_COOKIE_SAMESITE": None,
        "SESSION_DIR": str(folder),
    }
    file.write_text(json.dumps(settings))
    report = run("check", "--json", "--settings", str(file)).json["findings"]
    assert ("SameSite", "bad") in [(found["what"], found["level"]) for found in report]
    assert ("secrets", "note") in [(found["what"], found["level"]) for found in report]


def test_check_of_a_disk_that_is_nearly_full_and_a_file_of_another_user(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_token(node, {})
    monkeypatch.setattr("duck_cookie_session.cli.sqlite_checks.ROOM", 2**62)
    other = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: other)
    found = run("check", "--json").findings
    assert (found["room"], found["access"]) == ("bad", "note")


def test_check_of_a_file_that_is_damaged_where_no_lookup_goes(tmp_path: Path) -> None:
    from duck_cookie_session.cli.sqlite_checks import check_sqlite

    (tmp_path / "revocations.sqlite3").write_bytes(b"junk" * 4096)
    assert next(iter(check_sqlite(str(tmp_path)))).level == "bad"


def test_check_finds_a_secret_that_duck_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import ModuleType

    from duck_cookie_session.cli.checking import check_secrets
    from duck_cookie_session.cli.sources import Source

    made_by_duck = ModuleType("duck.secrets")
    made_by_duck.DUCK_SECRET = SECRET  # type: ignore[attr-defined]  # as Duck's module has it
    monkeypatch.setitem(sys.modules, "duck.secrets", made_by_duck)
    for secret, level in ((SECRET, "bad"), (OTHER_SECRET, "good")):
        source = Source("Duck", SessionSettings(secret_keys=secret), None, duck=True)
        assert [found.level for found in check_secrets(source)] == [level]


# Where settings come from


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SESSION_COOKIE_NAMES", "SESSION_COOKIE_NAME"),
        ("SESION_DIR", "SESSION_DIR"),
        ("cookie_secure", "SESSION_COOKIE_SECURE"),
        ("SESSION_SUBJECT", "SESSION_SUBJECT_KEY"),
        ("SECRET_KEYS", "SESSION_SECRET_KEYS"),
        ("secret_keys", "SESSION_SECRET_KEYS"),
        ("SECRET_KEYY", "SECRET_KEY"),
    ],
)
def test_a_misspelt_name_in_a_settings_file_is_refused_with_the_nearest(
    run: Run, tmp_path: Path, name: str, nearest: str
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"SESSION_SECRET_KEYS": [SECRET], name: "a value not shown"}))
    outcome = run("check", "--settings", str(file))
    assert outcome.code == 2
    assert f"has {name!r}, which is not a setting; did you mean {nearest}?" in outcome.err
    assert "not shown" not in outcome.err


def test_check_notes_a_misspelt_name_in_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_MANAGER", "local/desktop:@/tmp/.ICE-unix/1")  # of X11
    monkeypatch.setenv("SESSION_COOKIE_AGE", "3600")
    assert "unknown" not in run("check", "--json").findings
    monkeypatch.setenv("SESSION_COOKI_NAME", "a value not shown")
    outcome = run("check", "--json")
    assert (outcome.code, outcome.findings["unknown"]) == (0, "note")
    assert "SESSION_COOKI_NAME" in outcome.out
    assert "the nearest is SESSION_COOKIE_NAME" in outcome.out
    assert "not shown" not in outcome.out


def test_settings_from_a_file_go_before_the_environment(
    run: Run, tmp_path: Path, node: SessionStorageConnector, folder: Path
) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"SESSION_SECRET_KEYS": [OTHER_SECRET], "SESSION_DIR": str(folder)}))
    token = session_token(node, {"a": 1})
    assert run("inspect", stdin=token).code == 0
    for arguments in (["--settings", str(file), "inspect"], ["inspect", "--settings", str(file)]):
        assert run(*arguments, "--json", stdin=token).json["reason"] == "no key"


@pytest.mark.parametrize("content", [b"\xff", b"{", b"[]", b'{"SESSION_SECRET_KEYS": "tooshort!"}'])
def test_a_bad_settings_file_is_exit_code_2_and_shows_no_content(
    run: Run, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    outcome = run("check", "--settings", str(file))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err
    assert "tooshort" not in outcome.err


def test_a_settings_file_that_is_cut_off_is_named_with_the_place(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(f'{{"SESSION_SECRET_KEYS": ["{SECRET}"],\n  "SESSION_DIR": "/srv')
    outcome = run("check", "--settings", str(file))
    assert f"{file} is not JSON: see line 2, column 18." in outcome.err
    assert (outcome.code, SECRET in outcome.err, "/srv" in outcome.err) == (2, False, False)


def test_no_settings_at_all_says_where_they_may_be(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SESSION_SECRET_KEYS")
    outcome = run("check")
    assert outcome.code == 2
    assert "DUCK_SETTINGS_MODULE" in outcome.err
    assert run("check", "--settings", "/nowhere/at.all").code == 2


def test_secrets_in_the_environment_separated_by_blanks(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_SECRET_KEYS", f"{'k' * 40}\n {'l' * 40}")
    assert len(run("rotate", "--json").json["steps"][0]["secret_keys"]) == 3
    monkeypatch.setenv("SESSION_SECRET_KEYS", "a " + "k" * 40)
    outcome = run("rotate")
    assert outcome.code == 2
    assert "has only 1 byte in secret 1" in outcome.err
    assert "SESSION_SECRET_KEYS is split at blanks" in outcome.err
    monkeypatch.setenv("SESSION_SECRET_KEYS", "[broken")
    assert run("rotate").code == 2
    monkeypatch.setenv("SESSION_SECRET_KEYS", "k" * 40)
    monkeypatch.setenv("SESSION_COOKIE_SECURE", "perhaps")
    outcome = run("rotate")
    assert outcome.code == 2
    assert "SESSION_COOKIE_SECURE" in outcome.err


@pytest.mark.slow
def test_the_settings_of_duck_in_the_working_folder(
    tmp_path: Path, folder: Path, node: SessionStorageConnector
) -> None:
    pytest.importorskip("duck", reason="Duck is not installed (extra `duck`)")
    token = session_token(node, {"_auth_user_id": 7})
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "__init__.py").touch()
    (tmp_path / "web" / "settings.py").write_text(
        f"SECRET_KEY = {SECRET!r}\nSESSION_DIR = {str(folder)!r}\n"
        'SESSION_ENGINE = "duck_cookie_session.engine"\n'
        'SESSION_STORAGE = "duck_cookie_session.SQLiteRevocationList"\n'
        'SESSION_COOKI_NAME = "shop"\n'
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SESSION_")}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("duck-cookie-session")), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, input=stdin, capture_output=True, text=True
        )

    assert run("inspect", stdin=token).stdout.startswith("Accepted")
    checked = run("check")
    assert "Duck's settings (web.settings)" in checked.stdout
    (noted,) = (line for line in checked.stdout.splitlines() if "unknown" in line)
    assert "SESSION_COOKI_NAME" in noted
    assert "the nearest is SESSION_COOKIE_NAME" in noted
    assert run("revoke", "--subject", "7").returncode == 0
    # The node of this test has another subject key: for it the session is a visitor's. Under
    # Duck's key a session of subject 7 is refused.
    by_name = run("revoke", "--username", "alice")
    assert by_name.returncode == 2
    assert "Give the user's primary key with --subject." in by_name.stderr
    environment["DUCK_SETTINGS_MODULE"] = "web.missing"
    failed = run("check")
    assert failed.returncode == 2
    assert "No module named 'web.missing'" in failed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ("SECRET_KEY = undefined", "name 'undefined' is not defined"),
        ("import os\nSECRET_KEY = os.environ['NOT_SET']", "KeyError: 'NOT_SET'"),
        ("x = (", "SyntaxError: '(' was never closed"),
        ("raise ValueError('hidden')", "ValueError ("),
    ],
)
def test_settings_of_duck_that_can_not_be_imported_say_why(
    tmp_path: Path, content: str, why: str
) -> None:
    pytest.importorskip("duck", reason="Duck is not installed (extra `duck`)")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "__init__.py").touch()
    (tmp_path / "web" / "settings.py").write_text(content)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SESSION_")}
    failed = subprocess.run(
        [sys.executable, "-m", "duck_cookie_session", "check"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert failed.returncode == 2
    assert why in failed.stderr
    assert "settings.py" in failed.stderr
    assert "line 1" in failed.stderr or "line 2" in failed.stderr
    assert "above" not in failed.stderr
    assert "hidden" not in failed.stderr


# The program as such


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.5, "1.5 seconds"), (180, "3 minutes"), (86_400, "24 hours"), (172_800, "2 days")],
)
def test_durations_are_told_in_a_fitting_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_ctrl_c_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("secrets.token_urlsafe", interrupted)
    outcome = run("keygen")
    assert (outcome.code, outcome.err) == (130, "duck-cookie-session: stopped\n")


def test_help_shows_examples_and_exit_codes(run: Run) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert "duck-cookie-session inspect < token.txt" in outcome.out
    assert "exit codes:" in outcome.out
    for command in (
        "keygen",
        "inspect",
        "revoke",
        "clear-all",
        "new-birth",
        "revocations",
        "rotate",
        "check",
    ):
        assert "example:" in run(command, "--help").out
    assert "SESSION_SECRET_KEYS" not in run("keygen", "--help").out  # it goes by no settings
    assert run().code == 2
    assert run("fly").code == 2


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_examples_of_each_help_are_accepted(run: Run, name: str) -> None:
    shown = run(name, "--help").out.partition("example:\n")[2].partition("\n\n")[0]
    assert shown
    for line in shown.splitlines():
        words = shlex.split(line.partition("<")[0])
        given = words[words.index(name) :]
        chosen = parser().parse_args(given)
        assert chosen.command == name
        if getattr(chosen, "session_id", None):
            assert id_from_text(chosen.session_id) is not None


def test_a_subject_is_looked_up_nowhere_without_a_framework(
    run: Run, node: SessionStorageConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_token(node, {"user": 7})
    outcome = run("revoke", "--username", "alice")
    assert outcome.code == 2
    assert "Give --subject with what stands under 'user' in the session" in outcome.err
    monkeypatch.setenv("SESSION_SUBJECT_KEY", "")
    outcome = run("revoke", "--subject", "7")
    assert outcome.code == 2
    assert "no session has a subject" in outcome.err


def test_inspect_shows_the_claims_of_the_list_groups_and_authentication(
    run: Run, node: SessionStorageConnector
) -> None:
    visitor = run("inspect", "--json", stdin=session_token(node, {})).json
    assert (visitor["authenticated"], visitor["checkpoint"], visitor["groups"]) == (None, None, 0)
    node.delete_session(node.generate_session_id())
    standing = node.revocations.lookup((node.rules.scopes.everything,))
    now = int(time.time()) * 1000
    claims = Claims(
        b"i" * 16,
        now,
        now + 60_000,
        0,
        birth=standing.birth,
        checkpoint=standing.checkpoint,
        reach=standing.reach,
        subject="7",
        groups=((b"a" * 16, 0), (b"b" * 16, 5)),
        authenticated_ms=now - 3_600_000,
    )
    token = seal_token(KeyRing.of(node.settings), claims, b"\x80", now // 1000)
    facts = run("inspect", "--json", stdin=token).json
    assert facts["birth"] == visitor["birth"] == standing.birth
    assert facts["checkpoint"] == standing.checkpoint
    assert facts["groups"] == 2
    assert facts["authenticated"] == moment(now / 1000 - 3_600)
    shown = run("inspect", stdin=token).out
    for row in ("list's birth", "checkpoint", "groups", "authenticated"):
        assert re.search(rf"^{row} +\S", shown, re.MULTILINE)


def test_no_option_takes_a_secret(run: Run) -> None:
    for arguments in (["--secret", "x", "check"], ["inspect", "token"], ["revoke", "token"]):
        assert run(*arguments).code == 2


def test_as_a_module_without_any_framework(tmp_path: Path) -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['x', 'check']\n"
        "try: runpy.run_module('duck_cookie_session', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted({'duck', 'redis', 'flask', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr == ""
    assert done.stdout.endswith("[]\n")


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "duck_cookie_session", "check"],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    )
    os.close(writing)
    assert "Traceback" not in done.stderr


def test_output_that_the_terminal_can_not_encode_is_escaped(
    node: SessionStorageConnector, tmp_path: Path
) -> None:
    token = session_token(node, {"user": "Zoë"})
    done = subprocess.run(
        [sys.executable, "-m", "duck_cookie_session", "inspect"],
        input=token.encode(),
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert b"Zo\\xeb" in done.stdout
