"""A minimal Duck project in a folder of its own, and one served in process by commands on stdin.

Duck reads its settings once a process and keeps state in the working directory, so every Duck
contender is a process of its own: `python -m tests.benchmarks.duck_project SESSION`, started in
an empty folder. It answers each line of JSON on stdin by one line of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks import ours, web
from tests.benchmarks.data import SECRET
from tests.benchmarks.measure import Batch, calling, same

SESSIONS = ("none", "file", "memory", "sqlite")
"""No session middleware; Duck's own engine with file storage; this library over either list."""

DJANGO = "duck.etc.structures.projects.testing.web.backend.django.duckapp.duckapp.settings"
OWN = ["duck.http.middlewares.contrib.session.SessionMiddleware"]
LIBRARY = ["duck_cookie_session.contrib.duck.SessionMiddleware"]


def settings_of(session: str, folder: Path) -> dict[str, Any]:
    """Duck's settings for one of `SESSIONS`."""
    lists = {
        "memory": "duck_cookie_session.MemoryRevocationList",
        "sqlite": "duck_cookie_session.SQLiteRevocationList",
    }
    common = {
        "SECRET_KEY": SECRET[:32],  # Duck's caches take a key of at most 32 bytes
        "DEBUG": False,
        "ALLOWED_HOSTS": ["*"],
        "DJANGO_SETTINGS_MODULE": DJANGO,
        "AUTO_RELOAD": False,
        "LOG_TO_FILE": False,
        "SILENT": True,
        "URLPATTERNS_MODULE": "web.urls",
        "BLUEPRINTS": [],
        "USE_DJANGO": False,
        "SESSION_DIR": str(folder / "sessions"),
        "SESSION_COOKIE_DOMAIN": "localhost",
        "SESSION_COOKIE_NAME": ours.COOKIE_NAME,
        "MIDDLEWARES": [] if session == "none" else OWN if session == "file" else LIBRARY,
    }
    if session in lists:
        return {
            **common,
            "SESSION_ENGINE": "duck_cookie_session.engine",
            "SESSION_STORAGE": lists[session],
        }
    return {**common, "SESSION_STORAGE": "duck.utils.caching.KeyAsFolderCache"}


URLS = """
from duck.urls import path
from tests.benchmarks import duck_project as views

urlpatterns = [path(f"/{view.__name__}", view) for view in views.VIEWS]
"""


def write_project(folder: Path, session: str, port: int = 8000) -> None:
    """Write the package `web` that Duck expects in its working directory."""
    package = folder / "web"
    package.mkdir(parents=True)
    lines = [f"{name} = {value!r}" for name, value in settings_of(session, folder).items()]
    (package / "__init__.py").write_text("")
    (package / "settings.py").write_text("\n".join(lines) + "\n")
    (package / "urls.py").write_text(URLS)
    (package / "main.py").write_text(
        "from duck.app import App\n\n"
        f"app = App(port={port}, addr='127.0.0.1')\n\n"
        "if __name__ == '__main__':\n    app.run()\n"
    )


def plain(request: Any) -> Any:
    """Leaves the session alone."""
    del request
    return _response("plain")


def read(request: Any) -> Any:
    """Looks into the session once."""
    return _response(web.read(request.SESSION))


def write(request: Any) -> Any:
    """Changes one value."""
    return _response(web.write(request.SESSION))


def fill(request: Any) -> Any:
    """Starts a session."""
    web.fill(request.SESSION, str(request.fullpath).partition("?")[2])
    return _response("filled")


VIEWS = (plain, read, write, fill)


def _response(text: str) -> Any:
    from duck.http.response import HttpResponse

    return HttpResponse(text, content_type="text/plain")


def _raw(path: str, cookie: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/html"]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _serve(raw: bytes) -> Any:
    from duck.http.request import HttpRequest
    from duck.settings.loaded import SettingsLoaded

    request = HttpRequest(client_address=("127.0.0.1", 50_000))
    request.parse_raw_request(raw)
    return SettingsLoaded.WSGI.get_response(request)


def _command(command: dict[str, Any]) -> dict[str, Any]:
    if "ask" in command:
        response = _serve(_raw(command["ask"], command["cookie"]))
        head = response.raw.partition(b"\r\n\r\n")[0].decode("latin-1")
        pairs = [line.partition(":")[::2] for line in head.split("\r\n")]
        set_cookies = [value.strip() for name, value in pairs if name.lower() == "set-cookie"]
        return {"body": response.content.decode(), "cookies": web.cookies_of(set_cookies)}
    return {"nanoseconds": _batch(command["path"], command["cookie"])(command["count"])}


def _batch(path: str, cookie: str) -> Batch:
    raw = _raw(path, cookie)
    return calling(_serve, same(raw))


def main() -> None:
    """Set Duck up in the working directory and answer commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Duck prints; only answers may go out
    folder = Path.cwd()
    write_project(folder, sys.argv[1])
    sys.path.insert(0, str(folder))
    os.environ["DUCK_SETTINGS_MODULE"] = "web.settings"
    import duck.setup

    duck.setup.setup()
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(_command(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
