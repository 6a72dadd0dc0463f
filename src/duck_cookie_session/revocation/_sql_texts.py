"""What SQLRevocationList keeps in a database, and every statement that it sends.

Two tables, because they are used in two ways: `duck_cookie_session_entries`, one row an entry, is
only ever looked into by its key; `duck_cookie_session_histories`, one row an application, is what
every raise locks first, so that raises take turns and their numbers are in the order of commits.

Statements are for a connection that commits each of them by itself; raises say BEGIN and COMMIT.
Within a transaction each statement sees what was committed before it began (READ COMMITTED), so
what is read after the lock is what the last raise left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._history import ABSENT, Entry, History, Kept

ENTRIES = "duck_cookie_session_entries"
HISTORIES = "duck_cookie_session_histories"

Statement = tuple[str, tuple[Any, ...]]
Rows = list[tuple[Any, ...]]


def in_hex(statement: Statement) -> Statement:
    """The statement with bytes spelled in hexadecimal digits: not all drivers of MariaDB can."""
    text, values = statement
    first, *parts = text.split("%s")
    for value, part in zip(values, parts, strict=True):
        first += ("UNHEX(%s)" if isinstance(value, bytes) else "%s") + part
    return first, tuple([v.hex() if isinstance(v, bytes) else v for v in values])


@dataclass(frozen=True)
class Dialect:
    """How one kind of server says it.

    Attributes:
        name: for people, and for `sql-schema`.
        tables: what makes the tables where they are missing.
        text: the type of a text.
        now: the server's clock at this moment, microseconds since 1970.
        is_replica: 1 on a server that only follows another, else 0.
        begin: begins a transaction; formatted with seconds that a stalled client may hold it.
        this_server: a text for this start of this server, and these tables of it.
        written_by: what the server knows of who wrote a row of the histories, and nobody can
            put back: a text.
        writer: the same for who is writing it now.
        durability: what decides whether a commit is on the disk when it returns, as a text.
        ignore: what makes an insert do nothing where the row is there.
        upsert: what makes it change the row.
        size: bytes of both tables.
    """

    name: str
    tables: tuple[str, str]
    text: str
    now: str
    is_replica: str
    begin: str
    this_server: str
    written_by: str
    writer: str
    durability: str
    ignore: tuple[str, str]
    upsert: str
    size: str

    def read(self, prefix: bytes, scopes: tuple[bytes, ...]) -> Statement:
        """The history of an application and its entries: one atomic read."""
        history = (
            f"SELECT prefix, birth, checkpoint, made, clock, purged, retention, {self.now}, "  # noqa: S608  # constants only
            f"{self.is_replica}, NULL FROM {HISTORIES} WHERE prefix = %s"
        )
        if not scopes:
            return history, (prefix,)
        marks = ", ".join(("%s",) * len(scopes))
        return (
            f"{history} UNION ALL SELECT scope, epoch, made, 0, 0, 0, 0, 0, 0, nonce "  # noqa: S608  # marks only
            f"FROM {ENTRIES} WHERE scope IN ({marks})",
            (prefix, *scopes),
        )

    def start(self, seconds: float) -> Statement:
        """Begin a transaction that a stalled client can't hold for long."""
        return self.begin.format(milliseconds=max(1, int(seconds * 1000))), ()

    def lock(self, prefix: bytes) -> Statement:
        """Let no other raise of this application go on before this one has ended.

        Gives what the last one wrote of the server that it was made in, `this_server`,
        `written_by` and `durability`.
        """
        return (
            f"SELECT server, {self.this_server}, {self.written_by}, {self.durability} "  # noqa: S608  # constants only
            f"FROM {HISTORIES} WHERE prefix = %s FOR UPDATE",
            (prefix,),
        )

    def begin_history(self, prefix: bytes) -> Statement:
        """Make the row of an application, unless it is there."""
        before, after = self.ignore
        return (
            f"{before} INTO {HISTORIES} "
            "(prefix, birth, checkpoint, made, clock, purged, retention, server) "
            f"VALUES (%s, 0, 0, 0, 0, 0, 0, '') {after}",
            (prefix,),
        )

    def keep(self, prefix: bytes, kept: Kept, this_server: str) -> Statement:
        """Write the history of an application."""
        return (
            f"UPDATE {HISTORIES} SET birth = %s, checkpoint = %s, made = %s, clock = %s, "  # noqa: S608  # constants only
            f"purged = %s, retention = %s, server = concat(CAST(%s AS {self.text}), {self.writer}) "
            "WHERE prefix = %s",
            (*kept.history, kept.retention, this_server, prefix),
        )

    def note_purge(self, prefix: bytes, now: int) -> Statement:
        """Write that what has expired by now may be gone; hides nothing of who wrote the row."""
        was = f"concat({self.this_server}, {self.written_by})"
        will = f"concat({self.this_server}, {self.writer})"
        return (
            f"UPDATE {HISTORIES} SET purged = %s, "  # noqa: S608  # constants only
            f"server = CASE WHEN server = {was} THEN {will} ELSE server END "
            "WHERE prefix = %s AND purged < %s",
            (now, prefix, now),
        )

    def put(self, *rows: tuple[bytes, int, int, bytes | None]) -> Statement:
        """Write entries: scope, epoch, when it was made, nonce of the compare that made it."""
        marks = ", ".join(("(%s, %s, %s, %s)",) * len(rows))
        return (
            f"INSERT INTO {ENTRIES} (scope, epoch, made, nonce) VALUES {marks} {self.upsert}",  # noqa: S608  # marks only
            tuple(value for row in rows for value in row),
        )


COMMIT: Statement = ("COMMIT", ())

NEXT = f"SELECT scope, made FROM {ENTRIES} WHERE scope > %s AND scope < %s ORDER BY scope LIMIT %s"  # noqa: S608  # constants only

KNOWS = f"SELECT 1 FROM {HISTORIES} WHERE prefix = %s AND retention > 0"  # noqa: S608  # constants only

COUNT = (
    f"SELECT count(*), min(made) FROM {ENTRIES} WHERE scope > %s AND scope < %s "  # noqa: S608  # constants only
    "AND NOT (scope > %s AND scope < %s)"
)


def remove(scopes: list[bytes], before: int) -> Statement:
    """Remove entries, but those that were raised again meanwhile."""
    marks = ", ".join(("%s",) * len(scopes))
    return f"DELETE FROM {ENTRIES} WHERE scope IN ({marks}) AND made < %s", (*scopes, before)  # noqa: S608  # marks only


@dataclass(frozen=True)
class Found:
    """What one read found.

    Attributes:
        kept: of the application; None where no process has used the list for it yet.
        entries: those that are there.
        nonces: of the compares that made them.
        now: the server's clock; 0 where `kept` is None.
        is_replica: whether a server said so that only follows another.
    """

    kept: Kept | None
    entries: dict[bytes, Entry]
    nonces: dict[bytes, bytes]
    now: int
    is_replica: bool

    @classmethod
    def of(cls, prefix: bytes, rows: Rows) -> Found:
        """What the rows of `Dialect.read` say."""
        kept, now, replica = None, 0, False
        entries: dict[bytes, Entry] = {}
        nonces: dict[bytes, bytes] = {}
        for key, first, second, *more, nonce in rows:
            if key != prefix:
                entries[key] = first, second
                if nonce is not None:
                    nonces[key] = nonce
            else:
                made, clock, purged, retention, now, is_replica = more
                replica = bool(is_replica)
                if retention:  # else made just now, by whoever is about to fill it
                    kept = Kept(History(first, second, made, clock, purged), retention)
        return cls(kept, entries, nonces, now, replica)

    def epoch(self, scope: bytes) -> int:
        """The epoch of a scope that was asked for; 0 without an entry."""
        return self.entries.get(scope, ABSENT)[0]


POSTGRESQL = Dialect(
    name="PostgreSQL",
    tables=(
        f"""\
CREATE TABLE IF NOT EXISTS {ENTRIES} (
    scope bytea PRIMARY KEY,
    epoch bigint NOT NULL,
    made bigint NOT NULL,  -- microseconds since 1970
    nonce bytea
)""",
        f"""\
CREATE TABLE IF NOT EXISTS {HISTORIES} (
    prefix bytea PRIMARY KEY,
    birth bigint NOT NULL,
    checkpoint bigint NOT NULL,
    made bigint NOT NULL,
    clock bigint NOT NULL,
    purged bigint NOT NULL,
    retention bigint NOT NULL,
    server text NOT NULL
)""",
    ),
    text="text",
    # Not now(), which stands still within a transaction.
    now="CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
    is_replica="CAST(pg_is_in_recovery() AS integer)",
    begin=(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
        "SET LOCAL lock_timeout = 0; "
        "SET LOCAL statement_timeout = {milliseconds}; "
        "SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
    ),
    this_server="concat(extract(epoch FROM pg_postmaster_start_time()), '/')",
    # The transaction that wrote it: a row that was put back from a dump was written by another.
    written_by="xmin::text",
    writer="CAST(txid_current() & 4294967295 AS text)",
    durability=(
        "concat_ws(', ', 'synchronous_commit=' || current_setting('synchronous_commit'), "  # noqa: S608  # constants only
        "'fsync=' || current_setting('fsync'), (SELECT 'tables=' || string_agg(DISTINCT "
        "CASE relpersistence WHEN 'p' THEN 'logged' ELSE 'unlogged' END, ' and ') FROM pg_class "
        f"WHERE oid IN (to_regclass('{ENTRIES}'), to_regclass('{HISTORIES}'))))"
    ),
    ignore=("INSERT", "ON CONFLICT DO NOTHING"),
    upsert=(
        "ON CONFLICT (scope) DO UPDATE "
        "SET epoch = excluded.epoch, made = excluded.made, nonce = excluded.nonce"
    ),
    size=(
        f"SELECT pg_total_relation_size('{ENTRIES}'::regclass) "
        f"+ pg_total_relation_size('{HISTORIES}'::regclass)"
    ),
)

_OF_BOTH = (
    "FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
    f"AND TABLE_NAME IN ('{ENTRIES}', '{HISTORIES}')"
)

MARIADB = Dialect(
    name="MariaDB",
    tables=(
        f"""\
CREATE TABLE IF NOT EXISTS {ENTRIES} (
    scope varbinary(41) PRIMARY KEY,
    epoch bigint NOT NULL,
    made bigint NOT NULL,  -- microseconds since 1970
    nonce binary(16)
) ENGINE = InnoDB""",
        f"""\
CREATE TABLE IF NOT EXISTS {HISTORIES} (
    prefix binary(8) PRIMARY KEY,
    birth bigint NOT NULL,
    checkpoint bigint NOT NULL,
    made bigint NOT NULL,
    clock bigint NOT NULL,
    purged bigint NOT NULL,
    retention bigint NOT NULL,
    server varchar(250) CHARACTER SET utf8mb4 NOT NULL
) ENGINE = InnoDB""",
    ),
    text="char",
    # UTC: a local time comes twice when summer ends. It is that of when the statement began, so it
    # is never asked by one that waits for a lock.
    now="TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
    is_replica="IF(CONCAT(@@global.read_only) IN ('0', 'OFF'), 0, 1)",
    begin="START TRANSACTION",  # what a stalled client may hold is said when it connects
    # When the server was started, and when the tables were made, as they are by a dump that is read
    # in. MySQL keeps its status in another place.
    this_server=(
        "CONCAT_WS('/', @@hostname, @@port, UNIX_TIMESTAMP() - (SELECT VARIABLE_VALUE FROM "  # noqa: S608  # constants only
        "/*M! information_schema.GLOBAL_STATUS */ /*!80000 performance_schema.global_status */ "
        f"WHERE VARIABLE_NAME = 'Uptime'), (SELECT MAX(CREATE_TIME) {_OF_BOTH}))"
    ),
    written_by="''",
    writer="''",
    durability=(
        "CONCAT_WS(', ', CONCAT('innodb_flush_log_at_trx_commit=', "
        "@@global.innodb_flush_log_at_trx_commit), "
        f"(SELECT CONCAT('ENGINE=', GROUP_CONCAT(DISTINCT ENGINE)) {_OF_BOTH}))"
    ),
    ignore=("INSERT IGNORE", ""),
    upsert=(
        "ON DUPLICATE KEY UPDATE epoch = VALUES(epoch), made = VALUES(made), nonce = VALUES(nonce)"
    ),
    size=f"SELECT CAST(SUM(DATA_LENGTH + INDEX_LENGTH) AS SIGNED) {_OF_BOTH}",
)

DIALECTS = {"postgresql": POSTGRESQL, "mariadb": MARIADB}

DURABLE = {
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
    "fsync": ("on",),
    "tables": ("logged",),
    "innodb_flush_log_at_trx_commit": ("1",),
    "ENGINE": ("InnoDB",),
}
"""What a setting has to be for a commit to be on the disk when it returns."""


def not_durable(durability: str) -> str | None:
    """The first of the server's settings that is not as it has to be, as "name=value"."""
    for setting in durability.split(", "):
        name, _, value = setting.partition("=")
        if value not in DURABLE[name]:
            return setting
    return None


def schema(dialect: str) -> str:
    """The statements that make the tables, for whoever does not let applications make them.

    Args:
        dialect: a key of `DIALECTS`.
    """
    return "\n\n".join(f"{table};" for table in DIALECTS[dialect].tables)
