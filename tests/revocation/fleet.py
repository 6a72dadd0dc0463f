"""Many processes that share sessions and one revocation list, and a judge of what they saw.

Each process works on tokens that all of them hand around, in random order, and writes down what it
did: when it began, when it ended (one monotonic clock for the whole machine) and what came of it.
`violations` holds these logs against the two promises: no token is accepted after its revocation
returned, and none is refused that was not revoked.

Processes may be killed at any moment and are replaced then. Nothing that they share is left locked
or torn: tokens and logs are files, written to in one call. What a killed one had begun may have
been carried out.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import multiprocessing
import os
import pickle
import random
import signal
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from duck_cookie_session import (
    RevocationListUnavailable,
    SessionRevoked,
    SessionSettings,
    SessionStorageConnector,
    SessionStore,
    SQLiteRevocationList,
)
from duck_cookie_session.revocation.redis import RedisRevocationList
from duck_cookie_session.settings import is_sql_url

SECRET = "the secret that all processes of the fleet share"
SLOTS = 24
SLOT_BYTES = 1024
NEVER = 2**63
EVENT_BYTES = 600
"""About what one takes in a log, with its begin."""
USERS = [f"user {number}" for number in range(8)]
TENANTS = [f"tenant {number}" for number in range(6)]
"""Groups that are revoked and used again."""
FOR_GOOD = [f"group {number}" for number in range(80)]
"""Groups that are ended."""
SPAWN = multiprocessing.get_context("spawn")

WEIGHTS = {
    "read": 48,
    "read an old one": 15,
    "update": 16,
    "start": 8,
    "supersede": 4,
    "log in": 5,
    "log out": 2,
    "log out others": 1,
    "log out a subject": 0.8,
    "change group": 4,
    "log out a group": 1,
    "end a group": 0.6,
    "clear all": 0.2,
}


@dataclass(frozen=True)
class Plan:
    """What one process is to do.

    Attributes:
        where: the URL of a Redis or a database, or the folder of an SQLite list.
        number: which process it is.
        seed: of its random choices.
        operations: how many at most.
        seconds: how long at most.
        max_staleness: seconds.
        clock_offset: seconds that its clock is ahead.
        step: seconds by which its clock is set forward half-way; negative: back.
        timeout: of a list on a server, seconds.
        min_replicas: of a Redis list.
    """

    where: str
    number: int
    seed: int
    operations: int = 10**9
    seconds: float = 600.0
    max_staleness: float = 0.0
    clock_offset: float = 0.0
    step: float = 0.0
    timeout: float = 10.0
    min_replicas: int = 0


class Event(NamedTuple):
    """One thing that one process did.

    Attributes:
        kind: "save", "read", "supersede", "revoke", or "killed", where the process was.
        began, ended: nanoseconds.
        node: number of the process.
        outcome: "done", "refused", or "unavailable": it may have been carried out, and may yet be.
        token: of a save the new one, of a read the one read.
        base: of a save the token that it went on from.
        session: of a save its new session id, None where it is not known and may be another than
            before; of a revocation the session.
        subject: of a save or a revocation.
        group: of a save the one that the new token is in; of a revocation the group.
        adopted: of a save: the kind of scope ("session", "subject") whose epoch its own request
            raised just before, and when that had ended.
    """

    kind: str
    began: int
    ended: int
    node: int
    outcome: str
    token: str | None = None
    base: str | None = None
    session: bytes | None = None
    subject: str | None = None
    group: str | None = None
    adopted: tuple[str, int] | None = None


class Slots:
    """The tokens that all processes hand around, in a file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)

    def take(self, slot: int) -> str | None:
        with self._alone():
            text = os.pread(self._file, SLOT_BYTES, slot * SLOT_BYTES)
        return text.rstrip(b"\0").decode() or None

    def give(self, slot: int, token: str) -> None:
        with self._alone():
            os.pwrite(self._file, token.encode().ljust(SLOT_BYTES, b"\0"), slot * SLOT_BYTES)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Of a killed process the system lets go."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


class Log:
    """What one process did, in a file that outlives it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def put(self, event: Event) -> None:
        self._file.write(pickle.dumps(event))

    @staticmethod
    def read(path: Path) -> list[Event]:
        """All events; of those that were written down at their begin and their end, the end."""
        found: dict[tuple[int, str], Event] = {}
        with path.open("rb") as file, contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                event: Event = pickle.load(file)  # noqa: S301  # we wrote it
                found[event.began, event.kind] = event
        return list(found.values())


class Worker:
    """One process of the fleet."""

    def __init__(self, plan: Plan, slots: Slots, log: Log) -> None:
        self.plan = plan
        self.slots = slots
        self.log = log
        self.last: Event | None = None
        self.random = random.Random(plan.seed * 1_000 + plan.number)
        self.old: deque[str] = deque(maxlen=60)
        self.step = 0.0
        settings = SessionSettings(
            secret_keys=SECRET,
            subject_key="user",
            group_keys=("tenant",),
            max_staleness=plan.max_staleness,
            min_replicas=plan.min_replicas,
        )
        if "://" in plan.where and is_sql_url(plan.where):
            from duck_cookie_session.revocation.sql import SQLRevocationList  # needs SQLAlchemy

            the_list: Any = SQLRevocationList(plan.where, timeout=plan.timeout)
        elif "://" in plan.where:
            the_list = RedisRevocationList(plan.where, timeout=plan.timeout)
        else:
            the_list = SQLiteRevocationList(plan.where, clock=self.clock, busy_timeout=30)
        self.connector = SessionStorageConnector(
            lambda: the_list, settings=settings, clock=self.clock
        )

    def clock(self) -> float:
        return time.time() + self.plan.clock_offset + self.step

    def work(self) -> None:
        started = time.monotonic()
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        for number in itertools.count():
            passed = time.monotonic() - started
            if number >= self.plan.operations or passed > self.plan.seconds:
                break
            if number * 2 > self.plan.operations or passed * 2 > self.plan.seconds:
                self.step = self.plan.step
            (kind,) = self.random.choices(kinds, weights)
            getattr(self, kind.replace(" ", "_"))()
            if self.last is not None and self.last.outcome == "unavailable":
                time.sleep(0.002)  # leave the processor to the server that is to come back
        self.connector.close()

    # What passes from process to process.

    def give(self, slot: int, token: str | None) -> None:
        if token is not None:
            self.old.append(token)
            self.slots.give(slot, token)

    def slot(self) -> tuple[int, str | None]:
        slot = self.random.randrange(SLOTS)
        return slot, self.slots.take(slot)

    # What is written down.

    def did(self, kind: str, call: Callable[[], Any], **what: Any) -> Any:
        """Carry out a call and log it; a save's call gives (token, subject)."""
        began = time.monotonic_ns()
        if kind != "read":  # should the process be killed now, it may have been carried out
            self.log.put(Event(kind, began, NEVER, self.plan.number, "unavailable", **what))
        given, outcome = None, "done"
        try:
            given = call()
        except SessionRevoked:
            outcome = "refused"
        except RevocationListUnavailable:
            outcome = "unavailable"
        ended = time.monotonic_ns()
        if kind == "read" and outcome == "done" and given is None:
            outcome = "refused"
        if kind == "save" and outcome == "done":
            token, subject = given
            session = self.connector.session_id_of(token)
            what |= {"token": token, "session": session, "subject": subject}
            given = token
        self.last = Event(kind, began, ended, self.plan.number, outcome, **what)
        self.log.put(self.last)
        return given

    def done(self) -> bool:
        """Whether the last call was carried out."""
        return self.last is not None and self.last.outcome == "done"

    # What it does.

    def start(self) -> None:
        data = {"n": self.random.random()}
        if self.random.random() < 0.7:
            data["user"] = self.random.choice(USERS)
        group = self.group()
        if group is not None:
            data["tenant"] = group
        token = self.did(
            "save",
            lambda: (self.connector.set_session(None, data), data.get("user")),
            group=group,
        )
        self.give(self.random.randrange(SLOTS), token)

    def read(self) -> None:
        _, token = self.slot()
        if token is None or not self.did(
            "read", lambda: self.connector.get_session(token), token=token
        ):
            self.start()

    def read_an_old_one(self) -> None:
        if self.old:
            token = self.random.choice(self.old)
            self.did("read", lambda: self.connector.get_session(token), token=token)

    def update(self) -> None:
        slot, token = self.slot()
        if token is None:
            return
        data = self.data_in(token)
        change = {"n": self.random.random()}
        self.give(
            slot,
            self.did(
                "save",
                lambda: (self.connector.update_session(token, change), data.get("user")),
                base=token,
                session=self.connector.session_id_of(token),
                group=data.get("tenant"),
            ),
        )

    def log_out(self) -> None:
        _, token = self.slot()
        if token is not None:
            session = self.connector.session_id_of(token)
            self.did("revoke", lambda: self.connector.delete_session(token), session=session)

    def log_out_a_subject(self) -> None:
        subject = self.random.choice(USERS)
        self.did("revoke", lambda: self.connector.delete_subject(subject), subject=subject)

    def log_out_a_group(self) -> None:
        group = self.random.choice(TENANTS)
        self.did("revoke", lambda: self.connector.delete_group("tenant", group), group=group)

    def end_a_group(self) -> None:
        group = self.random.choice(FOR_GOOD)
        self.did("revoke", lambda: self.connector.end_group("tenant", group), group=group)

    def clear_all(self) -> None:
        self.did("revoke", self.connector.clear_all_sessions)

    def supersede(self) -> None:
        slot, token, store = self.loaded()
        if store is None:
            return
        self.did(
            "supersede", store.supersede, base=token, session=self.connector.session_id_of(token)
        )
        if self.done():
            self.save(slot, token, store, adopts="session")

    def log_out_others(self) -> None:
        slot, token, store = self.loaded()
        if store is None or store.get("user") is None:
            return
        self.did("revoke", store.delete_other_sessions, base=token, subject=store["user"])
        if self.done():
            self.save(slot, token, store, adopts="subject")

    def log_in(self) -> None:
        slot, token, store = self.loaded()
        if store is None:
            return
        store["user"] = self.random.choice([user for user in USERS if user != store.get("user")])
        self.save(slot, token, store)

    def change_group(self) -> None:
        slot, token, store = self.loaded()
        if store is None:
            return
        group = self.group()
        if group is not None:
            store["tenant"] = group
        else:
            store.pop("tenant", None)
        self.save(slot, token, store, moves=False)

    def group(self) -> str | None:
        """One to be in, or none."""
        return self.random.choice([None, self.random.choice(TENANTS), self.random.choice(FOR_GOOD)])

    def loaded(self) -> tuple[int, str, SessionStore] | tuple[None, None, None]:
        slot, token = self.slot()
        if token is None:
            return None, None, None
        store = SessionStore(token, connector=self.connector)
        live = self.did("read", lambda: store.load() or None, token=token)
        return (slot, token, store) if live else (None, None, None)

    def save(
        self,
        slot: int,
        base: str,
        store: SessionStore,
        *,
        adopts: str | None = None,
        moves: bool = True,
    ) -> None:
        """Save, under another session id if nothing is adopted and it moves."""
        store["n"] = self.random.random()

        def save() -> tuple[str | None, Any]:
            store.save()
            return store.session_key, store.get("user")

        what: dict[str, Any] = {"group": store.get("tenant")}
        if adopts is not None and self.last is not None:
            what["adopted"] = adopts, self.last.ended
        if adopts is not None or not moves:
            what["session"] = self.connector.session_id_of(base)
        self.give(slot, self.did("save", save, base=base, **what))

    def data_in(self, token: str) -> dict[str, Any]:
        rules = self.connector.rules
        return rules.unpacked(rules.open(token))  # type: ignore  # ours, and far from expired


def run_worker(plan: Plan, slots: Path, log: Path) -> None:
    Worker(plan, Slots(slots), Log(log)).work()


def run_fleet(
    plans: Sequence[Plan], meanwhile: Callable[[], object] = lambda: None, *, kills: int = 0
) -> list[Event]:
    """Run one process for each plan, and `meanwhile` beside them; all that they logged.

    Args:
        kills: how often each process is killed and replaced by another, which does the rest.
    """
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(len(plans)) as pool:
        jobs = [pool.submit(_keep, plan, Path(name), kills) for plan in plans]
        meanwhile()
        return [event for job in jobs for event in job.result()]


def _keep(plan: Plan, directory: Path, kills: int) -> list[Event]:
    """See that one process works, kill it now and then, and give what it logged."""
    events: list[Event] = []
    chance = random.Random(plan.seed * 1_000 + plan.number)
    for life in range(kills + 1):
        log = directory / f"log{plan.number}.{life}"
        log.touch()
        rest = replace(plan, operations=plan.operations - len(events), seed=plan.seed + life)
        process = SPAWN.Process(target=run_worker, args=(rest, directory / "slots", log))
        process.start()
        if life < kills:
            size = chance.uniform(0.2, 1) * plan.operations / (kills + 1) * EVENT_BYTES
            while process.is_alive() and log.stat().st_size < size:
                time.sleep(0.001)
            process.kill()
        process.join()
        events += Log.read(log)
        if process.exitcode == -signal.SIGKILL:
            now = time.monotonic_ns()
            events.append(Event("killed", now, now, plan.number, "done"))
        else:
            assert process.exitcode == 0, f"process {plan.number} failed: see above"
    return events


# The judge.


@dataclass
class Token:
    """What is known of a token from the log: of whom it is, and what it may have seen.

    Attributes:
        made_by: the save that made it.
        since: by kind of scope, when a token that this one goes on from was there already: what
            revoked that one by then has revoked this one too.
    """

    session: bytes
    subject: str | None
    group: str | None
    made_by: Event
    since: dict[str, int]

    @property
    def began(self) -> int:
        """No epoch that it carries was read before."""
        return self.made_by.began


class Revocation(NamedTuple):
    """A revocation: of what kind of scope, and whether it is certain that it was carried out."""

    kind: str
    event: Event
    certain: bool = True
    for_good: bool = False


@dataclass
class Judge:
    """Knows every token and every revocation of a log.

    Args:
        events: of all processes.
        staleness: seconds, by node.
        lost: when the list itself was lost: (from, until) in nanoseconds.
    """

    events: Sequence[Event]
    staleness: dict[int, float]
    lost: Iterable[tuple[int, int]] = ()
    tokens: dict[str, Token] = field(default_factory=dict)
    by_scope: dict[object, list[Revocation]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for event in sorted(self.events, key=lambda event: event.ended):
            if event.kind == "save" and event.token is not None:
                self._know(event)
        for event in self.events:
            self._learn_revocation(event)
        for began, ended in self.lost:
            event = Event("revoke", began, ended, -1, "done")
            self.by_scope["everything"].append(Revocation("everything", event))

    def _know(self, event: Event) -> None:
        since = dict.fromkeys(("session", "subject", "group", "everything"), event.ended)
        base = self.tokens.get(event.base or "")
        if base is not None and base.session == event.session:
            since = dict(base.since)
            if base.group != event.group:  # it has superseded its earlier tokens
                since["session"] = since["group"] = event.ended
            if event.adopted is not None:
                since[event.adopted[0]] = event.ended
        assert event.token is not None
        assert event.session is not None
        self.tokens[event.token] = Token(event.session, event.subject, event.group, event, since)

    def _learn_revocation(self, event: Event) -> None:
        certain = event.outcome == "done"
        if event.kind == "save" and event.base in self.tokens:
            base = self.tokens[event.base]
            if event.session != base.session and event.outcome != "refused":
                # A login ended the old session; one that failed half-way may have.
                found = Revocation("session", event, certain, for_good=True)
                self.by_scope[base.session].append(found)
            elif event.group != base.group:
                # Where a group that it was to join ended meanwhile, it is refused after its raise.
                self.by_scope[base.session].append(Revocation("session", event, certain))
        elif event.kind == "supersede" and event.outcome != "refused":
            self.by_scope[event.session].append(Revocation("session", event, certain))
        elif event.kind == "revoke":
            # log_out_others answers "refused" where the session was itself revoked by then; the
            # revocation of the others stands all the same.
            if event.session is not None:
                found = Revocation("session", event, certain, for_good=True)
                self.by_scope[event.session].append(found)
            elif event.subject is not None:
                self.by_scope[event.subject].append(Revocation("subject", event, certain))
            elif event.group is not None:
                for_good = event.group in FOR_GOOD
                found = Revocation("group", event, certain, for_good)
                self.by_scope[event.group].append(found)
            else:
                self.by_scope["everything"].append(Revocation("everything", event, certain))

    def revocations_of(self, token: Token) -> Iterable[Revocation]:
        yield from self.by_scope["everything"]
        yield from self.by_scope[token.session]
        if token.subject is not None:
            yield from self.by_scope[token.subject]
        if token.group is not None:
            yield from self.by_scope[token.group]

    def ends_of(self, event: Event) -> Iterable[Revocation]:
        """Of the group that a save is to join or to stay in, its ends."""
        if event.kind == "save" and event.group is not None:
            yield from (found for found in self.by_scope[event.group] if found.for_good)

    def forgotten(self, found: Revocation, saved: Event) -> bool:
        """Whether a group's end was lost with the list before a token was sealed.

        A list that lost everything refuses what was sealed before, and knows no ended names.
        """
        return found.kind == "group" and any(
            found.event.began <= until and began <= saved.ended for began, until in self.lost
        )

    def must_be_refused(self, token: Token, event: Event, *, fresh: bool) -> Revocation | None:
        """A revocation that had returned before `event` began, and is about this token."""
        for found in self.revocations_of(token):
            if found.for_good and self.forgotten(found, token.made_by):
                continue
            about = found.for_good or token.since[found.kind] <= found.event.began
            grace = 0 if fresh or found.event.node == event.node else self.staleness[event.node]
            if found.certain and about and found.event.ended + int(grace * 1e9) <= event.began:
                return found
        return None

    def may_be_refused(self, token: Token, event: Event) -> bool:
        """Whether some revocation began before `event` ended and may be about this token."""
        adopted = event.adopted[1] if event.adopted else None
        return any(
            found.event.began <= event.ended
            # One whose answer never came may be carried out later than its caller gave up.
            and (found.for_good or not found.certain or token.began < found.event.ended)
            for found in (*self.revocations_of(token), *self.ends_of(event))
            if found.event is not event
            and found.event is not token.made_by
            and not (found.event.node == event.node and found.event.ended == adopted)
        )

    def violations(self) -> list[str]:
        """Every event that breaks a promise, in words."""
        wrong = []
        winners = Counter(
            event.base
            for event in self.events
            if event.kind in ("supersede", "revoke") and event.base and event.outcome == "done"
        )
        wrong += [f"two winners: {count} for one token" for count in winners.values() if count > 1]
        for event in self.events:
            if event.outcome == "done" and any(
                found.certain
                and found.event.ended <= event.began
                and not self.forgotten(found, event)
                for found in self.ends_of(event)
            ):
                wrong.append(f"accepted though revoked: {event} into a group that had ended")
            text = event.token if event.kind == "read" else event.base
            token = self.tokens.get(text or "")
            if token is None or event.outcome == "unavailable" or event.kind == "revoke":
                continue
            if event.outcome == "refused":
                if not self.may_be_refused(token, event):
                    wrong.append(f"refused though never revoked: {event}")
                continue
            if event.adopted is not None:
                token = replace(token, since={**token.since, event.adopted[0]: event.adopted[1]})
            why = self.must_be_refused(token, event, fresh=event.kind != "read")
            if why is not None:
                wrong.append(f"accepted though revoked: {event}\n  by {why}")
        return wrong


def summary(events: Sequence[Event]) -> str:
    """How many of each, for the test's output."""
    counts = Counter(f"{event.kind} {event.outcome}" for event in events)
    kills = counts.pop("killed done", 0)
    return f"{len(events) - kills} operations, {kills} processes killed: " + ", ".join(
        f"{count} {what}" for what, count in sorted(counts.items())
    )
