"""Configuration of Sphinx, and what the pages take from the source instead of repeating it.

A page says `<!-- generated: NAME -->` where the text of `GENERATED[NAME]()` goes. Up to
`<!-- end -->` it says where that is found by whoever reads the page as a file.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from duck_cookie_session import SessionSettings  # noqa: E402  # found by the line above
from duck_cookie_session.cli.main import parser  # noqa: E402
from duck_cookie_session.settings import setting_name  # noqa: E402

_VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)

project = "duck-cookie-session"
author = project_copyright = "The duck-cookie-session authors"
version = release = _VERSION.findall((ROOT / "pyproject.toml").read_text("utf-8"))[0]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_copy_source = False

myst_heading_anchors = 3
smartquotes_action = "D"  # dashes only: what stands between quotes is often code
default_role = "code"  # what stands between single backticks in a docstring
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_use_ivar = True

# No inventories are downloaded, so names of other packages can't be looked up; ours must be there.
# A type variable of a decorator has no page, nor has the protocol of what is used of a session.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!duck_cookie_session\.).*"),
    (r"py:.*", r".*\.(Method|oidc\.Session)"),
]


def settings_table() -> str:
    """Every field of `SessionSettings`: its names, its default, and what its docstring says."""
    parameters = inspect.signature(SessionSettings).parameters
    return "\n\n".join(_setting(name, given.default) for name, given in parameters.items())


def _setting(name: str, default: object) -> str:
    text = described()[name]
    shown = "required" if default is inspect.Parameter.empty else f"default `{default!r}`"
    return f"### {name}\n\n`{setting_name(name)}`, {shown}\n\n{text[0].upper()}{text[1:]}"


def described() -> dict[str, str]:
    """What the docstring of `SessionSettings` says of each field."""
    text = inspect.cleandoc(SessionSettings.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", text, re.DOTALL | re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in found}


def command_line() -> str:
    """Every command: what it does, its options, an example; then what holds for all of them."""
    made = parser()
    made.prog = "duck-cookie-session"
    (commands,) = (a for a in made._actions if isinstance(a, argparse._SubParsersAction))
    parts = [part for name, command in commands.choices.items() for part in _command(name, command)]
    common = (made.epilog or "").partition("\n\n")[2]  # behind its examples
    return "\n\n".join([*parts, "## For all commands", f"```text\n{common.strip()}\n```"])


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {name}"
    yield str(command.description)
    example = (command.epilog or "").partition("\n\n")[0].partition("\n")[2]
    yield f"```text\n{inspect.cleandoc(example)}\n```"
    rows = [
        f"| `{', '.join(action.option_strings)}{_value(action)}` | {_quoted(action.help)} |"
        for action in command._actions
        if action.option_strings and action.dest != "help"
    ]
    if rows:
        yield "\n".join(["| option | |", "|---|---|", *rows])


def _quoted(text: str | None) -> str:
    """The text with the options that it names marked as code."""
    return re.sub(r"--[\w-]+=?", r"`\g<0>`", text or "")


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    return f" {action.metavar or action.dest.upper()}"


GENERATED: dict[str, Callable[[], str]] = {
    "settings": settings_table,
    "command line": command_line,
}


def _put_in(app: Any, name: str, source: list[str]) -> None:
    del app, name
    source[0] = re.sub(
        r"<!-- generated: ([\w ]+) -->.*?<!-- end -->",
        lambda found: GENERATED[found[1]](),
        source[0],
        flags=re.DOTALL,
    )


def _before_napoleon(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Three things that napoleon reads in its own way.

    It takes the first words of a property or attribute before a colon for its type, of several
    errors listed over more than one line each line for one, and "as `save`" for an error's name.
    """
    del app, name, obj, options
    if what in ("property", "attribute") and lines:
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)
    if "Raises:" in lines:
        at = lines.index("Raises:") + 1
        if lines[at].startswith("    as "):
            lines[at - 1 : at + 1] = [f"Raises the same {lines[at].strip()}"]
            return
        while at + 1 < len(lines):
            if lines[at].endswith(","):
                lines[at] += " " + lines.pop(at + 1).strip()
            else:
                at += 1


def _by_public_name(app: Any, env: Any, node: Any, contents: Any) -> Any:
    """A type hint names the module where a class is written; the reference has it elsewhere."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("duck_cookie_session."):
        return None
    domain = env.get_domain("py")
    last = target.rpartition(".")[2]
    for full in domain.objects:
        if full.rpartition(".")[2] == last and full.split(".")[-1][0].isupper():
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", full, node, contents
            )
    return None


def setup(app: Any) -> None:
    """What Sphinx calls first."""
    app.connect("source-read", _put_in)
    app.connect("autodoc-process-docstring", _before_napoleon, priority=400)
    app.connect("missing-reference", _by_public_name)
