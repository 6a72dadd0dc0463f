"""The package as users get it: built, checked, and installed into an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
OPTIONAL = ("duck", "redis", "flask", "django", "prometheus_client", "sqlalchemy", "starlette")


def run(*command: object, cwd: Path | None = None) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SESSION_", "DUCK_"))}
    environment.pop("PYTHONPATH", None)
    environment["SOURCE_DATE_EPOCH"] = "1800000000"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    for name in ("build", "twine"):
        pytest.importorskip(name, reason=f"{name} is not installed (extra `test`)")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has this package, without extras, and nothing else of its own."""
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", folder)
    made = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    (wheel,) = built.glob("*.whl")
    run(made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return made


def test_twine_finds_nothing_wrong(built: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir())


def test_built_again_they_are_the_same_to_the_byte(built: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path, ROOT)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert again == {path.name: path.read_bytes() for path in built.iterdir()}


def test_what_the_wheel_holds(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        told = Parser().parsestr(archive.read(metadata).decode())
    assert "duck_cookie_session/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith(("duck_cookie_session/", "duck_cookie_session-")) for name in names)
    needed = [line for line in told.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert sorted(re.match(r"\w+", line)[0] for line in needed) == ["cryptography", "msgpack"]  # type: ignore[index]  # they match
    assert told["License-Expression"] == "MIT"
    # On a package index the README stands alone.
    text = str(told.get_payload())
    assert text.startswith("# duck-cookie-session\n")
    assert "pip install" in text
    assert "`docs/start.md`" in text
    assert not re.findall(r"\]\((?!https?:)|<(?:img|picture|source) ", text)


def test_the_sdist_holds_the_tests_and_documents(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    documents = {"README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"}
    assert documents | {"tests/token/vectors.json"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(".venv")]


def test_it_imports_without_any_framework(python: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys\n"
        f"assert not [n for n in {OPTIONAL!r} if importlib.util.find_spec(n)]\n"
        "import duck_cookie_session as d, duck_cookie_session.cli, duck_cookie_session.engine\n"
        "s = d.SessionSettings(secret_keys='k' * 32)\n"
        "c = d.SessionStorageConnector(d.MemoryRevocationList, settings=s)\n"
        "assert c.get_session(c.set_session(None, {'a': 1})) == {'a': 1}\n"
        "import duck_cookie_session.contrib.asgi\n"
    )
    run(python, "-W", "error", "-c", program, cwd=tmp_path)


@pytest.mark.parametrize(
    ("module", "extra"),
    [("revocation.redis", "redis"), ("revocation.sql", "sql"), ("contrib.oidc", "oidc")],
)
def test_what_needs_an_extra_says_so(python: Path, tmp_path: Path, module: str, extra: str) -> None:
    program = (
        "try:\n"
        f"    import duck_cookie_session.{module}\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert f"duck-cookie-session[{extra}]" in run(python, "-c", program, cwd=tmp_path)


def test_the_command_line_is_installed(python: Path, tmp_path: Path) -> None:
    program = python.with_name("duck-cookie-session")
    assert len(run(program, "keygen", cwd=tmp_path).strip()) == 32
    assert run(program, "--version").strip() == version("duck-cookie-session")
    assert run(python, "-m", "duck_cookie_session", "--version") == run(program, "--version")


def test_the_version_stands_in_one_place() -> None:
    told = version("duck-cookie-session")
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'version = "{told}"' in pyproject
    sources = (ROOT / "src").rglob("*.py")
    assert not [
        path
        for path in sources
        if re.search(rf"['\"]{re.escape(told)}['\"]", path.read_text("utf-8"))
    ]
    assert f"## {told}" in (ROOT / "CHANGELOG.md").read_text("utf-8").replace("[", "").replace(
        "]", ""
    )
