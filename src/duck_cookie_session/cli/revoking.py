"""revoke, clear-all, new-birth and revocations."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from ..errors import InvalidArgument
from ..session.connector import SessionStorageConnector
from ..token.format import id_from_text, id_to_text
from .output import FOUND, GOOD, UsageError, complain, moment, say, say_json, table
from .sources import Source, find
from .tokens import check_is_value, read_token

PROGRESS_EVERY = 0.5
"""Seconds between two lines of progress."""


def revoke(arguments: argparse.Namespace) -> int:
    """Revoke a token's session, a session by its id, or every session of a subject or group."""
    source = find(arguments)
    if arguments.group is not None:
        return _revoke_group(source, arguments.group, json=arguments.json)
    session_id, token = arguments.session_id, None
    if session_id is not None and id_from_text(session_id) is None:
        raise UsageError(
            f"--session-id {session_id!r} is not a session id, which has 22 characters, as "
            "`inspect` shows it. A log shows only its start."
        )
    by_subject = arguments.subject is not None or arguments.username is not None
    subject = _subject(source, arguments.subject, arguments.username) if by_subject else None
    if by_subject and subject is None:
        complain(f"nothing was revoked: there is no user {arguments.username!r}")
        return FOUND
    if session_id is None and subject is None:
        token = read_token().removeprefix(source.settings.cookie_name + "=")
        check_is_value(token, source.settings)
    connector = source.connector()
    try:
        _check_known(connector)
        done = _revoke(connector, token or session_id, subject)
    finally:
        connector.close()
    if done is None:
        complain("nothing was revoked: no secret in use made this token for this cookie")
        return FOUND
    what, whom = done
    if arguments.json:
        say_json({"revoked": what, what: whom})
    else:
        table([("revoked " + what.replace("_", " "), whom)])
    return GOOD


def _revoke_group(source: Source, group: str, *, json: bool) -> int:
    """Revoke every session of a group, given as name=value."""
    name, equals, value = group.partition("=")
    if not equals or not value:
        raise UsageError(f"--group takes a name and a value, as in tenant=acme, not {group!r}.")
    connector = source.connector()
    try:
        _check_known(connector)
        connector.delete_group(name, value)
    except InvalidArgument as error:
        raise UsageError(f"Nothing was changed: {error}") from error
    finally:
        connector.close()
    if json:
        say_json({"revoked": "group", "group": {"name": name, "value": value}})
    else:
        table([("revoked group", group)])
    return GOOD


def _subject(source: Source, subject: str | None, username: str | None) -> str | None:
    """The subject that was meant; None if no user has that name.

    Raises:
        UsageError: there can't be one.
    """
    if source.settings.subject_key is None:
        raise UsageError(
            "Nothing was changed: no subject key is set (SESSION_SUBJECT_KEY), so no session has a "
            "subject."
        )
    if username is None:
        return subject if source.users is None or subject is None else source.users.subject(subject)
    if source.users is None:
        raise UsageError(
            f"--username needs users to look in, and {source.name} names none. Give --subject with "
            f"what stands under {source.settings.subject_key!r} in the session."
        )
    return source.users.primary_key(username)


def _revoke(
    connector: SessionStorageConnector, token_or_id: str | None, subject: str | None
) -> tuple[str, str] | None:
    if subject is not None:
        connector.delete_subject(subject)
        return "subject", subject
    found = connector.session_id_of(token_or_id)
    if found is None:
        return None
    connector.delete_session(id_to_text(found))
    return "session_id", id_to_text(found)


def clear_all(arguments: argparse.Namespace) -> int:
    """Refuse every token issued so far."""
    connector = find(arguments).connector()
    try:
        if not arguments.yes and not _confirmed("clear-all", "on every node"):
            say("Nothing was changed.")
            return FOUND
        _check_known(connector)
        connector.clear_all_sessions()
    finally:
        connector.close()
    say("Every session issued until now is refused.")
    return GOOD


def new_birth(arguments: argparse.Namespace) -> int:
    """Give the list a new birth, so that it can live beside the one it was copied from."""
    connector = find(arguments).connector()
    try:
        if connector.settings.on_lost == "accept":
            raise UsageError("new-birth does nothing under on_lost='accept': no birth is kept.")
        if not arguments.yes and not _confirmed("new-birth", "on every node that uses this list"):
            say("Nothing was changed.")
            return FOUND
        _check_known(connector)
        connector.revocations.new_birth(connector.rules.scopes.prefix)
    finally:
        connector.close()
    say("This list has a birth of its own now, and refuses every session issued before.")
    return GOOD


def _check_known(connector: SessionStorageConnector) -> None:
    """Refuse to revoke for an application that no node serves: it would do nothing."""
    settings = connector.settings
    if not connector.revocations.knows(connector.rules.scopes.prefix):
        raise UsageError(
            "Nothing was changed: no node has used this list under the cookie name "
            f"{settings.cookie_name!r} and the audience {settings.audience!r}. Set "
            "SESSION_COOKIE_NAME and SESSION_AUDIENCE to those of the nodes."
        )


def _confirmed(command: str, where: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{command} logs everybody out: answer on a terminal, or give --yes.")
    return input(f"This logs everybody out, {where}. Type yes to go on: ").strip() == "yes"


def revocations(arguments: argparse.Namespace) -> int:
    """Count what the list holds, and purge it on request."""
    connector = find(arguments).connector()
    try:
        removed = connector.revocations.purge(_progress()) if arguments.purge else None
        survey = connector.revocations.survey(connector.rules.scopes.prefix)
    finally:
        connector.close()
    facts = {
        "count": survey.entries,
        "bytes": survey.bytes,
        "oldest": moment(survey.oldest),
        "next_expiry": moment(survey.next_expiry),
        "purged": removed,
    }
    if arguments.json:
        say_json(facts)
    else:
        table((name.replace("_", " "), value) for name, value in facts.items())
    return GOOD


def _progress(clock: Callable[[], float] = time.monotonic) -> Callable[[int], None]:
    """Prints to standard error how many entries were looked at, now and then."""
    last = clock()

    def progress(looked_at: int) -> None:
        nonlocal last
        if clock() - last >= PROGRESS_EVERY:
            last = clock()
            complain(f"{looked_at:,} entries looked at")

    return progress
