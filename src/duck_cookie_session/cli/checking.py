"""check: each setting and the list, good or what to change."""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Iterator

from ..errors import InvalidSettings, RevocationListUnavailable
from ..revocation.base import Survey
from ..revocation.sqlite import SQLiteRevocationList
from ..session.connector import SessionStorageConnector
from ..settings import SessionSettings, is_sql_url, secret_bytes
from .devices import check_able, check_device
from .findings import Finding, bad, good, note
from .output import FOUND, GOOD, UsageError, duration, moment, say, say_json, shown
from .sources import REDIS_LIST, SQL_LIST, Source, find

# Of six characters and more: shorter ones stand in one random secret of some ten thousand.
PLACEHOLDERS = (b"change", b"secret", b"password", b"insecure", b"example", b"xxxxxx", b"123456")
SAMPLE_DAY = 86_400

OTHER_HEADERS = len("Cache-Control: no-store\r\nVary: Cookie\r\n")
USUAL_HEADERS = 1_000
"""Bytes that status line and headers of an application take, security headers among them."""
SMALLEST_BUFFER = 4_096
"""The default of nginx's proxy_buffer_size on most machines: one page of memory."""


def check(arguments: argparse.Namespace) -> int:
    """Print what is good and what to change."""
    source = find(arguments)
    findings = [
        good("settings", f"valid, from {source.name}"),
        *check_names(source),
        *check_secrets(source),
        *check_cookie(source.settings),
        *check_rules(source.settings),
        *check_device(source.settings),
        check_subject(source.settings),
        check_size(source.settings),
        *check_list(source),
    ]
    is_bad = any(finding.level == "bad" for finding in findings)
    if arguments.json:
        say_json({"good": not is_bad, "findings": [finding._asdict() for finding in findings]})
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            say(f"{finding.level:<4}  {finding.what:<{width}}  {shown(finding.text)}")
    return FOUND if is_bad else GOOD


def check_names(source: Source) -> Iterator[Finding]:
    """What is set under names that nothing goes by: misspelt, or another package's."""
    for name, nearest in source.unknown.items():
        text = f"{name} is no setting and does nothing here; the nearest is {nearest}"
        yield note("unknown", text)


def check_secrets(source: Source) -> Iterator[Finding]:
    """How many secrets there are, and whether they look random."""
    secrets = source.settings.secret_keys
    weak = False
    for number, secret in enumerate(secrets, 1):
        trouble = weakness(secret_bytes(secret))
        if trouble is None and source.duck and secret == _made_by_duck():
            trouble = "was made by Duck on this machine, so that other nodes have another"
        if trouble is not None:
            weak = True
            advice = "make one with `duck-cookie-session keygen` and rotate to it"
            yield bad("secrets", f"secret {number} {trouble}: {advice}")
    if not weak:
        count = "1 secret" if len(secrets) == 1 else f"{len(secrets)} secrets"
        yield good("secrets", f"{count}, of at least {min(map(_bytes, secrets))} bytes")
    if len(secrets) > 3:
        yield note("secrets", "more than 3: retire those that are no longer needed (`rotate`)")


def _bytes(secret: str | bytes) -> int:
    return len(secret_bytes(secret))


def weakness(secret: bytes) -> str | None:
    """What makes a secret look guessable, else None. Long enough is taken for granted."""
    if len(set(secret)) == 1:
        return "repeats a single byte"
    if len(set(secret)) < 12:
        return f"has only {len(set(secret))} different bytes"
    if any(word in secret.lower() for word in PLACEHOLDERS):
        return "looks like a placeholder"
    if len(zlib.compress(secret, 9)) < 0.8 * len(secret):
        return "repeats itself"
    return None


def _made_by_duck() -> object:
    return getattr(sys.modules.get("duck.secrets"), "DUCK_SECRET", None)


def check_cookie(settings: SessionSettings) -> Iterator[Finding]:
    """The cookie's name and flags."""
    name = settings.cookie_name
    if settings.cookie_secure:
        yield good("Secure", "set")
    else:
        yield bad("Secure", "missing: it travels over plain HTTP; SESSION_COOKIE_SECURE = True")
    if settings.cookie_httponly:
        yield good("HttpOnly", "set")
    else:
        yield bad("HttpOnly", "missing: scripts can read it; SESSION_COOKIE_HTTPONLY = True")
    if settings.cookie_samesite in ("Lax", "Strict"):
        yield good("SameSite", settings.cookie_samesite)
    elif settings.cookie_samesite == "None":
        yield note("SameSite", "None: other sites' requests carry the cookie; Lax unless needed")
    else:
        yield bad("SameSite", "missing: browsers differ in what they do then; 'Lax'")
    if settings.cookie_domain is not None:
        yield note(
            "Domain", f"{settings.cookie_domain}: every subdomain receives it; None is safer"
        )
    elif name.lower().startswith("__host-"):
        yield good("name", f"{name}: no subdomain can set it")
    else:
        yield note("name", f"{name}: as __Host-{name} no subdomain could set it (ASVS V3.3.3)")


def check_rules(settings: SessionSettings) -> Iterator[Finding]:
    """Lifetimes, and the settings that weaken."""
    age, absolute = settings.cookie_age, settings.absolute_age
    text = f"{duration(age)} idle, {duration(absolute)} in all"
    if age > absolute:
        yield note("lifetime", f"{text}: cookie_age above absolute_age has no effect")
    else:
        yield good("lifetime", text)
    weaker = {
        "on_unreachable": (settings.on_unreachable, "refuse", "revoked sessions are served then"),
        "on_lost": (settings.on_lost, "refuse", "a lost list brings revoked sessions back"),
        "max_staleness": (settings.max_staleness, 0, "other nodes' revocations are seen late"),
        "compress": (settings.compress, False, "the cookie's length tells something of its data"),
    }
    for name, (value, safe, effect) in weaker.items():
        if value != safe:
            yield note(name, f"{value}: {effect}; {safe} is safer")


def check_subject(settings: SessionSettings) -> Finding:
    """Whether logins are known as such."""
    if settings.subject_key is None:
        return bad(
            "subject",
            "no subject key: a login gets no new session id, and delete_subject() ends nothing; "
            "set SESSION_SUBJECT_KEY to the key under which the login puts the user's id",
        )
    return good("subject", f"the value under {settings.subject_key!r}")


def check_size(settings: SessionSettings) -> Finding:
    """What a proxy's buffer for the head of a response must have room for."""
    largest = settings.max_cookie_bytes + len("Set-Cookie: \r\n") + OTHER_HEADERS
    text = f"up to {largest:,} bytes of ours beside your other headers"
    if largest + USUAL_HEADERS <= SMALLEST_BUFFER:
        return good("head", text)
    fits = SMALLEST_BUFFER - USUAL_HEADERS - OTHER_HEADERS - len("Set-Cookie: \r\n")
    return note(
        "head",
        f"{text}: a proxy whose buffer is smaller answers 502 (nginx: proxy_buffer_size 8k), or "
        f"set SESSION_MAX_COOKIE_BYTES to {fits:,} or less",
    )


def check_address(source: Source) -> Iterator[Finding]:
    """Whether a shared list has an address, and another list is used."""
    url, storage = source.settings.revocation_url, source.storage
    if url is None or not (isinstance(storage, type) and issubclass(storage, SQLiteRevocationList)):
        return
    yield bad(
        "address",
        "a database or Redis is set (SESSION_REVOCATION_URL, Django: SESSION_REVOCATION_DATABASE) "
        "and not used: the list is an SQLite file, and other machines are told of no logout; "
        f"SESSION_STORAGE = {(SQL_LIST if is_sql_url(url) else REDIS_LIST)!r}",
    )


def check_list(source: Source) -> Iterator[Finding]:
    """The revocation list: reachable, durable, not evicting, how full. Makes nothing in it."""
    yield from check_address(source)
    missing = source.missing_file()
    if missing is not None:
        from .sqlite_checks import check_place

        yield from check_place(missing)
        return
    try:
        connector = source.connector()
    except UsageError as error:
        yield bad("list", str(error))
        return
    except (InvalidSettings, RevocationListUnavailable) as error:
        yield bad("list", str(error))
        return
    try:
        yield from _check_reachable(connector)
    except RevocationListUnavailable as error:
        yield bad("list", str(error))
    finally:
        connector.close()


def _check_reachable(connector: SessionStorageConnector) -> Iterator[Finding]:
    revocations, settings = connector.revocations, connector.settings
    prefix = connector.rules.scopes.prefix
    known = revocations.knows(prefix)  # a lookup would draw a birth
    started = time.perf_counter()
    revocations.knows(prefix)  # the first time it connected as well
    took = (time.perf_counter() - started) * 1000
    yield good("list", f"{type(revocations).__name__}, answered in {took:.1f} ms")
    if settings.device_binding == "offer":
        yield check_able(revocations)
    if isinstance(revocations, SQLiteRevocationList) and settings.session_dir is not None:
        from .sqlite_checks import check_sqlite

        yield from check_sqlite(settings.session_dir)
    elif settings.revocation_url is not None and is_sql_url(settings.revocation_url):
        from .sql_checks import check_sql

        yield from check_sql(revocations, settings.clock_skew)
    elif settings.revocation_url is not None:
        from .redis_checks import check_redis

        yield from check_redis(
            settings.revocation_url,
            settings.clock_skew,
            scope=connector.rules.scopes.everything,
            min_replicas=settings.min_replicas,
            timeout=getattr(revocations, "timeout", 0.25),
        )
    elif not revocations.persistent:
        yield bad("durable", "no: it ends with its process; use SQLiteRevocationList")
    else:
        yield note("durable", "a list of another kind: can't be seen from here")
    if not known:
        yield note(
            "used",
            f"by nobody yet under the cookie name {settings.cookie_name!r} and the audience "
            f"{settings.audience!r}: good before the first request; if nodes run already, they "
            "have others",
        )
        return
    survey = revocations.survey(prefix)
    yield growth(survey, settings.absolute_age + settings.clock_skew, time.time())


def growth(survey: Survey, retention: float, now: float) -> Finding:
    """How full the list is and how fast it grows."""
    size = "" if survey.bytes is None else f", {survey.bytes:,} bytes"
    noun = "entry" if survey.entries == 1 else "entries"
    text = f"{survey.entries:,} {noun}{size}"
    if survey.oldest is None:
        return good("growth", text)
    # Entries leave after their retention, so those present were made within the oldest's age.
    age = max(now - survey.oldest, 1)
    if age < SAMPLE_DAY:
        return good("growth", f"{text}, all since {moment(survey.oldest)}: too new for a rate")
    daily = survey.entries / age * SAMPLE_DAY
    held = daily * retention / SAMPLE_DAY
    return good("growth", f"{text}, about {daily:,.0f} a day: levels off at about {held:,.0f}")
