"""The demo: two real Duck nodes on this machine, and a page to try them with. Not API.

python -m duck_cookie_session demo              until Ctrl-C
python -m duck_cookie_session demo --check      the same tour without a person
python -m duck_cookie_session demo --redis URL  both nodes on one Redis
python -m duck_cookie_session demo --https      over https, where a browser may bind its session
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


_TRUST = """\
Their certificate is signed by an authority that was made for this run; its key is kept nowhere. To
try sessions that are bound to the device, start a Chromium of its own that trusts it (certutil is
in Debian's libnss3-tools), and close it before you stop the demo: what it keeps goes with it. The
last switch has the key made in software, for machines without a security chip.

  export HOME={folder}/browser
  mkdir -p $HOME/.pki/nssdb
  certutil -d sql:$HOME/.pki/nssdb -N --empty-password
  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n demo -i {folder}/authority.pem
  chromium --user-data-dir=$HOME/profile --no-first-run {address} \\
    --enable-features=DeviceBoundSessions,{software}
"""

_SOFTWARE_KEYS = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting"


def run(check: bool = False, redis: str | None = None, *, https: bool = False) -> int:
    """Run the demo until Ctrl-C, or its check.

    Args:
        check: walk the tour by program, print each step, and stop.
        redis: address of a Redis (redis://...) for the revocation list, in place of SQLite.
        https: whether the nodes speak https, with a certificate made for this run, and let
            browsers bind their sessions.

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
        with nodes.started(redis, https=https) as running:
            for number, address in enumerate(running.addresses, 1):
                print(f"Node {number}: {address}", flush=True)
            if check:
                return 0 if tour.walk(running) else 1
            if https:
                where, software = running.addresses[0], _SOFTWARE_KEYS
                print(_TRUST.format(folder=running.folder, address=where, software=software))
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
