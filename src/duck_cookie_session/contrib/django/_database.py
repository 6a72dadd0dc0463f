"""SESSION_REVOCATION_DATABASE: an entry of Django's DATABASES as the address of the list.

The list has connections of its own there: Django's are in the transaction of the request, and what
that rolls back has to stay revoked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connections

from ...errors import InvalidSettings

_ENGINES = {
    "django.db.backends.postgresql": "postgresql",
    "django.contrib.gis.db.backends.postgis": "postgresql",
    "django.db.backends.mysql": "mariadb",
    "django.contrib.gis.db.backends.mysql": "mariadb",
}

# Of OPTIONS: what says how to use a connection, not to which server; and what drivers name alike.
_DJANGOS_OWN = {
    "assume_role", "charset", "client_encoding", "connect_timeout", "init_command",
    "isolation_level", "pool", "prepare_threshold", "server_side_binding", "sql_mode",
    "use_unicode",
}  # fmt: skip
_OF_PYMYSQL = {"read_default_file", "read_default_group", "unix_socket"}
_OF_TLS = {"ca", "cert", "key", "capath", "cipher", "check_hostname"}


def database_url(alias: object) -> str:
    """The address that SQLRevocationList takes.

    Raises:
        InvalidSettings: there is no such entry, or it can't be an address.
    """
    if not isinstance(alias, str):
        raise InvalidSettings(
            f"SESSION_REVOCATION_DATABASE is of type {type(alias).__name__}; allowed: the name "
            'of an entry of DATABASES, as "default".'
        )
    entry = connections.settings.get(alias)
    if entry is None:
        raise InvalidSettings(
            f"SESSION_REVOCATION_DATABASE is {alias!r}, which DATABASES does not have."
        )
    backend = _ENGINES.get(entry["ENGINE"])
    if backend is None:
        raise InvalidSettings(
            f"SESSION_REVOCATION_DATABASE is {alias!r}, a database of {entry['ENGINE']}; allowed: "
            "PostgreSQL and MariaDB. For SQLite leave it out: the list in SESSION_DIR is one."
        )
    from sqlalchemy.engine import URL

    host = entry["HOST"] or None
    query = dict(_options(alias, backend, entry.get("OPTIONS") or {}))
    if host is not None and host.startswith("/"):  # a socket, or the folder of one
        query["host" if backend == "postgresql" else "unix_socket"] = host
        host = None
    made = URL.create(
        backend,
        username=entry["USER"] or None,
        password=entry["PASSWORD"] or None,
        host=host,
        port=_port(alias, entry["PORT"]) if entry["PORT"] else None,
        database=entry["NAME"] or None,
        query=query,
    )
    return made.render_as_string(hide_password=False)


def _port(alias: str, port: object) -> int:
    if not str(port).isdecimal():
        raise InvalidSettings(
            f"SESSION_REVOCATION_DATABASE is {alias!r}, whose PORT is {port!r}; allowed: a number."
        )
    return int(str(port))


def _options(alias: str, backend: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if name in _DJANGOS_OWN:
            continue
        if (backend == "postgresql" and isinstance(value, (str, int))) or name in _OF_PYMYSQL:
            yield name, str(value)
        elif name == "ssl" and isinstance(value, dict) and value.keys() <= _OF_TLS:
            for part, path in value.items():
                yield f"ssl_{part}", str(path).lower() if isinstance(path, bool) else str(path)
        else:
            raise InvalidSettings(
                f"SESSION_REVOCATION_DATABASE is {alias!r}, whose OPTIONS have {name!r}, which is "
                "not known here: give the address as SESSION_REVOCATION_URL and SESSION_STORAGE = "
                '"duck_cookie_session.revocation.sql.SQLRevocationList" instead.'
            )
