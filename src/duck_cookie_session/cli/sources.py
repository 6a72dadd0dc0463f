"""Where a command's settings come from: a file, Duck's settings, or the environment."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import InvalidSettings
from ..revocation.memory import MemoryRevocationList
from ..revocation.sqlite import FILE_NAME, SQLiteRevocationList
from ..session.connector import SessionStorageConnector
from ..session.duck import DUCK_SUBJECT_KEY, duck_settings, import_storage
from ..session.names import NAMES, nearest, unknown
from ..settings import SessionSettings, is_sql_url, setting_name
from .output import UsageError
from .users import DuckUsers, Users

SECRETS = setting_name("secret_keys")
DUCK_MODULE = "DUCK_SETTINGS_MODULE"
NOT_OURS = ("SESSION_MANAGER",)
"""SESSION_ variables of others: X11 desktops set this one."""

IN_MEMORY = (
    "The revocation list is in the memory of each process (MemoryRevocationList): it can't be "
    "looked into from here, and ends with its process."
)
REDIS_LIST = "duck_cookie_session.revocation.redis.RedisRevocationList"
SQL_LIST = "duck_cookie_session.revocation.sql.SQLRevocationList"

HELP = f"""\
Settings come from the first of these that is there:
  --settings FILE      JSON object with the names that Duck's settings have, such as
                       {{"{SECRETS}": ["..."], "SESSION_DIR": "/var/lib/app"}}
  {DUCK_MODULE} Duck's settings, that module (the working folder is on its path)
  {SECRETS}  the environment: secrets, newest first, separated by blanks, or a
                       JSON list; SESSION_DIR, SESSION_COOKIE_NAME and the others by their names
  web/settings.py      Duck's settings, in the working folder
They must be those of the nodes: the list goes by cookie name and audience, and keeps a revocation
for absolute_age. With Django's settings run `manage.py sessions COMMAND`, with Flask's
`flask sessions COMMAND`.
Secrets are never taken from the command line: other users of the machine could read them there.
Run it as the user that the nodes run as, so that a file it makes is theirs."""


@dataclass(frozen=True)
class Source:
    """Settings and where they were found.

    Attributes:
        name: for people.
        settings: validated.
        storage: the class or callable of the revocation list; None where none is set.
        duck: whether they are Duck's.
        users: where a user's primary key can be looked up; None where there is no such place.
        unknown: names of settings that nothing goes by, each with the nearest that there is.
    """

    name: str
    settings: SessionSettings
    storage: Any
    duck: bool = False
    users: Users | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    def connector(self) -> SessionStorageConnector:
        """A connector over the list that the nodes use.

        Raises:
            UsageError: there is no list that another process could look into.
            InvalidSettings, RevocationListUnavailable.
        """
        if self.storage is None:
            raise UsageError(
                f"No revocation list is set in {self.name}. Set SESSION_DIR to the folder of the "
                "nodes' SQLite list, or SESSION_REVOCATION_URL, or SESSION_STORAGE."
            )
        if self.storage is MemoryRevocationList:
            raise UsageError(IN_MEMORY)
        missing = self.missing_file()
        if missing is not None:
            raise UsageError(
                f"There is no revocation list at {missing}. Is SESSION_DIR the folder that the "
                "nodes use? A node makes the list when it answers its first request."
            )
        made = SessionStorageConnector(self.storage, settings=self.settings)
        if type(made.revocations) is MemoryRevocationList:
            made.close()
            raise UsageError(IN_MEMORY)
        return made

    def missing_file(self) -> Path | None:
        """Where the SQLite list would be if it is not there; nothing is made by looking."""
        if self.storage is not SQLiteRevocationList or self.settings.session_dir is None:
            return None
        path = Path(self.settings.session_dir).absolute() / FILE_NAME
        try:
            return None if path.exists() else path
        except OSError:  # it can't be told: the list says why when it is asked
            return None


def find(arguments: argparse.Namespace) -> Source:
    """The settings: those of the framework whose command runs, else the first that is there.

    Raises:
        UsageError, InvalidSettings.
    """
    given: Callable[[], Source] | None = getattr(arguments, "source", None)
    if given is not None:
        return given()
    file: str | None = arguments.settings
    if file is not None:
        return _from_mapping(f"the file {file}", _read(file))
    if DUCK_MODULE not in os.environ and os.environ.get(SECRETS):
        return _from_environment()
    if DUCK_MODULE in os.environ or Path("web", "settings.py").is_file():
        return _from_duck()
    raise UsageError("No settings found.\n" + HELP)


def _from_mapping(name: str, mapping: Mapping[str, Any]) -> Source:
    settings = SessionSettings.from_mapping(mapping)
    storage = mapping.get("SESSION_STORAGE")
    if storage is None and settings.revocation_url is not None:
        storage = SQL_LIST if is_sql_url(settings.revocation_url) else REDIS_LIST
    if storage is None and settings.session_dir is not None:
        storage = SQLiteRevocationList
    return Source(name, settings, import_storage(storage))


def _from_duck() -> Source:
    here = str(Path.cwd())
    if here not in sys.path:  # as under `python -m`, where Duck finds web.settings so
        sys.path.insert(0, here)
    mapping = duck_settings()
    settings = SessionSettings.from_mapping(mapping, subject_key=DUCK_SUBJECT_KEY)
    name = f"Duck's settings ({os.environ[DUCK_MODULE]})"
    storage = import_storage(mapping.get("SESSION_STORAGE"))
    ducks_own = dir(sys.modules.get("duck.etc.settings"))  # its defaults, read just now
    strange = unknown(mapping, ducks_own)
    return Source(name, settings, storage, duck=True, users=DuckUsers(), unknown=strange)


def _read(file: str) -> Mapping[str, Any]:
    try:
        mapping = json.loads(Path(file).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"The settings {file} can't be read: {error.strerror}.") from error
    except ValueError as error:
        # Not shown: what stands around the error may be a secret.
        said = f"{file} is not JSON in UTF-8."
        if isinstance(error, json.JSONDecodeError):
            said = f"{file} is not JSON: see line {error.lineno}, column {error.colno}."
        raise UsageError(said) from error
    if not isinstance(mapping, dict):
        raise UsageError(f"The settings {file} are not a JSON object of names and values.")
    for name in mapping:
        if name not in NAMES:
            raise UsageError(
                f"{file} has {name!r}, which is not a setting; did you mean {nearest(name)}?"
            )
    return mapping


def _from_environment() -> Source:
    try:
        found = _from_mapping("the environment", _environment(os.environ))
    except InvalidSettings as error:
        if str(error).startswith("secret_keys") and len(os.environ[SECRETS].split()) > 1:
            raise UsageError(f"{error} In the environment {SECRETS} is split at blanks.") from error
        raise
    return replace(found, unknown=unknown(os.environ, NOT_OURS))


def _environment(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """What the environment sets; an empty value counts as not set."""
    mapping: dict[str, Any] = {}
    for spec in fields(SessionSettings):
        name = setting_name(spec.name)
        text = environment.get(name)
        if text:
            kind = str(spec.type)
            if kind.startswith("tuple"):
                mapping[name] = _several(name, text)
            else:
                mapping[name] = text if kind.removesuffix(" | None") == "str" else _value(text)
    if environment.get("SESSION_STORAGE"):
        mapping["SESSION_STORAGE"] = environment["SESSION_STORAGE"]
    return mapping


def _several(name: str, text: str) -> Any:
    """Several texts: separated by blanks, or a JSON list."""
    if not text.lstrip().startswith("["):
        return text.split()
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidSettings(f"{name} begins with [ and is not a JSON list.") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower() if text in ("True", "False") else text)
    except ValueError:
        return text
