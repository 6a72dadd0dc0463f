"""Two nodes over one list against a plain model, in any order of events.

HYPOTHESIS_PROFILE=deep looks at many more sequences, and longer ones.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from duck_cookie_session import (
    MemoryRevocationList,
    RevocationList,
    SessionError,
    SessionExpired,
    SessionRevoked,
    SessionStore,
    SQLiteRevocationList,
    session_headers,
)
from tests.helpers import START, Clock, Node, make_settings, sent_cookie

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"

AGE, ABSOLUTE, QUIET, OLD_SECRET = 400_000, 1_000_000, 30_000, 300  # milliseconds; seconds
SECRETS = [f"secret number {number}, long enough to be one" for number in range(20)]
# Stage, promote, retire, and so on. Nodes are at most one step apart.
STAGES = [
    secrets
    for number in range(19)
    for secrets in (
        (SECRETS[number],),
        (SECRETS[number], SECRETS[number + 1]),
        (SECRETS[number + 1], SECRETS[number]),
    )
]


def moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1000, UTC)


@dataclass(frozen=True)
class Token:
    """What the model knows of a token, and of a request's session that came of one."""

    text: str
    session: int
    created: int
    expires: int
    lifetime: int
    subject: int | None
    session_epoch: int
    subject_epoch: int
    tenant: int | None
    group_epoch: int
    everything: int
    birth: int
    secret: str
    issued: int
    data: dict[str, int]

    @property
    def too_old(self) -> int:
        return self.created + ABSOLUTE


@dataclass
class Request:
    """A request under way, and what the model expects of its store."""

    store: SessionStore
    node: int
    base: Token | None
    data: dict[str, int]
    refused: str | None = None
    ends: int | None = None  # the session that a logout ends
    quiet_until: int = 0
    written: bool = False
    owed: bool = False
    cycle: bool = False
    delete_cookie: bool = False
    expiry: tuple[int, int] | None = None  # lifetime, fixed end
    key_number: int = 0


@dataclass
class ListModel:
    """The plain model of the list: numbers that rise, one counter for all."""

    birth: int = 1
    counter: int = 0
    everything: int = 0
    ended: dict[int, int] = field(default_factory=dict)  # session: when, by the list's clock
    sessions: dict[int, int] = field(default_factory=dict)
    superseded: dict[int, int] = field(default_factory=dict)  # session: when it last was
    subjects: dict[int, int] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    ended_groups: dict[int, int] = field(default_factory=dict)  # tenant: when

    def number(self) -> int:
        self.counter += 1
        return self.counter

    def end(self, session: int, now: int) -> None:
        self.ended.setdefault(session, now)

    def judge(self, token: Token) -> str | None:
        if token.birth != self.birth:
            return "other list"
        if token.session in self.ended:
            return "ended"
        if self.sessions.get(token.session, 0) > token.session_epoch:
            return "superseded"
        stands = 0 if token.subject is None else self.subjects.get(token.subject, 0)
        if stands > token.subject_epoch:
            return "subject revoked"
        if token.tenant in self.ended_groups:
            return "group revoked"
        if token.tenant is not None and self.groups.get(token.tenant, 0) > token.group_epoch:
            return "group revoked"
        return None if token.everything == self.everything else "all revoked"


class Nodes(RuleBasedStateMachine):
    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock(START)  # that of the list
        self.clocks = [Clock(START), Clock(START)]
        self.stages = [0, 0]
        self.memory = MemoryRevocationList(self.clock)
        self.list = ListModel()
        self.sessions = 0
        self.ids: dict[int, str] = {}
        self.tokens: list[Token] = []
        self.requests: list[Request] = []
        self.nodes = [self.build(0), self.build(1)]

    def teardown(self) -> None:
        try:
            for token in self.tokens:
                for number in (0, 1):
                    self.check_read(number, token)
        finally:
            for node in self.nodes:
                node.connector.close()
            shutil.rmtree(self.folder)

    # Help.

    def build(self, number: int) -> Node:
        revocations: RevocationList = self.memory
        if self.kind == "sqlite":
            revocations = SQLiteRevocationList(self.folder, clock=self.clock)
        settings = make_settings(
            secret_keys=STAGES[self.stages[number]],
            cookie_age=AGE // 1000,
            absolute_age=ABSOLUTE // 1000,
            group_keys=("tenant",),
            token_cache_size=3,
        )
        return Node(revocations, self.clocks[number], settings)

    def now(self, number: int) -> int:
        return int(self.clocks[number].now * 1000)

    def token(self, pick: int) -> Token:
        return self.tokens[-1 - pick % min(len(self.tokens), 8)]

    def request(self, pick: int) -> Request:
        return self.requests[-1 - pick % min(len(self.requests), 4)]

    def opens(self, number: int, token: Token) -> bool:
        """Whether a node can decrypt a token and it has not expired."""
        if token.secret not in STAGES[self.stages[number]]:
            return False
        return self.now(number) < min(token.expires, token.too_old)

    def check_read(self, number: int, token: Token) -> None:
        live = self.opens(number, token) and self.list.judge(token) is None
        read = self.nodes[number].read(token.text)
        assert read == (token.data if live else None)

    def sealed(
        self,
        number: int,
        text: str,
        base: Token | None,
        data: dict[str, int],
        expiry: tuple[int, int] | None,
        cycle: bool,
    ) -> Token:
        """The token that a save makes; what it replaces is revoked in the model."""
        now, subject, tenant = self.now(number), data.get("user"), data.get("tenant")
        moves = base is not None and (cycle or subject != base.subject)
        created = now
        if base is not None and subject in (None, base.subject):
            created = base.created
        if expiry is None:
            expiry = (base.lifetime, base.expires) if base else (AGE, 0)
        lifetime, until = expiry
        expires = now + lifetime if lifetime else max(until, now)
        if base is None or moves:
            self.sessions += 1
            session = self.sessions
            if base is not None:
                self.list.end(base.session, int(self.clock.now * 1000))
        else:
            session = base.session
            if tenant != base.tenant:  # or earlier tokens would escape its new group
                self.list.sessions[session] = self.list.number()
                self.list.superseded[session] = int(self.clock.now * 1000)
            if min(expires, created + ABSOLUTE) <= now:
                self.list.end(session, int(self.clock.now * 1000))  # no copy outlives it
        token = Token(
            text,
            session,
            created,
            min(expires, created + ABSOLUTE),
            lifetime,
            subject,
            self.list.sessions.get(session, 0),
            self.list.subjects.get(subject, 0) if subject is not None else 0,
            tenant,
            self.list.groups.get(tenant, 0) if tenant is not None else 0,
            self.list.everything,
            self.list.birth,
            STAGES[self.stages[number]][0],
            now // 1000,
            dict(data),
        )
        self.tokens.append(token)
        self.check_claims(number, token)
        return token

    def check_claims(self, number: int, token: Token) -> None:
        """A session keeps its id; created and expires are what they must be."""
        if not self.opens(number, token):
            return
        store = self.nodes[number].request(token.text)
        assert store.session_id
        assert self.ids.setdefault(token.session, store.session_id) == store.session_id
        assert len(set(self.ids.values())) == len(self.ids)
        assert store.created_at == moment(token.created)
        assert store.get_expiry_date() == moment(token.expires)

    def refusal(
        self, number: int, base: Token | None, renewed: bool, data: dict[str, int]
    ) -> tuple[type, ...]:
        """The errors that a save of these data may raise now; none: it succeeds."""
        joins_ended = data.get("tenant") in self.list.ended_groups
        if base is None:
            return (SessionRevoked,) if joins_ended else ()
        expired = self.now(number) >= base.too_old or (
            self.now(number) >= base.expires and not renewed
        )
        revoked = self.list.judge(base) is not None
        if revoked and self.now(number) >= base.too_old:
            return SessionRevoked, SessionExpired  # what revoked it may be purged by then
        if revoked or (joins_ended and not expired):
            return (SessionRevoked,)
        return (SessionExpired,) if expired else ()

    # Through the connector.

    numbers = st.integers(0, 1)
    picks = st.integers(0, 7)
    datas = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=2)
    users = st.none() | st.integers(1, 2)
    tenants = st.sampled_from([None, None, 1, 2])
    actions = st.one_of(
        st.tuples(st.just("write"), st.tuples(st.sampled_from("abc"), st.integers(0, 3))),
        st.tuples(st.just("log_in_or_out"), users),
        st.tuples(st.just("join_or_leave"), tenants),
        st.tuples(st.just("clear"), st.sampled_from(["clear", "flush", "delete"])),
        st.tuples(st.just("set_expiry"), st.sampled_from([None, 0, 100, 2000, "fixed"])),
        st.tuples(st.sampled_from(["supersede", "delete_other_sessions", "cycle_key"]), st.none()),
    )
    rarely = st.integers(0, 9).map(lambda number: number == 9)

    @initialize(number=numbers, user=users)
    def first(self, number: int, user: int | None) -> None:
        data = {"a": 1} if user is None else {"user": user}
        self.sealed(number, self.nodes[number].start(**data), None, data, (AGE, 0), False)

    def named(self, tenant: int) -> int:
        """A tenant's group by now: an ended one too, but not once that may be forgotten."""
        ended = self.list.ended_groups
        for name in range(tenant, 10_000, 2):
            if name not in ended or self.list_ms() - ended[name] < ABSOLUTE // 2:
                return name
        raise AssertionError("more groups than anybody needs")

    def list_ms(self) -> int:
        return int(self.clock.now * 1000)

    def with_group(self, data: dict[str, int], tenant: int | None) -> dict[str, int]:
        return data if tenant is None else {**data, "tenant": self.named(tenant)}

    @rule(number=numbers, data=datas, user=users, tenant=tenants)
    def set_new(
        self, number: int, data: dict[str, int], user: int | None, tenant: int | None
    ) -> None:
        data = self.with_group(data if user is None else {**data, "user": user}, tenant)
        if self.refusal(number, None, True, data):
            with pytest.raises(SessionRevoked):
                self.nodes[number].connector.set_session(None, data)
            return
        text = self.nodes[number].connector.set_session(None, data)
        self.sealed(number, text, None, data, (AGE, 0), False)

    @rule(number=numbers, pick=picks, data=datas, user=users, tenant=tenants, update=st.booleans())
    def set_or_update(
        self,
        number: int,
        pick: int,
        data: dict[str, int],
        user: int | None,
        tenant: int | None,
        update: bool,
    ) -> None:
        token = self.token(pick)
        base = token if self.opens(number, token) else None
        data = self.with_group(data if user is None else {**data, "user": user}, tenant)
        connector = self.nodes[number].connector
        method = connector.update_session if update else connector.set_session
        saved = {**base.data, **data} if update and base is not None else data
        errors = self.refusal(number, base, not update, saved)
        if errors:
            with pytest.raises(errors):
                method(token.text, data)
            return
        text = method(token.text, data)
        self.sealed(number, text, base, saved, None if update else (AGE, 0), False)

    @invariant()
    def latest_tokens_read_as_they_must(self) -> None:
        for token in self.tokens[-6:]:
            for number in (0, 1):
                self.check_read(number, token)

    @rule(number=numbers, pick=picks)
    def delete(self, number: int, pick: int) -> None:
        token = self.token(pick)
        self.nodes[number].connector.delete_session(token.text)
        if token.secret in STAGES[self.stages[number]]:
            self.list.end(token.session, int(self.clock.now * 1000))

    @rule(number=numbers, tenant=st.integers(1, 2), for_good=st.booleans())
    def revoke_a_group(self, number: int, tenant: int, for_good: bool) -> None:
        name = self.named(tenant)
        if for_good:
            self.nodes[number].connector.end_group("tenant", name)
            self.list.ended_groups.setdefault(name, self.list_ms())
        else:
            self.nodes[number].connector.delete_group("tenant", name)
            self.list.groups[name] = self.list.number()

    @rule(number=numbers, user=st.integers(1, 2), everything=rarely)
    def revoke_more(self, number: int, user: int, everything: bool) -> None:
        if everything:
            self.nodes[number].connector.clear_all_sessions()
            self.list.everything = self.list.number()
        else:
            self.nodes[number].connector.delete_subject(user)
            self.list.subjects[user] = self.list.number()

    # Requests under way.

    @rule(number=numbers, pick=st.none() | picks)
    def begin(self, number: int, pick: int | None) -> None:
        self.requests.append(self.begun(number, None if pick is None else self.token(pick)))

    def begun(self, number: int, token: Token | None) -> Request:
        store = self.nodes[number].request(token.text if token else None)
        request = Request(store, number, None, {})
        if token is not None and not self.opens(number, token):
            if token.secret in STAGES[self.stages[number]]:
                request.ends = token.session  # expired, which ends no other copy of it
        elif token is not None:
            request.refused = self.list.judge(token)
            # A logout ends by its id what a later state of the session goes on as.
            if request.refused in (None, "superseded", "subject revoked"):
                request.ends = token.session
            if request.refused is None:
                request.base, request.data = token, dict(token.data)
                request.key_number = STAGES[self.stages[number]].index(token.secret)
            elif request.refused in ("ended", "superseded"):
                since = self.list.ended if request.refused == "ended" else self.list.superseded
                age = int(self.clock.now * 1000) - since[token.session]
                request.quiet_until = self.now(number) + QUIET - age if age < QUIET else 0
        assert dict(store) == request.data
        return request

    @precondition(lambda self: self.requests)
    @rule(pick=picks, action=actions)
    def act(self, pick: int, action: tuple[str, Any]) -> None:
        self.do(self.request(pick), action)

    @rule(
        number=numbers,
        pick=st.none() | picks,
        doing=st.lists(actions, max_size=3),
        failed=st.sampled_from([False, False, True]),
    )
    def request_at_once(
        self, number: int, pick: int | None, doing: list[tuple[str, Any]], failed: bool
    ) -> None:
        request = self.begun(number, None if pick is None else self.token(pick))
        for action in doing:
            self.do(request, action)
        self.end(request, failed)

    @rule(
        number=numbers,
        pick=picks,
        late=st.booleans(),
        first=st.lists(actions, max_size=2),
        seconds=st.sampled_from([0, 1, 19, 25, 29, 31, 201, 401, 401, 430]),
        second=st.lists(actions, min_size=1, max_size=2),
    )
    def two_requests_of_one_browser(
        self,
        number: int,
        pick: int,
        late: bool,
        first: list[tuple[str, Any]],
        seconds: int,
        second: list[tuple[str, Any]],
    ) -> None:
        """The slower one is loaded before the other is answered, or after (`late`)."""
        token = self.token(pick)
        slow = None if late else self.begun(number, token)
        fast = self.begun(1 - number, token)
        for action in first:
            self.do(fast, action)
        self.end(fast, False)
        self.tick(seconds)
        slow = slow or self.begun(number, token)
        for action in second:
            self.do(slow, action)
        self.end(slow, False)

    def do(self, request: Request, action: tuple[str, Any]) -> None:
        name, argument = action
        getattr(self, name)(request, argument)

    def write(self, request: Request, key_and_value: tuple[str, int]) -> None:
        key, value = key_and_value
        request.store[key] = request.data[key] = value
        request.written = True

    def log_in_or_out(self, request: Request, user: int | None) -> None:
        if user is not None:
            request.store["user"] = request.data["user"] = user
        elif "user" in request.data:
            del request.store["user"], request.data["user"]
        else:
            return
        request.written = True

    def join_or_leave(self, request: Request, tenant: int | None) -> None:
        if tenant is not None:
            name = self.named(tenant)
            request.store["tenant"] = request.data["tenant"] = name
        elif "tenant" in request.data:
            del request.store["tenant"], request.data["tenant"]
        else:
            return
        request.written = True

    def forget_old_names(self, request: Request) -> None:
        """A request that waited so long that the end of the group it joins may be forgotten."""
        ended = self.list.ended_groups.get(request.data.get("tenant", 0))
        if ended is not None and self.list_ms() - ended > ABSOLUTE // 2:
            self.join_or_leave(request, None)

    def clear(self, request: Request, how: str) -> None:
        getattr(request.store, how)()
        if request.ends is not None:
            self.list.end(request.ends, int(self.clock.now * 1000))
        if request.base is not None:
            request.ends = None
            request.delete_cookie = True
            request.quiet_until = 0
            request.refused = None
        request.base, request.data, request.expiry = None, {}, None
        request.written = request.owed = request.cycle = False

    def cycle_key(self, request: Request, _: None) -> None:
        request.store.cycle_key()
        request.cycle = request.base is not None

    def set_expiry(self, request: Request, expiry: Any) -> None:
        if expiry == "fixed":
            until = self.now(request.node) + 300_000
            request.store.set_expiry(moment(until))
            request.expiry = (0, until)
        else:
            request.store.set_expiry(expiry)
            request.expiry = (AGE if expiry is None else expiry * 1000, 0)

    def supersede(self, request: Request, _: None) -> None:
        base = request.base
        if base is None:
            if request.refused is not None:
                with pytest.raises(SessionRevoked):
                    request.store.supersede()
            else:
                request.store.supersede()
            return
        if self.now(request.node) >= base.too_old:
            return  # can't be saved any more; what revoked it may be purged
        if self.list.judge(base) is not None:
            with pytest.raises(SessionRevoked):
                request.store.supersede()
            return
        request.store.supersede()
        epoch = self.list.sessions[base.session] = self.list.number()
        self.list.superseded[base.session] = int(self.clock.now * 1000)
        request.base, request.owed = replace(base, session_epoch=epoch), True

    def delete_other_sessions(self, request: Request, _: None) -> None:
        subject, base = request.data.get("user"), request.base
        if subject is None:
            with pytest.raises(SessionError, match="no subject"):
                request.store.delete_other_sessions()
            return
        own = base is not None and base.subject == subject
        if own and base is not None and self.now(request.node) >= base.too_old:
            return
        if own and base is not None and self.list.judge(base) is not None:
            with pytest.raises(SessionRevoked):
                request.store.delete_other_sessions()
            self.list.subjects[subject] = self.list.number()
            return
        request.store.delete_other_sessions()
        epoch = self.list.subjects[subject] = self.list.number()
        if own and base is not None:
            self.list.sessions[base.session] = epoch
            self.list.superseded[base.session] = int(self.clock.now * 1000)
            base = replace(base, session_epoch=epoch, subject_epoch=epoch)
            request.base, request.owed = base, True

    @precondition(lambda self: self.requests)
    @rule(pick=picks, failed=st.booleans())
    def respond(self, pick: int, failed: bool) -> None:
        """The request ends; the next one of this browser comes with what was sent."""
        request = self.request(pick)
        self.requests.remove(request)
        self.forget_old_names(request)
        self.end(request, failed)

    def end(self, request: Request, failed: bool) -> None:
        sent = sent_cookie(session_headers(request.store, failed=failed))
        if failed:
            self.check_failed(request, sent)
        elif request.delete_cookie and not request.data:
            assert sent == ""
        elif request.base is not None and request.written and not request.data:
            base = request.base
            if self.list.judge(base) is not None:
                assert sent is None  # the cookie of a login beside it stays
                self.logout_counts(request)
            else:
                assert sent == ""
                if base.subject is not None:
                    self.list.end(base.session, int(self.clock.now * 1000))
        elif not self.due(request):
            assert sent is None
        elif not self.refusal(request.node, request.base, request.expiry is not None, request.data):
            self.check_sent(request, sent)
        else:
            self.logout_counts(request)
            self.check_refused(request, sent)

    def logout_counts(self, request: Request) -> None:
        """Who took the user out is logged out, though another request superseded the session."""
        base = request.base
        if base is None or base.subject is None or "user" in request.data:
            return
        if self.list.judge(base) == "superseded":
            self.list.end(base.session, int(self.clock.now * 1000))

    @precondition(lambda self: self.requests)
    @rule(pick=picks)
    def save_by_hand(self, pick: int) -> None:
        request = self.request(pick)
        if request.delete_cookie or request.base is None:
            return
        self.forget_old_names(request)
        errors = self.refusal(request.node, request.base, request.expiry is not None, request.data)
        if errors:
            with pytest.raises(errors):
                request.store.save()
            self.requests.remove(request)
            self.check_refused(request, request.store.session_key if request.owed else None)
            return
        request.store.save()
        self.check_sent(request, request.store.session_key)
        request.base, request.key_number = self.tokens[-1], 0
        request.written = request.owed = request.cycle = False
        request.expiry = None
        # What was handed out stays so, whatever the request does then.
        self.requests.remove(request)

    def due(self, request: Request) -> bool:
        now = self.now(request.node)
        if request.owed or request.delete_cookie:
            return True
        if request.base is None:
            quiet = now < request.quiet_until and "user" not in request.data
            return request.written and bool(request.data) and not quiet
        if request.written or request.cycle or request.expiry is not None:
            return True
        base = request.base
        can_grow = base.lifetime and base.expires < base.too_old
        if can_grow and base.expires - now < base.lifetime // 2:
            return True
        return request.key_number > 0 and now // 1000 - base.issued > OLD_SECRET

    def check_sent(self, request: Request, sent: str | None) -> None:
        assert sent
        token = self.sealed(
            request.node, sent, request.base, request.data, request.expiry, request.cycle
        )
        for number in (0, 1):
            self.check_read(number, token)

    def check_failed(self, request: Request, sent: str | None) -> None:
        if request.delete_cookie:
            assert sent == ""
        else:
            self.check_refused(request, sent)

    def check_refused(self, request: Request, sent: str | None) -> None:
        """Nothing of it was saved; but a browser whose cookie it killed gets another."""
        base = request.base
        owed = base is not None and request.owed
        if base is None or not owed or self.refusal(request.node, base, False, base.data):
            assert sent is None
            return
        assert sent
        self.sealed(request.node, sent, base, base.data, None, False)

    # What happens to nodes.

    @rule(seconds=st.sampled_from([1, 5, 19, 25, 30, 60, 151, 201, 301]), much=rarely)
    def time_passes(self, seconds: int, much: bool) -> None:
        self.tick(700 if much else seconds)

    def tick(self, seconds: int) -> None:
        for clock in (self.clock, *self.clocks):
            clock.tick(seconds)

    @rule(number=numbers, offset=st.integers(-30, 30))
    def clock_steps(self, number: int, offset: int) -> None:
        self.clocks[number].now = self.clock.now + offset

    @rule(number=numbers)
    def purge(self, number: int) -> None:
        self.nodes[number].connector.save()

    def restart(self, number: int) -> None:
        self.nodes[number].connector.close()
        self.requests = [request for request in self.requests if request.node != number]
        self.nodes[number] = self.build(number)

    @rule(number=numbers, also_rotates=st.booleans())
    def restarts(self, number: int, also_rotates: bool) -> None:
        """With the next setting of secrets, if the other node is not behind."""
        if also_rotates and self.stages[number] <= self.stages[1 - number]:
            self.stages[number] = min(self.stages[number] + 1, len(STAGES) - 1)
        self.restart(number)

    @rule(really=rarely)
    def list_is_lost(self, really: bool) -> None:
        if not really:
            return
        if self.kind == "sqlite":  # while it is open, and requests are under way
            for file in self.folder.iterdir():
                file.unlink()
        else:  # with the processes
            for node in self.nodes:
                node.connector.close()
            self.memory = MemoryRevocationList(self.clock)
            self.requests = []
            self.nodes = [self.build(0), self.build(1)]
        self.list = ListModel(self.list.birth + 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_two_nodes(kind: str) -> None:
    machine = type(f"Nodes_{kind}", (Nodes,), {"kind": kind})
    few, many = (150, 3_000) if kind == "memory" else (40, 600)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # of hypothesis
        machine,
        settings=settings(
            max_examples=many if DEEP else few, stateful_step_count=60 if DEEP else 40
        ),
    )
