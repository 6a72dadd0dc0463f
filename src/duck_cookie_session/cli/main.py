"""Arguments, help and exit codes of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from ..errors import InvalidArgument, InvalidSettings, RevocationListUnavailable, SessionError
from ..revocation._sql_texts import DIALECTS, schema
from . import checking, revoking, rotating, tokens
from .output import FOUND, GOOD, UNREACHABLE, USAGE, UsageError, complain, say
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

    return run(arguments.check, arguments.redis, https=arguments.https)


def sql_schema(arguments: argparse.Namespace) -> int:
    """Print the tables of SQLRevocationList, and what a user needs who may not make them."""
    say("-- The user of the nodes needs SELECT, INSERT, UPDATE and DELETE on both tables.\n")
    say(schema(arguments.server))
    return GOOD


PROGRAM = "duck-cookie-session"
SUBJECT_HELP = (
    "whose sessions, all of them: what stands under SESSION_SUBJECT_KEY; under Django and Duck "
    "that is the user's primary key"
)
USERNAME_HELP = "whose sessions, by the user name: looked up under Django and Duck"
GROUP_HELP = "whose sessions, by a group of SESSION_GROUP_KEYS, as in tenant=acme"
SETTINGS_HELP = "JSON file with the settings, see below"


class Command(NamedTuple):
    """A command.

    Attributes:
        run: carries it out; its exit code.
        summary: what it does.
        examples: how it is called; `{program}` stands for the program.
        own: whether it looks at an application, whose settings it needs.
    """

    run: Callable[[argparse.Namespace], int]
    summary: str
    examples: tuple[str, ...]
    own: bool = True


COMMANDS: dict[str, Command] = {
    "keygen": Command(tokens.keygen, "make a secret", ("{program} keygen",), own=False),
    "inspect": Command(
        tokens.inspect,
        "show what the token or device cookie on standard input holds, and whether it is accepted",
        ("{program} inspect < token.txt", "pbpaste | {program} inspect --json"),
    ),
    "revoke": Command(
        revoking.revoke,
        "revoke a token on standard input, a session id, or all sessions of a subject or group",
        (
            "{program} revoke < token.txt",
            "{program} revoke --session-id=AbCdEfGhIjKlMnOpQrStUg",
            "{program} revoke --subject 4711",
            "{program} revoke --username alice",
            "{program} revoke --group tenant=acme",
        ),
    ),
    "clear-all": Command(
        revoking.clear_all,
        "refuse every session issued so far (asks first)",
        ("{program} clear-all --yes",),
    ),
    "new-birth": Command(
        revoking.new_birth,
        "give a copied list a birth of its own, to live beside the original (asks first)",
        ("{program} new-birth --yes",),
    ),
    "revocations": Command(
        revoking.revocations,
        "count the entries of the revocation list; purge those that have expired",
        ("{program} revocations --purge",),
    ),
    "rotate": Command(
        rotating.rotate,
        "print the settings that replace the secrets, and from when each is safe",
        ("{program} rotate --promoted 2026-11-22T14:30",),
    ),
    "check": Command(
        checking.check,
        "check the settings, the secrets and the list; each line is good, note or bad",
        ("{program} check --json",),
    ),
    "sql-schema": Command(
        sql_schema,
        "print the statements that make the tables of SQLRevocationList",
        ("{program} sql-schema postgresql",),
        own=False,
    ),
    "demo": Command(
        demo,
        "run two Duck nodes and a page to try them with",
        ("python -m duck_cookie_session demo --check",),
        own=False,
    ),
}


PLAIN = ("sql-schema", "demo")
"""Commands that go by no settings and have nothing for programs."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    made = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=_version())
    made.add_argument("--settings", metavar="FILE", help=SETTINGS_HELP)
    add_commands(made, PROGRAM)
    return made


def add_commands(
    made: argparse.ArgumentParser, program: str, *, framework: str | None = None
) -> None:
    """Add the commands to a parser.

    Args:
        program: how they are called, as in "manage.py sessions".
        framework: the one whose settings count; None for those that `HELP` names.
    """
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    where = HELP if framework is None else f"The settings are those of the {framework} project."
    for name, (_, summary, examples, own) in COMMANDS.items():
        if framework is not None and name == "demo":
            continue
        shown = "\n".join("  " + example.format(program=program) for example in examples)
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n{shown}" + (f"\n\n{where}" if own else ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if own and framework is None:
            command.add_argument(
                "--settings", metavar="FILE", help=SETTINGS_HELP, default=argparse.SUPPRESS
            )
        if name not in ("clear-all", "new-birth", *PLAIN):
            command.add_argument("--json", action="store_true", help="print JSON, for programs")
        _add_options(name, command)


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
        which.add_argument("--subject", metavar="ID", help=SUBJECT_HELP)
        which.add_argument("--username", metavar="NAME", help=USERNAME_HELP)
        which.add_argument("--group", metavar="NAME=VALUE", help=GROUP_HELP)
    elif name in ("clear-all", "new-birth"):
        command.add_argument("--yes", action="store_true", help="do not ask")
    elif name == "revocations":
        command.add_argument("--purge", action="store_true", help="remove what has expired first")
    elif name == "rotate":
        command.add_argument(
            "--promoted", metavar="TIME", help="when the last node was promoted (default: now)"
        )
    elif name == "sql-schema":
        command.add_argument("server", choices=sorted(DIALECTS), help="which server they are for")
    elif name == "demo":
        command.add_argument("--check", action="store_true", help="take the tour by itself")
        command.add_argument("--redis", metavar="URL", help="revocation list on this Redis")
        command.add_argument(
            "--https", action="store_true", help="over https, where browsers may bind sessions"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return execute(parser().parse_args(arguments))


def execute(chosen: argparse.Namespace) -> int:
    """Run the command that was chosen; its exit code.

    Args:
        chosen: what a parser with `add_commands` gave. Its attribute `source`, if it has one, is
            called for the settings, a `sources.Source`.
    """
    try:
        return COMMANDS[chosen.command].run(chosen)
    except (UsageError, InvalidSettings, InvalidArgument) as error:
        complain(str(error))
        return USAGE
    except RevocationListUnavailable as error:
        complain(str(error))
        return UNREACHABLE
    except SessionError as error:  # clear-all that refused nothing
        complain(str(error))
        return FOUND
    except KeyboardInterrupt:
        complain("stopped")
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more may be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return USAGE
