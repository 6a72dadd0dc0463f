"""`manage.py sessions`: the command line with the settings of this project."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from .....cli.main import DESCRIPTION, add_commands, execute
from .....cli.sources import Source
from .....cli.users import Users
from ..._connector import read_settings, unknown_names

if TYPE_CHECKING:  # Django ships no types
    from ...._untyped import BaseCommand
else:
    from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """The commands of `duck-cookie-session`; the exit codes are those."""

    help: str = DESCRIPTION
    requires_system_checks: tuple[str, ...] = ()  # `check` says itself what is wrong

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The same commands and options."""
        add_commands(parser, "manage.py sessions", framework="Django")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run the one that was chosen; another exit code than 0 ends the process."""
        self.stdout.ending = ""  # what is printed has line ends of its own
        self.stderr.ending = ""
        with contextlib.redirect_stdout(self.stdout), contextlib.redirect_stderr(self.stderr):
            code = execute(argparse.Namespace(**options, source=_source))
        if code:
            sys.exit(code)


def _source() -> Source:
    settings, storage = read_settings()
    name = f"Django's settings ({os.environ.get('DJANGO_SETTINGS_MODULE', 'configured')})"
    return Source(name, settings, storage, users=Users(), unknown=unknown_names())
