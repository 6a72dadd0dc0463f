"""The demo, run as a user runs it: two real Duck nodes, asked over HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from duck_cookie_session import demo
from duck_cookie_session.demo import nodes, page, tour
from duck_cookie_session.demo.client import Browser
from tests.helpers.redis_server import RedisServer

pytestmark = pytest.mark.server

COOKIE = "session_id"
TIMEOUT = 60


@pytest.fixture(scope="module")
def running() -> Iterator[nodes.Nodes]:
    with nodes.started() as found:
        yield found


@pytest.fixture
def start_demo(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`demo`, started in an empty folder, with an empty folder for temporary files."""
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "duck_cookie_session", "demo", *options],
                cwd=tmp_path / "here",
                env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def command(start_demo: Callable[..., subprocess.Popen[str]]) -> subprocess.Popen[str]:
    return start_demo()


def _ports(process: subprocess.Popen[str]) -> list[int]:
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    assert "Ctrl-C" in lines[2]
    return [int(re.fullmatch(r"Node \d: http://127.0.0.1:(\d+)\n", line)[1]) for line in lines[:2]]


def _gone(port: int) -> bool:
    """Whether nobody listens there any more, asked until that is so or time is up."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            Browser().get(port, "/")
        except ConnectionRefusedError:
            return True
        except (OSError, http.client.HTTPException):
            continue  # cut off while it ends
    return False


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 12),
        # Half a minute: what a request under way at the binding has, by the clock of real nodes.
        pytest.param(["--https"], 18, marks=pytest.mark.slow),
    ],
)
def test_check_holds_and_leaves_nothing_behind(
    tmp_path: Path, options: list[str], count: int
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "duck_cookie_session", "demo", "--check", *options],
        cwd=tmp_path / "here",
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=2 * TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ ?\d+\. ok  ", done.stdout, re.MULTILINE)
    assert len(steps) == count
    assert list((tmp_path / "here").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_check_fails_where_a_step_does_not_hold(
    running: nodes.Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    one_process = dataclasses.replace(running, ports=(running.ports[0],) * 2)
    assert tour.walk(one_process) is False
    assert (
        "3. FAILED  see the cart on node 2: both nodes are one process" in capsys.readouterr().err
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_leaves_nothing_behind(
    command: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    ports = _ports(command)
    assert [Browser().get(port, "/").status for port in ports] == [200, 200]
    command.send_signal(number)
    assert command.wait(TIMEOUT) == 0
    assert all(map(_gone, ports))
    assert list((tmp_path / "here").iterdir()) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_over_https_it_says_how_to_trust_it_and_removes_the_browser_s_folder(
    start_demo: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    command = start_demo("--https")
    assert command.stdout is not None
    said = "".join(
        iter(command.stdout.readline, "Open one of them in a browser; Ctrl-C stops both.\n")
    )
    assert "--enable-features=DeviceBoundSessions," in said
    found = re.search(r"export HOME=(\S+)\n", said)
    assert found is not None
    profile = Path(found[1]) / "profile"
    profile.mkdir(parents=True)
    (profile / "Cookies").touch()
    assert found[1].startswith(str(tmp_path / "temporary"))
    command.send_signal(signal.SIGINT)
    assert command.wait(TIMEOUT) == 0
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_nodes_end_with_a_demo_that_was_killed(command: subprocess.Popen[str]) -> None:
    ports = _ports(command)
    command.kill()
    command.wait(TIMEOUT)
    assert all(map(_gone, ports))


def test_check_holds_on_redis(
    redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(check=True, redis=redis_server.url) == 0
    assert re.search(r"by node 2 within \d\.\d s \(max_staleness 2 s\)", capsys.readouterr().out)


def test_without_duck_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "duck", None)
    assert demo.run(check=True) == 2
    assert "pip install 'duck-cookie-session[duck]'" in capsys.readouterr().err


def test_without_the_redis_client_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    assert demo.run(check=True, redis="redis://127.0.0.1:1/0") == 2
    assert "pip install 'duck-cookie-session[redis]'" in capsys.readouterr().err


def test_a_node_that_does_not_start_is_shown_with_what_it_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    assert demo.run(check=True) == 1
    error = capsys.readouterr().err
    assert "node1 did not start" in error
    assert "Fatal Python error" in error


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1:1/0", "revocation list"),
        ("http://127.0.0.1:1/0", "revocation_url (SESSION_REVOCATION_URL) has another scheme"),
    ],
)
def test_a_list_that_can_not_be_used_is_said_at_start(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.run(check=True, redis=url) == 1
    error = capsys.readouterr().err
    assert "node1 did not start" in error
    assert said in error
    assert "Traceback" not in error


def test_a_full_cart_is_said_and_the_cookie_kept(running: nodes.Nodes) -> None:
    browser, port = Browser(), running.ports[0]
    for number in range(60):
        answer = browser.post(port, "/cart", {"item": f"{number:02}" + "x" * 78})
        if answer.all("Location") == ["/?done=full"]:
            break
    assert answer.all("Location") == ["/?done=full"]
    assert answer.all("Set-Cookie") == []
    assert len(browser.state(port)["cart"]) == number
    assert number > 30
    assert "would no longer fit" in browser.get(port, "/?done=full").text


@pytest.mark.parametrize("path", ["/cart", "/login", "/logout", "/copy"])
def test_nothing_is_changed_by_a_link(running: nodes.Nodes, path: str) -> None:
    browser, port = Browser(), running.ports[1]
    browser.post(port, "/login", {"name": "alice"})
    before = browser.cookies[COOKIE]
    assert browser.get(port, path + "?item=duck&name=mallory").status >= 400
    assert browser.cookies[COOKIE] == before
    assert browser.state(port)["user"] == "alice"


@pytest.mark.parametrize(
    ("path", "form", "word"),
    [
        ("/cart", {"item": "  "}, "empty"),
        ("/login", {"name": ""}, "nameless"),
        ("/logout", {}, "nobody"),
        ("/copy", {}, "nothing"),
    ],
)
def test_what_a_visitor_can_not_do_is_said(
    running: nodes.Nodes, path: str, form: dict[str, str], word: str
) -> None:
    answer = Browser().post(running.ports[0], path, form)
    assert answer.status == 303
    assert answer.all("Location") == [f"/?done={word}"]
    assert answer.all("Set-Cookie") == []
    assert word in page.NOTES


def test_a_session_ended_in_another_tab_is_said(running: nodes.Nodes) -> None:
    one, two = running.ports
    browser = Browser()
    browser.post(one, "/login", {"name": "alice"})
    late = Browser(dict(browser.cookies))
    browser.post(one, "/logout", {})
    answer = late.post(two, "/cart", {"item": "late"})
    assert answer.status == 303
    assert answer.all("Set-Cookie") == []
    assert late.state(two)["cart"] == []


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_nodes_that_hang_or_are_gone_are_said_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "STOP", 0.1)
    with nodes.started() as running:
        browser, (one, two) = Browser(), running.ports
        browser.post(one, "/login", {"name": "alice"})
        browser.post(one, "/copy", {})
        os.kill(running.processes[1], signal.SIGKILL)
        assert _gone(two)
        assert (
            "Node 2 did not answer: ConnectionRefusedError" in browser.get(one, "/presented").text
        )
        os.kill(running.processes[0], signal.SIGSTOP)
    assert _gone(one)
    assert not running.folder.exists()


@pytest.mark.parametrize(("path", "kind"), [("/style.css", "text/css"), ("/icon.svg", "image/svg")])
def test_files_of_the_page(running: nodes.Nodes, path: str, kind: str) -> None:
    answer = Browser().get(running.ports[0], path)
    assert answer.status == 200
    assert answer.all("Content-Type")[0].startswith(kind)
    assert answer.all("Set-Cookie") == []
