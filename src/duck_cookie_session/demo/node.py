"""One node: `python -m duck_cookie_session.demo.node`, in the folder that `nodes.py` made.

It ends when its standard input does, so that it never outlives the program that started it.
"""

from __future__ import annotations

import os
import sys
import threading


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read(): that holds a lock which exit() wants
    os._exit(0)


def main() -> None:
    """Serve until told to stop."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["DUCK_SETTINGS_MODULE"] = "web.settings"
    from duck.app import App

    from .. import SessionError, get_session_storage_connector

    try:
        # It asks the list: one that can't be used is better known now than at the first visit.
        get_session_storage_connector().set_session(None, {})
    except SessionError as error:
        sys.exit(str(error))
    App(addr="127.0.0.1", port=int(os.environ["DEMO_LISTEN"]), domain="127.0.0.1").run()


if __name__ == "__main__":
    main()
