"""Programs that the fault tests start, kill and starve: python programs.py NAME FOLDER [...].

Each prints one JSON value a line, after what it tells of is done.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionRevoked,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SQLiteRevocationList,
)

SECRET = "a secret of forty characters, used in tests"


def open_node(folder: str) -> SessionStorageConnector:
    settings = SessionSettings(secret_keys=SECRET, subject_key="user")
    # Patient: a busy machine is no fault that these tests look for.
    return SessionStorageConnector(
        lambda: SQLiteRevocationList(folder, busy_timeout=60), settings=settings
    )


def tell(value: Any) -> None:
    """One write, so that a kill leaves a whole line or none."""
    os.write(1, json.dumps(value).encode() + b"\n")


def attempt(call: Callable[[], object]) -> str | None:
    """None where the call went well, the message where the list could not be asked."""
    try:
        call()
    except RevocationListUnavailable as error:
        return str(error)
    return None


def revoke_one(node: SessionStorageConnector, number: int) -> str:
    """Start a session and end it in one of four ways; a token that is refused from then on."""
    user = f"user {os.getpid()} {number}"
    token = node.set_session(None, {"user": user})
    way = number % 4
    if way == 0:
        node.delete_session(token)
    elif way == 1:
        node.delete_subject(user)
    else:
        session = SessionStore(token, connector=node)
        if way == 2:
            session.supersede()
        else:
            session["user"] = user + " again"  # a login gives another id
        session.save()
    return token


def killed(folder: str, rounds: str) -> None:
    """A child that revokes in a loop, killed with -9 again and again, each time elsewhere."""
    for number in range(int(rounds)):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(writing, 1)
            node = open_node(folder)
            tell({"kept": node.set_session(None, {"kept": number})})
            for count in range(1_000_000):
                tell({"revoked": revoke_one(node, count)})
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            # Round 0 kills it while it makes the file, if it can be hit.
            for _ in range(random.Random(number).randrange(25) if number else 0):
                os.write(1, lines.readline())
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.write(1, b"".join(line for line in lines if line.endswith(b"\n")))


def full(folder: str, how: str) -> None:
    """Revoke until the disk is full, read and revoke then, and again with room made."""
    ballast = Path(folder, "ballast")
    if how == "disk":
        ballast.write_bytes(bytes(64 * 1024))
    node = open_node(folder)
    live = node.set_session(None, {"a": 1})
    waiting = [node.set_session(None, {"n": number}) for number in range(5_000)]
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    failed, done = None, 0
    for token in waiting:
        failed = attempt(lambda token=token: node.delete_session(token))
        if failed:
            break
        tell({"revoked": token})
        done += 1
    tell({"failed": failed, "after": done})
    tell({"live": attempt(lambda: node.get_session(live)) or node.get_session(live)})
    tell({"believed": sum(node.get_session(token) is not None for token in waiting[:done])})
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    else:
        ballast.unlink()
    tell({"again": attempt(lambda: node.delete_session(waiting[done]))})
    tell({"revoked": waiting[done]})
    tell({"kept": live})


def read_only(folder: str, token: str) -> None:
    """Read and revoke as somebody who may not write there."""
    with tempfile.TemporaryDirectory() as elsewhere:  # imports all there is to import
        revoke_one(open_node(elsewhere), 0)
    if os.getuid() == 0:  # root may write anywhere; another user may not read all of Python
        os.setgid(65534)
        os.setuid(65534)
    node = open_node(folder)
    tell(attempt(lambda: node.get_session(token)) or node.get_session(token))
    tell(attempt(lambda: node.delete_session(token)))
    tell(attempt(lambda: node.set_session(None, {"a": 1})))


def many(folder: str, rounds: str) -> None:
    """Live sessions and ended ones, as one of several processes at once; four threads."""

    def work(node: SessionStorageConnector) -> None:
        for number in range(int(rounds)):
            kept = node.set_session(None, {"n": number})
            kept = node.update_session(kept, {"more": number})
            ended = revoke_one(node, number)
            tell({"revoked": ended} if node.get_session(ended) is None else {"believed": ended})
            tell({"kept" if node.get_session(kept) else "lost": kept})

    node = open_node(folder)
    threads = [threading.Thread(target=work, args=(node,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def forked(folder: str, children: str) -> None:
    """Fork while threads use the connector; parent and children go on with it."""
    node = open_node(folder)
    kept = node.set_session(None, {"kept": 1})
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            tell({"revoked": revoke_one(node, number)})
            node.get_session(kept)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    pids = []
    for _ in range(int(children)):
        tell({"revoked": revoke_one(node, 0)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks among threads: meant so
            pid = os.fork()
        if pid == 0:
            for number in range(10):
                tell({"revoked": revoke_one(node, number)})
            tell({"kept" if node.get_session(kept) else "lost": kept})
            node.close()
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        tell({"status": os.waitpid(pid, 0)[1]})
    stop.set()
    for thread in threads:
        thread.join()
    tell({"kept" if node.get_session(kept) else "lost": kept})


def serve(folder: str) -> None:
    """Do what standard input says, a JSON list a line: the name of a call and its arguments."""
    node = open_node(folder)
    calls: dict[str, Callable[..., object]] = {
        "start": lambda number=0: node.set_session(None, {"n": number}),
        "read": node.get_session,
        "revoke": node.delete_session,
        "clear all": node.clear_all_sessions,
        "forgotten": lambda: node.stats()["forgotten"],
        "save": node.save,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        tell(calls[name](*arguments))


def shutdown(folder: str, how: str) -> None:
    """End while threads revoke and read; `atexit` revokes once more."""
    node = open_node(folder)
    last = node.set_session(None, {"a": 1})
    ready = threading.Barrier(5)

    def load() -> None:
        for number in range(1_000_000):
            try:
                tell({"revoked": revoke_one(node, number)})
            except SessionRevoked as error:
                tell({"wrong": str(error)})
            if number == 3:
                ready.wait()

    def at_exit() -> None:
        node.delete_session(last)
        tell({"revoked": last})
        if how == "closed":
            node.close()

    atexit.register(at_exit)
    for _ in range(4):
        threading.Thread(target=load, daemon=True).start()
    ready.wait()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
