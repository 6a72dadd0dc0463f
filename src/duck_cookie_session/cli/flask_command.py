"""`flask sessions`: the command line with the settings of the application. Found by Flask through
the entry point `flask.commands`."""

from __future__ import annotations

import argparse
import sys

import click
from flask import current_app
from flask.cli import with_appcontext

from ..contrib.flask import CookieSessionInterface
from ..session.names import unknown
from .main import DESCRIPTION, add_commands, execute
from .output import UsageError
from .sources import Source


@click.command(
    "sessions",
    help=DESCRIPTION + " `flask sessions --help` lists them.",
    short_help="Look into and revoke cookie sessions.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def sessions(arguments: tuple[str, ...]) -> None:
    """Run one of the commands of `duck-cookie-session`; the exit codes are those."""
    parser = argparse.ArgumentParser(prog="flask sessions", description=DESCRIPTION)
    parser.set_defaults(source=_source)
    add_commands(parser, "flask sessions", framework="Flask")
    sys.exit(execute(parser.parse_args(arguments)))


def _source() -> Source:
    interface = current_app.session_interface
    if not isinstance(interface, CookieSessionInterface):
        raise UsageError(
            f"The application {current_app.name!r} has a {type(interface).__name__} as its "
            "session_interface, not a CookieSessionInterface."
        )
    settings, storage = interface.described(current_app)
    strange = unknown(current_app.config, current_app.default_config)
    name = f"the Flask application {current_app.name!r}"
    return Source(name, settings, storage, unknown=strange)
