"""The demo: two real Duck nodes on this machine, and a page to try them with. Not API.

python -m duck_cookie_session demo              until Ctrl-C
python -m duck_cookie_session demo --check      the same tour without a person
python -m duck_cookie_session demo --redis URL  both nodes on one Redis
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
from types import FrameType as _FrameType

_NO_DUCK = (
    "The demo runs under Duck, which is not installed here. Install the extra:\n"
    "    pip install 'duck-cookie-session[duck]'"
)
_NO_REDIS = (
    "--redis needs the Redis client, which is not installed here. Install the extra:\n"
    "    pip install 'duck-cookie-session[redis]'"
)


def run(check: bool = False, redis: str | None = None) -> int:
    """Run the demo until Ctrl-C, or its check.

    Args:
        check: walk the tour by program, print each step, and stop.
        redis: address of a Redis (redis://...) for the revocation list, in place of SQLite.

    Returns:
        Exit code: 0 if all holds, 1 if a step of the check or a node failed, 2 if something is
        not installed.
    """
    for module, message in (("duck", _NO_DUCK), ("redis" if redis else "duck", _NO_REDIS)):
        if importlib.util.find_spec(module) is None:
            print(message, file=sys.stderr)
            return 2
    from . import nodes, tour

    previous = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _as_interrupt)  # to stop the nodes then, too
    try:
        with nodes.started(redis) as running:
            for number, address in enumerate(running.addresses, 1):
                print(f"Node {number}: {address}", flush=True)
            if check:
                return 0 if tour.walk(running) else 1
            print("Open one of them in a browser; Ctrl-C stops both.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nStopped.")
    except nodes.NodeFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, previous)
    return 0


def _as_interrupt(number: int, frame: _FrameType | None) -> None:
    raise KeyboardInterrupt
