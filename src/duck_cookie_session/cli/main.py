"""Arguments, help and exit codes of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from ..errors import InvalidArgument, InvalidSettings, RevocationListUnavailable
from . import checking, revoking, rotating, tokens
from .output import UNREACHABLE, USAGE, UsageError, complain
from .sources import HELP

DESCRIPTION = "Encrypted cookie sessions: make secrets, look into tokens, revoke, check."

EPILOG = f"""\
examples:
  duck-cookie-session keygen
  duck-cookie-session inspect < token.txt
  duck-cookie-session revoke --subject 4711
  duck-cookie-session revocations --purge --json
  duck-cookie-session --settings sessions.json check
  python -m duck_cookie_session demo

{HELP}

exit codes:
  0  good, or done
  1  a token is refused, nothing was found to revoke, or `check` found something to change
  2  wrong arguments or settings; nothing was done
  3  the revocation list can't be reached; what was asked for is not known to be done
"""


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo, or its check."""
    from ..demo import run

    return run(check=arguments.check, redis=arguments.redis)


SETTINGS_HELP = "JSON file with the settings, see below"

Command = Callable[[argparse.Namespace], int]

COMMANDS: dict[str, tuple[Command, str, str]] = {
    "keygen": (tokens.keygen, "make a secret", "duck-cookie-session keygen"),
    "inspect": (
        tokens.inspect,
        "say what a token on standard input holds, and whether it is accepted",
        "duck-cookie-session inspect < token.txt\n  pbpaste | duck-cookie-session inspect --json",
    ),
    "revoke": (
        revoking.revoke,
        "revoke a token on standard input, a session id, or all sessions of a subject",
        "duck-cookie-session revoke < token.txt\n"
        "  duck-cookie-session revoke --session-id=AbCdEfGhIjKlMnOpQrStUv\n"
        "  duck-cookie-session revoke --subject 4711",
    ),
    "clear-all": (
        revoking.clear_all,
        "refuse every session issued so far (asks first)",
        "duck-cookie-session clear-all --yes",
    ),
    "new-birth": (
        revoking.new_birth,
        "make a copied list one of its own, which lives beside the original (asks first)",
        "duck-cookie-session --settings staging.json new-birth --yes",
    ),
    "revocations": (
        revoking.revocations,
        "count the entries of the revocation list; purge those that have expired",
        "duck-cookie-session revocations --purge",
    ),
    "rotate": (
        rotating.rotate,
        "print the settings that replace the secrets, and from when each is safe",
        "duck-cookie-session rotate --promoted 2026-11-22T14:30",
    ),
    "check": (
        checking.check,
        "look at settings, secrets and list: each line good, note or bad",
        "duck-cookie-session check --json",
    ),
    "demo": (
        demo,
        "run two Duck nodes and a page to try them with",
        "python -m duck_cookie_session demo --check",
    ),
}


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    made = argparse.ArgumentParser(
        prog="duck-cookie-session",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=_version())
    made.add_argument("--settings", metavar="FILE", help=SETTINGS_HELP)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, summary, example) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}\n\n{HELP}"
            if name != "demo"
            else f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name not in ("keygen", "demo"):
            command.add_argument(
                "--settings", metavar="FILE", help=SETTINGS_HELP, default=argparse.SUPPRESS
            )
        if name not in ("clear-all", "new-birth", "demo"):
            command.add_argument("--json", action="store_true", help="print JSON, for programs")
        _add_options(name, command)
    return made


def _version() -> str:
    try:
        return version("duck-cookie-session")
    except PackageNotFoundError:  # run from a source tree
        return "not installed"


def _add_options(name: str, command: argparse.ArgumentParser) -> None:
    if name == "inspect":
        command.add_argument(
            "--show-values", action="store_true", help="print the values of the session too"
        )
    elif name == "revoke":
        which = command.add_mutually_exclusive_group()
        which.add_argument("--session-id", metavar="ID", help="22 characters; write --session-id=")
        which.add_argument("--subject", help="whose sessions, all of them")
    elif name in ("clear-all", "new-birth"):
        command.add_argument("--yes", action="store_true", help="do not ask")
    elif name == "revocations":
        command.add_argument("--purge", action="store_true", help="remove what has expired first")
    elif name == "rotate":
        command.add_argument(
            "--promoted", metavar="TIME", help="when the last node was promoted (default: now)"
        )
    elif name == "demo":
        command.add_argument("--check", action="store_true", help="walk the tour by program")
        command.add_argument("--redis", metavar="URL", help="revocation list on this Redis")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    chosen = parser().parse_args(arguments)
    command, _, _ = COMMANDS[chosen.command]
    try:
        return command(chosen)
    except (UsageError, InvalidSettings, InvalidArgument) as error:
        complain(str(error))
        return USAGE
    except RevocationListUnavailable as error:
        complain(str(error))
        return UNREACHABLE
    except KeyboardInterrupt:
        complain("stopped")
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USAGE
