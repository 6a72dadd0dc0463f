"""The receiver of back-channel logout, from the POST of a provider to the sessions that it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import Clock, NetworkList, Node, SwitchableList

pytest.importorskip("joserfc", reason="joserfc is missing (extra `oidc`)")

from duck_cookie_session import (
    EventKind,
    InvalidArgument,
    InvalidSettings,
    SessionEvent,
    SessionRevoked,
    SessionStore,
)
from duck_cookie_session.contrib.oidc import LogoutAnswer, LogoutReceiver
from tests.helpers.identity import CLIENT, GROUP_KEYS, ISSUER, IdentityProvider, form

MakeNode = Callable[..., Node]

NO_STORE = {"Cache-Control": "no-store"}
DONE = LogoutAnswer(200, NO_STORE, "")
REFUSED = LogoutAnswer(
    400,
    {**NO_STORE, "Content-Type": "application/json"},
    '{"error": "invalid_request", "error_description": "The logout token was not accepted."}',
)


@pytest.fixture
def provider(clock: Clock) -> IdentityProvider:
    return IdentityProvider(clock)


@pytest.fixture
def node(make_node: MakeNode, revocations: SwitchableList) -> Node:
    return make_node(revocations, group_keys=GROUP_KEYS)


@pytest.fixture
def other(make_node: MakeNode, revocations: SwitchableList, node: Node) -> Node:
    return make_node(revocations, group_keys=GROUP_KEYS)


@pytest.fixture
def receiver(node: Node, provider: IdentityProvider) -> LogoutReceiver:
    return LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector)


def log_in(
    node: Node,
    receiver: LogoutReceiver,
    provider: IdentityProvider,
    user: str = "alice",
    **claims: Any,
) -> str:
    """The token of a session that began at the callback of a login."""
    session = node.request()
    session["user"] = user
    receiver.remember(session, provider.id_claims(user, **claims))
    session.save()
    assert session.session_key is not None
    return session.session_key


def refused(node: Node) -> dict[str, int]:
    """How many logout tokens were refused, by reason."""
    counts = node.connector.stats()["provider_logouts_refused"]
    assert isinstance(counts, dict)
    return {reason: number for reason, number in counts.items() if number}


# What is ended.


def test_a_logout_with_sid_ends_that_session_on_every_node(
    node: Node, other: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    ours = log_in(node, receiver, provider, sid="s1")
    phone = log_in(node, receiver, provider, sid="s2")
    stranger = log_in(node, receiver, provider, user="bob", sid="s3")
    assert receiver.receive(*provider.message(sub="alice", sid="s1")) == DONE
    assert [one.read(ours) for one in (node, other)] == [None, None]
    assert None not in [one.read(token) for one in (node, other) for token in (phone, stranger)]


def test_a_logout_with_sub_alone_ends_all_of_that_user(
    node: Node, other: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    ours = [log_in(node, receiver, provider, sid=sid) for sid in ("s1", "s2")]
    ours.append(log_in(node, receiver, provider))  # of a provider that names no sid
    stranger = log_in(node, receiver, provider, user="bob")
    assert receiver.receive(*provider.message(sub="alice")) == DONE
    assert [other.read(token) for token in ours] == [None] * 3
    assert other.read(stranger) is not None


def test_a_login_whose_callback_is_under_way_is_refused_with_its_sid(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    session = node.request()
    session["user"] = "alice"
    receiver.remember(session, provider.id_claims(sid="s1"))
    receiver.receive(*provider.message(sid="s1"))
    with pytest.raises(SessionRevoked):
        session.save()


def test_a_login_after_the_logout_of_a_sub_works(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    receiver.receive(*provider.message(sub="alice"))
    assert node.read(log_in(node, receiver, provider)) is not None
    receiver.receive(*provider.message(sub="alice"))
    assert node.read(log_in(node, receiver, provider)) is not None


def test_a_logout_of_whom_nobody_knows_is_done(
    receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    assert receiver.receive(*provider.message(sid="of nobody")) == DONE
    assert receiver.receive(*provider.message(sub="nobody")) == DONE


def test_the_same_sid_and_sub_of_another_issuer_are_others(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider, clock: Clock
) -> None:
    theirs = IdentityProvider(clock, "https://other.example")
    second = LogoutReceiver(theirs.issuer, CLIENT, theirs.jwks, node.connector)
    ours, foreign = log_in(node, receiver, provider, sid="1"), log_in(node, second, theirs, sid="1")
    assert second.receive(*theirs.message(sid="1")) == DONE
    assert second.receive(*theirs.message(sub="alice")) == DONE
    assert node.read(ours) is not None
    assert node.read(foreign) is None
    # A jti of one is none of the other, and a token of one is nothing to the other.
    assert receiver.receive(*provider.message(sid="1", jti="j")) == DONE
    assert second.receive(*theirs.message(sid="2", jti="j")) == DONE
    assert receiver.receive(*theirs.message(sid="3")) == REFUSED


def test_sid_and_sub_of_one_text_are_not_taken_for_each_other(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    token = log_in(node, receiver, provider, user="x", sid="y")
    receiver.receive(*provider.message(sid="x"))
    receiver.receive(*provider.message(sub="y"))
    assert node.read(token) is not None


def test_it_is_told_and_counted(
    make_node: MakeNode, revocations: SwitchableList, provider: IdentityProvider
) -> None:
    told: list[SessionEvent] = []
    node = make_node(revocations, group_keys=GROUP_KEYS, on_event=told.append)
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector)
    receiver.receive(*provider.message(sid="s1"))
    receiver.receive(*provider.message(sub="alice"))
    assert [(event.kind, event.scope) for event in told] == [(EventKind.REVOKED, "group")] * 2
    stats = node.connector.stats()
    assert (stats["revoked"], stats["provider_logouts"], refused(node)) == (2, 2, {})


# What a session remembers.


def test_what_a_session_remembers_is_short_and_says_nothing(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    session = node.request()
    receiver.remember(session, provider.id_claims("alice@example.com" * 10, sid="s" * 100))
    kept = dict(session)
    assert sorted(kept) == ["oidc_sid", "oidc_sub"]
    assert all(len(value) == 22 and value.isascii() for value in kept.values())


def test_a_login_without_sid_forgets_the_one_before(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    session = node.request()
    receiver.remember(session, provider.id_claims(sid="s1"))
    receiver.remember(session, provider.id_claims())
    assert sorted(dict(session)) == ["oidc_sub"]


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"iss": "https://other.example", "sub": "alice"}, "issuer 'https://other.example'"),
        ({"sub": "alice"}, "issuer None"),
        ({"iss": ISSUER}, "a text as `sub`"),
        ({"iss": ISSUER, "sub": ""}, "a text as `sub`"),
        ({"iss": ISSUER, "sub": 7}, "a text as `sub`"),
        ({"iss": ISSUER, "sub": "alice", "sid": 7}, "a text as `sub`, and as `sid`"),
    ],
)
def test_claims_that_are_not_those_of_a_login(
    node: Node, receiver: LogoutReceiver, claims: dict[str, Any], says: str
) -> None:
    session = node.request()
    with pytest.raises(InvalidArgument, match=says):
        receiver.remember(session, claims)
    assert dict(session) == {}


def test_front_channel_finds_the_session_that_it_names(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    session = SessionStore(log_in(node, receiver, provider, sid="s1"), connector=node.connector)
    assert receiver.is_from(session, ISSUER, "s1")
    for iss, sid in [(ISSUER, "s2"), (ISSUER, None), (ISSUER, ""), (None, "s1"), ("x", "s1")]:
        assert not receiver.is_from(session, iss, sid)
    assert not receiver.is_from(node.request(), ISSUER, "s1")


# A token counts once, and not before its revocation stands.


def test_a_token_that_comes_again_is_refused(
    node: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    message = provider.message(sub="alice")
    assert receiver.receive(*message) == DONE
    later = log_in(node, receiver, provider)
    assert receiver.receive(*message) == REFUSED
    assert node.read(later) is not None
    assert refused(node) == {"repeated": 1}


def test_a_token_that_comes_again_is_refused_on_every_node(
    other: Node, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    message = provider.message(sid="s1")
    assert receiver.receive(*message) == DONE
    second = LogoutReceiver(ISSUER, CLIENT, provider.jwks, other.connector)
    assert second.receive(*message) == REFUSED


@pytest.mark.parametrize("claims", [{"sid": "s1"}, {"sub": "alice"}])
def test_a_provider_that_repeats_after_a_503_is_heard(
    node: Node,
    revocations: SwitchableList,
    receiver: LogoutReceiver,
    provider: IdentityProvider,
    claims: dict[str, str],
) -> None:
    token = log_in(node, receiver, provider, sid="s1")
    message = provider.message(**claims)
    for broken in ("down", "read_only"):
        setattr(revocations, broken, True)
        answer = receiver.receive(*message)
        setattr(revocations, broken, False)
        assert answer.status == 503
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Retry-After"] == "1"
        assert node.read(token) is not None
    assert receiver.receive(*message) == DONE
    assert node.read(token) is None
    assert node.connector.stats()["unreachable"] == 2


@pytest.mark.parametrize("claims", [{"sid": "s1"}, {"sub": "alice"}])
def test_a_list_that_fails_before_the_note_leaves_none(
    make_node: MakeNode, clock: Clock, provider: IdentityProvider, claims: dict[str, str]
) -> None:
    revocations = Scripted(clock)
    node = make_node(revocations, group_keys=GROUP_KEYS)
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector)
    token = log_in(node, receiver, provider, sid="s1")
    message = provider.message(**claims)
    revocations.before_note = lambda: setattr(revocations, "down", True)
    assert receiver.receive(*message).status == 503
    revocations.down = False
    assert node.read(token) is None  # the revocation stands
    assert receiver.receive(*message) == DONE
    assert receiver.receive(*message) == REFUSED


class Scripted(SwitchableList):
    """Does something once, between two steps of a logout."""

    before_raise: Callable[[], object] | None = None
    before_note: Callable[[], object] | None = None

    def _now(self, name: str) -> None:
        act = getattr(self, name)
        setattr(self, name, None)
        if act is not None:
            act()

    def compare_and_raise(self, *args: Any, **options: Any) -> int | None:
        self._now("before_raise")
        return super().compare_and_raise(*args, **options)

    def end(self, scope: bytes) -> None:
        if self.asked[-1:] != ["lookup"]:  # which the end of a sid comes after at once
            self._now("before_note")
        super().end(scope)


@pytest.fixture
def scripted(make_node: MakeNode, clock: Clock) -> Node:
    return make_node(Scripted(clock), group_keys=GROUP_KEYS)


def test_of_two_copies_at_once_one_revokes(scripted: Node, provider: IdentityProvider) -> None:
    """The second finds it done: a login that was made in between lives on."""
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, scripted.connector)
    before = log_in(scripted, receiver, provider)
    message = provider.message(sub="alice")
    between: list[Any] = []

    def first_copy() -> None:
        between.append(receiver.receive(*message))
        between.append(log_in(scripted, receiver, provider))

    scripted.revocations.before_raise = first_copy  # type: ignore[attr-defined]
    assert receiver.receive(*message) == DONE
    assert between[0] == DONE
    assert scripted.read(before) is None
    assert scripted.read(between[1]) is not None
    assert scripted.connector.stats()["revoked"] == 1
    assert receiver.receive(*message) == REFUSED


@pytest.mark.parametrize("claims", [{"sid": "s1"}, {"sub": "alice"}])
def test_a_copy_between_revocation_and_note_does_no_harm(
    scripted: Node, provider: IdentityProvider, claims: dict[str, str]
) -> None:
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, scripted.connector)
    token = log_in(scripted, receiver, provider, sid="s1")
    message = provider.message(**claims)
    copies: list[LogoutAnswer] = []
    scripted.revocations.before_note = (  # type: ignore[attr-defined]
        lambda: copies.append(receiver.receive(*message))
    )
    assert receiver.receive(*message) == DONE
    assert copies == [DONE]
    assert scripted.read(token) is None
    assert scripted.read(log_in(scripted, receiver, provider, sid="s2")) is not None


def test_many_copies_at_once_from_many_threads(
    two_nodes: tuple[Node, Node], make_node: MakeNode, provider: IdentityProvider
) -> None:
    nodes = [make_node(node.revocations, group_keys=GROUP_KEYS) for node in two_nodes]
    receivers = [LogoutReceiver(ISSUER, CLIENT, provider.jwks, one.connector) for one in nodes]
    token = log_in(nodes[0], receivers[0], provider)
    message = provider.message(sub="alice")
    answers: list[LogoutAnswer] = []
    together = threading.Barrier(8)

    def post(receiver: LogoutReceiver) -> None:
        together.wait()
        answers.append(receiver.receive(*message))

    threads = [threading.Thread(target=post, args=(receivers[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert DONE in answers
    assert all(answer in (DONE, REFUSED) for answer in answers)
    assert [node.read(token) for node in nodes] == [None, None]
    assert receivers[0].receive(*message) == REFUSED
    assert nodes[1].read(log_in(nodes[0], receivers[0], provider)) is not None


def test_a_logout_asks_the_list_as_little_as_it_can(
    node: Node, revocations: SwitchableList, receiver: LogoutReceiver, provider: IdentityProvider
) -> None:
    revocations.asked.clear()
    receiver.receive(*provider.message(sid="s1"))
    assert revocations.asked == ["lookup", "end", "end"]
    revocations.asked.clear()
    receiver.receive(*provider.message(sub="alice"))
    assert revocations.asked == ["lookup", "compare_and_raise", "end"]
    revocations.asked.clear()
    receiver.receive(*form(logout_token="junk"))
    assert revocations.asked == []
    assert revocations.survey(node.connector.rules.scopes.prefix).entries == 4


# What is refused.


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"logout_token=", "application/x-www-form-urlencoded"),
        (b"logout_token=a&logout_token=a", "application/x-www-form-urlencoded"),
        (b"logout_token=\xff", "application/x-www-form-urlencoded"),
        (b"logout_token=%FF", "application/x-www-form-urlencoded"),
        (b"logout_token=" + b"a" * 40_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(100)), "application/x-www-form-urlencoded"),
        (b'{"logout_token": "a"}', "application/json"),
        (b"logout_token=a", None),
        (b"logout_token=a", ""),
        (b"logout_token=a", "multipart/form-data"),
    ],
)
def test_what_is_no_form_with_one_token(
    node: Node, receiver: LogoutReceiver, body: bytes, content_type: str | None
) -> None:
    assert receiver.receive(body, content_type) == REFUSED
    assert refused(node) == {"malformed": 1}


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded; charset=utf-8", " Application/X-WWW-Form-URLEncoded "],
)
def test_other_spellings_and_fields_of_a_form(
    receiver: LogoutReceiver, provider: IdentityProvider, content_type: str
) -> None:
    body, _ = form(more="1", logout_token=provider.token(sid="s1"), empty="")
    assert receiver.receive(body, content_type) == DONE


def test_every_refusal_looks_the_same_and_only_the_log_says_why(
    node: Node,
    receiver: LogoutReceiver,
    provider: IdentityProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "duck_cookie_session")
    said = []
    for number, claims in enumerate(
        [{"iss": "https://x"}, {"aud": "y"}, {"nonce": "z"}, {"sid": None}]
    ):
        body, kind = provider.message(**{"sid": f"private-{number}", **claims})
        assert receiver.receive(body, kind) == REFUSED
        said.append(caplog.records[-1])
        assert "private" not in caplog.text
        assert body.decode().partition("=")[2][:20] not in caplog.text
    assert [record.levelname for record in said] == ["INFO"] * 4
    assert [record.getMessage() for record in said] == [
        f"Logout token of {ISSUER} refused: {reason}"
        for reason in ("issuer", "audience", "event", "malformed")
    ]
    assert refused(node) == {"issuer": 1, "audience": 1, "event": 1, "malformed": 1}
    error = json.loads(REFUSED.body)
    assert error["error"] == "invalid_request"


def test_a_token_that_would_outlive_its_note_is_refused(
    make_node: MakeNode, revocations: SwitchableList, provider: IdentityProvider, clock: Clock
) -> None:
    node = make_node(revocations, group_keys=GROUP_KEYS, absolute_age=3_600)
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector)
    message = provider.message(sub="alice", exp=int(clock()) + 3_600)
    assert receiver.receive(*provider.message(sub="alice", exp=int(clock()) + 3_601)) == REFUSED
    assert receiver.receive(*message) == DONE
    clock.now += 3_600 + 59  # the last second of it, with the leeway
    node.connector.save()  # purges
    assert receiver.receive(*message) == REFUSED
    assert refused(node) == {"time": 1, "repeated": 1}


def test_only_the_algorithms_that_are_allowed(node: Node, provider: IdentityProvider) -> None:
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector, algorithms=["RS256"])
    assert receiver.receive(*provider.message(sid="s1")) == REFUSED
    assert refused(node) == {"algorithm": 1}


# Keys over the network.


def test_keys_that_can_not_be_had_are_a_503(
    node: Node, provider: IdentityProvider, clock: Clock
) -> None:
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.fetch, node.connector)
    provider.down = True
    message = provider.message(sid="s1")
    assert receiver.receive(*message).status == 503
    assert refused(node) == {"keys unavailable": 1}
    provider.down = False
    assert receiver.receive(*message).status == 503  # too early to ask again
    clock.now += 10
    assert receiver.receive(*message) == DONE


# In a coroutine, as in a thread.


@pytest.mark.parametrize("kind", [SwitchableList, NetworkList])
def test_the_awaitable_twin(
    make_node: MakeNode, clock: Clock, provider: IdentityProvider, kind: type[SwitchableList]
) -> None:
    revocations = kind(clock)
    node = make_node(revocations, group_keys=GROUP_KEYS)
    receiver = LogoutReceiver(ISSUER, CLIENT, provider.fetch, node.connector)
    token = log_in(node, receiver, provider, sid="s1")

    async def posts() -> list[LogoutAnswer]:
        message = provider.message(sid="s1")
        revocations.down = True
        answers = [await receiver.areceive(*message)]
        revocations.down = False
        for one in (message, message, provider.message(sub="alice"), form(logout_token="junk")):
            answers.append(await receiver.areceive(*one))
        return answers

    answers = asyncio.run(posts())
    assert answers[0].status == 503
    assert answers[1:] == [DONE, REFUSED, DONE, REFUSED]
    assert node.read(token) is None
    assert provider.asked == 1


# What is refused at start.


@pytest.mark.parametrize(
    ("present", "line"),
    [
        (
            (),
            r"lacks .* SESSION_GROUP_KEYS = \('oidc_sid', 'oidc_sub'\)\.$",
        ),
        (("tenant", "oidc_sub"), r"lacks 'oidc_sid', .* = \('tenant', 'oidc_sub', 'oidc_sid'\)\.$"),
        (("a", "b", "c"), r"= \('a', 'b', 'c', 'oidc_sid', 'oidc_sub'\); it has 4 at most\.$"),
    ],
)
def test_a_connector_without_the_group_keys_is_refused_with_the_line_to_add(
    make_node: MakeNode,
    revocations: SwitchableList,
    provider: IdentityProvider,
    present: tuple[str, ...],
    line: str,
) -> None:
    node = make_node(revocations, group_keys=present)
    with pytest.raises(InvalidSettings, match=line):
        LogoutReceiver(ISSUER, CLIENT, provider.jwks, node.connector)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"issuer": ""}, "issuer is ''"),
        ({"client_id": None}, "client_id is None"),
        ({"connector": object()}, "connector is of type object"),
        ({"keys": "https://id.example/jwks"}, "are of type str; they must be a JWK Set"),
        ({"keys": {"keys": []}}, "None of the 0 keys"),
        ({"algorithms": ["none"]}, "algorithms has 'none'; allowed are RS256, "),
        ({"algorithms": "HS256"}, "algorithms has 'HS256'"),
        ({"algorithms": []}, "algorithms is empty; allowed are"),
    ],
)
def test_wrong_arguments(
    node: Node, provider: IdentityProvider, changed: dict[str, Any], says: str
) -> None:
    good = {
        "issuer": ISSUER,
        "client_id": CLIENT,
        "keys": provider.jwks,
        "connector": node.connector,
    }
    with pytest.raises(InvalidArgument, match=says):
        LogoutReceiver(**{**good, **changed})
