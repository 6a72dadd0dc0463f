"""Time and revocation: what may happen to a session, on two nodes over one list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import (
    MemoryRevocationList,
    RevocationListUnavailable,
    SessionError,
    SessionExpired,
    SessionRevoked,
    SessionStore,
    SQLiteRevocationList,
    session_headers,
)
from duck_cookie_session.errors import Reason
from duck_cookie_session.revocation.base import LAST_EPOCH, Standing
from duck_cookie_session.session.judging import Opened
from duck_cookie_session.session.plan import Need, Plan
from duck_cookie_session.token.claims import MAX_NUMBER
from duck_cookie_session.token.format import issued_at, seal_token
from tests.helpers import (
    DAY,
    LOOKED_AT,
    OTHER_SECRET,
    SECRET,
    START,
    Clock,
    Node,
    SwitchableList,
    make_settings,
    sent_cookie,
)

MakeNode = Callable[..., Node]


def saved(session: SessionStore) -> str:
    session.save()
    assert session.session_key
    return session.session_key


def change(session: SessionStore, **data: Any) -> str:
    session.update(data)
    return saved(session)


def lives(node: Node, clock: Clock, token: str | None) -> float:
    """Seconds from now until the token is refused, to the millisecond."""
    low, high, now = 0, 11 * 365 * DAY * 1000, clock.now
    while low < high:
        middle = (low + high) // 2
        clock.now = now + middle / 1000
        low, high = (middle + 1, high) if node.read(token) is not None else (low, middle)
    clock.now = now
    return low / 1000


# Time.


def test_expiry_is_enforced_whatever_the_browser_does(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(7 * DAY - 0.001)
    assert node.read(token) == {"a": 1}
    clock.tick(0.001)
    assert node.read(token) is None
    assert node.request(token) == {}


@pytest.mark.parametrize("given", [100, 100.0, timedelta(seconds=100)])
def test_a_lifetime_is_renewed_at_each_save(node: Node, clock: Clock, given: Any) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(given)
    token = saved(session)
    assert lives(node, clock, token) == 100
    for _ in range(5):
        clock.tick(90)
        token = change(node.request(token), a=2)
        assert lives(node, clock, token) == 100


@pytest.mark.parametrize(
    "given",
    [
        datetime.fromtimestamp(START + 100, UTC),
        datetime.fromtimestamp(START + 100, UTC).replace(tzinfo=None),
        datetime.fromtimestamp(START + 100, timezone(timedelta(hours=5))),
    ],
)
def test_a_datetime_is_fixed(node: Node, clock: Clock, given: datetime) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(given)
    token = saved(session)
    clock.tick(60)
    token = change(node.request(token), a=2)
    assert lives(node, clock, token) == 40
    clock.tick(30)
    session = node.request(token)
    assert session == {"a": 2}
    assert not session.needs_update()


@pytest.mark.parametrize(
    "given", [0, -1, timedelta(0), timedelta(days=-5), datetime(1999, 1, 1), 0.0]
)
def test_zero_or_less_expires_now(node: Node, given: Any) -> None:
    session = node.request(node.start(a=1))
    session.set_expiry(given)
    assert session.session_expired()
    assert session.get_expiry_age() == 0
    assert node.read(saved(session)) is None


def test_none_returns_to_cookie_age(node: Node, clock: Clock) -> None:
    for given in (100, datetime.fromtimestamp(START + 100, UTC)):
        session = node.request(node.start(a=1))
        session.set_expiry(given)
        session = node.request(saved(session))
        session.set_expiry(None)
        assert lives(node, clock, saved(session)) == 7 * DAY


def test_browser_length_changes_only_the_cookie(node: Node, clock: Clock) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(100, browser_length=True)
    headers = dict(session_headers(session))
    assert "Max-Age" not in headers["Set-Cookie"]
    token = session.session_key
    assert lives(node, clock, token) == 100
    session = node.request(token)
    session["a"] = 2
    assert "Max-Age" not in dict(session_headers(session))["Set-Cookie"]  # it stays
    session.set_expiry(100, browser_length=False)
    assert "Max-Age=100" in dict(session_headers(session))["Set-Cookie"]


def test_absolute_age_caps_what_is_sealed(make_node: MakeNode, revocations, clock: Clock) -> None:
    node = make_node(revocations, absolute_age=10 * DAY)
    for given in (100 * DAY, datetime(2090, 1, 1), timedelta.max, 1e308):
        session = node.request()
        session["a"] = 1
        session.set_expiry(given)
        assert lives(node, clock, saved(session)) == 10 * DAY


def test_absolute_age_counts_from_the_first_save(make_node, revocations, clock: Clock) -> None:
    node = make_node(revocations, absolute_age=10 * DAY)
    token = node.start(a=1)
    clock.tick(5 * DAY)
    token = change(node.request(token), a=2)
    assert lives(node, clock, token) == 5 * DAY
    clock.tick(4 * DAY)
    token = change(node.request(token), a=3)
    assert lives(node, clock, token) == 1 * DAY


def test_absolute_age_is_checked_when_reading(make_node, revocations, clock: Clock) -> None:
    """A node that was started with a shorter one refuses what another sealed."""
    token = make_node(revocations, absolute_age=20 * DAY, cookie_age=15 * DAY).start(a=1)
    assert lives(make_node(revocations, absolute_age=3 * DAY), clock, token) == 3 * DAY


def test_absolute_age_can_not_be_passed_by_set_expiry(make_node, revocations, clock) -> None:
    node = make_node(revocations, absolute_age=10 * DAY, cookie_age=10 * DAY)
    session = node.request(node.start(a=1))
    session["a"] = 2
    clock.tick(10 * DAY)
    session.set_expiry(None)
    with pytest.raises(SessionExpired, match="absolute age"):
        session.save()


def test_past_the_absolute_age_is_said_the_same_once_the_list_forgot_its_checkpoint(
    make_node: MakeNode, clock: Clock
) -> None:
    node = make_node(MemoryRevocationList(clock), cookie_age=50, absolute_age=50)
    node.connector.delete_subject("somebody")
    session = node.request(node.start(a=1))
    session["a"] = 2
    clock.tick(20)
    node.connector.delete_subject("somebody")  # another checkpoint takes the place of the token's
    clock.tick(node.connector.settings.absolute_age + node.connector.settings.clock_skew + 1)
    assert node.connector.revocations.purge() > 0
    with pytest.raises(SessionExpired, match="absolute age"):
        session.save()


def test_a_login_starts_a_new_created_at(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(100)
    session = node.request(token)
    session["user"] = 1
    session.save()
    assert session.created_at == datetime.fromtimestamp(START + 100, UTC)
    clock.tick(100)
    session["user"] = 2
    session.save()
    assert session.created_at == datetime.fromtimestamp(START + 200, UTC)


@pytest.mark.parametrize("how", ["cycle_key", "logout", "save", "supersede", "others"])
def test_what_keeps_created_at(node: Node, clock: Clock, how: str) -> None:
    session = node.request(node.start(user=1))
    clock.tick(100)
    if how == "cycle_key":
        session.cycle_key()
    elif how == "logout":
        del session["user"]
    elif how == "supersede":
        session.supersede()
    elif how == "others":
        session.delete_other_sessions()
    session.save()
    assert session.created_at == datetime.fromtimestamp(START, UTC)


def test_expired_between_load_and_save(node: Node, clock: Clock) -> None:
    session = node.request(node.connector.set_session(None, {"a": 1}, expiry=60))
    session["a"] = 2
    clock.tick(60)
    assert session.session_expired()
    with pytest.raises(SessionExpired, match="set_expiry"):
        session.save()
    session.set_expiry(None)
    assert not session.session_expired()
    assert node.read(saved(session)) == {"a": 2}


def test_no_token_is_refused_for_coming_from_the_future(node: Node, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(-5 * DAY)
    assert node.read(token) == {"a": 1}


# Due for re-issue.


def due(node: Node, token: str) -> bool:
    session = node.request(token)
    session.get("anything")
    return session.needs_update()


def test_not_due_before_half_of_the_lifetime(node: Node, clock: Clock) -> None:
    token = node.connector.set_session(None, {"a": 1}, expiry=1000)
    clock.tick(500)
    assert not due(node, token)
    clock.tick(1)
    assert due(node, token)
    assert not node.request(token).needs_update()  # nobody looked


def test_a_fixed_expiry_is_never_due(node: Node, clock: Clock) -> None:
    session = node.request()
    session["a"] = 1
    session.set_expiry(datetime.fromtimestamp(START + 1000, UTC))
    token = saved(session)
    clock.tick(999)
    assert not due(node, token)


def test_what_absolute_age_caps_is_not_due_again_and_again(make_node, revocations, clock) -> None:
    node = make_node(revocations, absolute_age=10 * DAY, cookie_age=8 * DAY)
    token = node.start(a=1)
    clock.tick(5 * DAY)
    assert due(node, token)
    token = change(node.request(token), a=2)
    clock.tick(5 * DAY - 1)
    assert not due(node, token)


def test_an_old_secret_is_due_after_five_minutes(make_node, revocations, clock: Clock) -> None:
    old = make_node(revocations, secret_keys=[OTHER_SECRET])
    new = make_node(revocations, secret_keys=[SECRET, OTHER_SECRET])
    token = old.start(a=1)
    clock.tick(300)
    assert not due(new, token)
    clock.tick(1)
    assert due(new, token)
    assert not due(old, token)
    session = new.request(token)
    session.get("a")
    renewed = saved(session)
    assert not due(new, renewed)
    assert issued_at(renewed) == clock.now


def test_a_re_issue_extends_and_changes_nothing_else(node: Node, clock: Clock) -> None:
    token = node.start(user=1, a=[1])
    clock.tick(4 * DAY)
    session = node.request(token)
    session.get("a")
    before = session.session_id, session.created_at
    new = sent_cookie(session_headers(session))
    assert new is not None
    session = node.request(new)
    assert session == {"user": 1, "a": [1]}
    assert (session.session_id, session.created_at) == before
    assert lives(node, clock, new) == 7 * DAY
    assert node.read(token)


def test_a_read_never_fails_for_a_re_issue(node: Node, revocations, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(5 * DAY)
    session = node.request(token)
    session.get("a")
    revocations.down = True
    session.save()
    assert session.session_key == token
    session["a"] = 2
    with pytest.raises(RevocationListUnavailable):
        session.save()


# A login, a logout, a cycled key: on both nodes at once.


def test_login_changes_the_id_and_ends_the_old(two_nodes: tuple[Node, Node]) -> None:
    node, _ = two_nodes
    before = node.start(cart=["apple"])
    session = node.request(before)
    old_id = session.session_id
    session["user"] = 1
    after = saved(session)
    assert session.session_id != old_id
    for reader in two_nodes:
        assert reader.read(before) is None
        assert reader.read(after) == {"cart": ["apple"], "user": 1}


def test_switching_user_is_a_login(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    before = node.start(user=1)
    after = change(other.request(before), user=2)
    assert node.read(before) is None
    assert node.read(after) == {"user": 2}


def test_the_same_subject_in_another_type_is_no_login(node: Node) -> None:
    before = node.start(user=1)
    change(node.request(before), user="1")
    assert node.read(before) == {"user": 1}


def test_cycle_key_gives_a_new_id_and_keeps_the_rest(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    before = node.start(user=1, a=1)
    session = node.request(before)
    old_id = session.session_id
    session.cycle_key()
    assert other.read(before)  # revoked in the save, not before
    after = saved(session)
    assert other.request(after).session_id not in (None, old_id)
    assert other.read(after) == {"user": 1, "a": 1}
    assert other.read(before) is None
    assert not node.request(after).needs_update()


def test_without_a_subject_key_nothing_is_a_login(make_node, revocations) -> None:
    node = make_node(revocations, subject_key=None)
    before = node.start(a=1)
    change(node.request(before), user=1)
    assert node.read(before) == {"a": 1}


@pytest.mark.parametrize("how", ["clear", "flush", "delete", "delete own token", "delete own id"])
def test_a_logout_ends_the_session_everywhere(two_nodes: tuple[Node, Node], how: str) -> None:
    node, other = two_nodes
    token = node.start(user=1)
    copied = change(node.request(token), a=1)
    session = other.request(copied)
    if how == "delete own token":
        session.delete(token)
    elif how == "delete own id":
        session.delete(session.session_id)
    else:
        getattr(session, how)()
    for reader in two_nodes:
        assert reader.read(token) is reader.read(copied) is None
    assert session == {}
    assert sent_cookie(session_headers(session)) == ""


@pytest.mark.parametrize(
    "revoke",
    [
        lambda node, token: node.connector.delete_session(token),
        lambda node, token: node.connector.delete_subject(1),
        lambda node, token: node.connector.clear_all_sessions(),
        lambda node, token: node.request(token).clear(),
        lambda node, token: node.request(token).supersede(),
        lambda node, token: change(node.request(token), user=2),
        lambda node, token: node.request(node.start(user=1)).delete_other_sessions(),
    ],
)
def test_a_save_under_way_during_a_revocation(two_nodes: tuple[Node, Node], revoke: Any) -> None:
    node, other = two_nodes
    token = node.start(user=1)
    session = node.request(token)
    session["a"] = 1
    revoke(other, token)
    with pytest.raises(SessionRevoked):
        session.save()
    assert session.session_key == token
    assert node.read(token) is None


class MeddlingList(MemoryRevocationList):
    """Somebody else acts between the two questions of a save."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.meddle: Callable[[bytes], object] | None = None

    def compare_and_raise(self, scope: bytes, expected: int, **how: Any) -> int | None:
        meddle, self.meddle = self.meddle, None
        if meddle is not None:
            meddle(scope)
        return super().compare_and_raise(scope, expected, **how)


@pytest.mark.parametrize("how", ["login", "cycle_key"])
@pytest.mark.parametrize("by", ["end", "raise_epoch"])
def test_a_logout_between_judging_and_revoking(
    make_node: MakeNode, clock: Clock, how: str, by: str
) -> None:
    revocations = MeddlingList(clock)
    node = make_node(revocations)
    session = node.request(node.start(user=1))
    if how == "login":
        session["user"] = 2
    else:
        session.cycle_key()
    revocations.meddle = getattr(revocations, by)
    with pytest.raises(SessionRevoked):
        session.save()


def test_delete_other_sessions_tries_again_when_others_revoke(make_node, clock: Clock) -> None:
    revocations = MeddlingList(clock)
    node = make_node(revocations)
    mine = node.start(user=1)
    session = node.request(mine)
    session.get("user")
    revocations.meddle = revocations.raise_epoch  # the subject was revoked meanwhile: mine too
    with pytest.raises(SessionRevoked):
        session.delete_other_sessions()
    assert node.read(mine) is None


class StallingList(MemoryRevocationList):
    """Answers only after an hour."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.clock = clock
        self.stalls = False

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        found = super().lookup(scopes, checkpoint=checkpoint, fresh=fresh)
        if self.stalls:
            self.clock.tick(3600)
        return found


def test_a_save_that_stalls_lives_from_when_it_began(make_node: MakeNode, clock: Clock) -> None:
    revocations = StallingList(clock)
    node = make_node(revocations)
    revocations.stalls = True
    token = node.start(a=1)
    revocations.stalls = False
    assert clock.now == START + 3600
    assert node.request(token).created_at == datetime.fromtimestamp(START, UTC)
    assert lives(node, clock, token) == 7 * DAY - 3600


# One question a check, one a save.


def test_a_check_is_one_lookup(node: Node, revocations: SwitchableList) -> None:
    token = node.start(user=1)
    revocations.asked.clear()
    session = node.request(token)
    assert session["user"] == 1
    assert session_headers(session)
    assert revocations.asked == ["lookup"]


def test_a_save_is_one_lookup_and_a_login_one_raise_more(node: Node, revocations) -> None:
    session = node.request(node.start(a=1))
    session["a"] = 2
    revocations.asked.clear()
    session.save()
    assert revocations.asked == ["lookup"]
    session["user"] = 1
    revocations.asked.clear()
    session.save()
    assert revocations.asked == ["lookup", "compare_and_raise"]


def test_what_is_refused_unasked(node: Node, revocations: SwitchableList, clock: Clock) -> None:
    token = node.start(a=1)
    clock.tick(8 * DAY)
    revocations.asked.clear()
    assert node.read(token) is node.read("nonsense") is node.read(token[:-4]) is None
    assert revocations.asked == []


# supersede


def test_supersede_refuses_every_token_at_once(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    first = node.start(credit=5)
    second = change(node.request(first), seen=1)
    session = other.request(second)
    session.supersede()
    assert node.read(first) is node.read(second) is other.read(second) is None
    session["credit"] = 0
    third = saved(session)
    assert node.read(third) == {"credit": 0, "seen": 1}
    assert node.request(third).session_id == session.session_id
    assert node.read(second) is None


def test_of_two_parallel_requests_one_wins(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    token = node.start(credit=5)
    one, another = node.request(token), other.request(token)
    assert one["credit"] == another["credit"] == 5
    one.supersede()
    with pytest.raises(SessionRevoked):
        another.supersede()
    one["credit"] = 0
    assert other.read(saved(one)) == {"credit": 0}


@pytest.mark.parametrize(
    "revoke",
    [
        lambda node, token: node.request(token).supersede(),
        lambda node, token: node.connector.delete_session(token),
        lambda node, token: node.connector.delete_subject(1),
        lambda node, token: node.connector.clear_all_sessions(),
    ],
)
def test_a_request_that_came_too_late_to_load_does_not_spend_either(
    two_nodes: tuple[Node, Node], revoke: Any
) -> None:
    node, other = two_nodes
    token = node.start(user=1)
    revoke(other, token)
    session = node.request(token)
    assert session.get("user") is None
    with pytest.raises(SessionRevoked):
        session.supersede()


def test_supersede_between_lookup_and_raise(make_node: MakeNode, clock: Clock) -> None:
    revocations = MeddlingList(clock)
    node = make_node(revocations)
    session = node.request(node.start(credit=5))
    session.get("credit")
    revocations.meddle = revocations.raise_epoch
    with pytest.raises(SessionRevoked):
        session.supersede()


def test_supersede_twice_in_one_request(node: Node) -> None:
    session = node.request(node.start(a=1))
    session.supersede()
    session.supersede()
    assert node.read(saved(session)) == {"a": 1}


def test_a_visitor_has_nothing_to_supersede(node: Node, revocations: SwitchableList) -> None:
    for session in (node.request(), node.request("nonsense")):
        session.supersede()
        assert not session.needs_update()
    assert revocations.asked == []


def test_superseded_is_due_for_a_cookie(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session.supersede()
    assert session.needs_update()
    assert node.sent(session) == {"a": 1}


@pytest.mark.parametrize("wrong", [object(), "x" * 5000])
def test_when_the_save_after_it_fails_the_data_as_loaded_are_re_issued(
    node: Node, wrong: Any
) -> None:
    token = node.start(credit=5)
    session = node.request(token)
    session.supersede()
    session["credit"] = 0
    session["wrong"] = wrong
    new = sent_cookie(session_headers(session))
    assert node.read(token) is None
    assert node.read(new) == {"credit": 5}
    assert session["wrong"] == wrong  # the application's state is left alone
    assert session.modified


def test_supersede_and_logout(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session.supersede()
    session.clear()
    assert sent_cookie(session_headers(session)) == ""
    assert node.read(token) is None


def test_supersede_and_login(node: Node) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session.supersede()
    session["user"] = 1
    new = saved(session)
    assert node.read(token) is None
    assert node.read(new) == {"a": 1, "user": 1}


# delete_other_sessions


def test_delete_other_sessions(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    mine, elsewhere, stranger = node.start(user=1), other.start(user=1), other.start(user=2)
    session = node.request(mine)
    session.delete_other_sessions()
    assert other.read(elsewhere) is None
    assert other.read(stranger)
    assert session.needs_update()
    new = saved(session)
    for reader in two_nodes:
        assert reader.read(new) == {"user": 1}
        assert reader.read(mine) is None


def test_delete_other_sessions_judges_its_own_first(two_nodes: tuple[Node, Node]) -> None:
    node, other = two_nodes
    mine, elsewhere = node.start(user=1), node.start(user=1)
    session = node.request(mine)
    assert session["user"] == 1
    other.connector.delete_session(mine)
    with pytest.raises(SessionRevoked):
        session.delete_other_sessions()
    assert other.read(elsewhere) is None  # the revocation stands
    with pytest.raises(SessionRevoked):
        session.save()


def test_delete_other_sessions_in_the_request_that_logs_in(node: Node) -> None:
    elsewhere = node.start(user=1)
    for token in (None, node.start(a=1)):
        session = node.request(token)
        session["user"] = 1
        session.delete_other_sessions()
        assert node.read(elsewhere) is None
        elsewhere = saved(session)
        assert node.read(elsewhere)["user"] == 1  # type: ignore[index]  # or the test fails here


# A late request of an ended session.


@pytest.mark.parametrize("ended_by", ["logout", "login", "cycle_key", "delete_session"])
def test_a_late_request_sends_no_cookie_for_30_seconds(
    two_nodes: tuple[Node, Node], clock: Clock, ended_by: str
) -> None:
    node, other = two_nodes
    token = node.start(user=1)
    session = other.request(token)
    if ended_by == "logout":
        session.clear()
    elif ended_by == "login":
        change(session, user=2)
    elif ended_by == "cycle_key":
        session.cycle_key()
        session.save()
    else:
        other.connector.delete_session(token)
    for _ in range(2):
        late = node.request(token)
        assert late == {}
        late["visited"] = True
        assert not late.needs_update()
        assert session_headers(late) == LOOKED_AT
        late.save()  # by hand: not either
        assert sent_cookie(session_headers(late)) is None
        clock.tick(29.9)
        if _ == 0:
            clock.tick(-29.9)
    clock.tick(0.2)
    late = node.request(token)
    late["visited"] = True
    assert node.sent(late) == {"visited": True}


def test_a_late_request_of_a_superseded_session_leaves_the_winner_its_cookie(
    node: Node, clock: Clock
) -> None:
    token = node.start(user=1, credit=5)
    winner = node.request(token)
    winner.supersede()
    late = node.request(token)
    late["visited"] = True
    assert session_headers(late) == LOOKED_AT
    assert node.sent(winner) == {"user": 1, "credit": 5}
    clock.tick(30.1)
    late = node.request(token)
    late["visited"] = True
    assert node.sent(late) == {"visited": True}


def test_a_late_request_that_logs_in_sends_its_cookie(node: Node) -> None:
    token = node.start(user=1)
    node.request(token).clear()
    late = node.request(token)
    late["user"] = 2
    assert node.sent(late) == {"user": 2}


def test_a_request_under_way_when_30_seconds_pass(node: Node, clock: Clock) -> None:
    token = node.start(user=1)
    node.request(token).clear()
    late = node.request(token)
    late["visited"] = True
    clock.tick(31)
    assert node.sent(late) == {"visited": True}


@pytest.mark.parametrize("scope", ["subject", "everything"])
def test_after_other_revocations_it_is_a_new_visitor(node: Node, scope: str) -> None:
    token = node.start(user=1)
    if scope == "subject":
        node.connector.delete_subject(1)
    else:
        node.connector.clear_all_sessions()
    late = node.request(token)
    late["visited"] = True
    assert node.sent(late) == {"visited": True}


# Reasons are few, logged without anything of the session.


def test_reasons_are_logged_and_nothing_else(
    node: Node, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    token = node.start(user="anna", secret="hidden")
    session_id = node.request(token).session_id
    assert session_id is not None
    node.connector.delete_session(token)
    node.read(token)
    node.read("nonsense")
    expired = node.connector.set_session(None, {"user": "anna"}, expiry=1)
    clock.tick(2)
    node.read(expired)
    reasons = [record.args[0] for record in caplog.records if record.msg.startswith("Session ref")]  # type: ignore[index]  # a tuple there
    assert reasons == ["ended", "no key", "expired"]
    assert set(reasons) <= {reason.value for reason in Reason}
    for secret in (token, expired, session_id, "anna", "hidden", SECRET):
        assert secret not in caplog.text


def test_error_reports_that_show_local_variables_show_no_session(node: Node) -> None:
    opened = node.connector.load(node.start(user="anna", secret="hidden"))
    assert isinstance(opened, Opened)
    write = Plan(Need.TOKEN, opened.data, "anna")
    for shown in (repr(opened), repr(write), repr(node.request(opened.token))):
        for secret in (opened.token, "anna", "hidden", opened.claims.id_text):
            assert secret not in shown


# The list does not answer.


def test_refuse_is_an_error_and_never_an_empty_session(node: Node, revocations) -> None:
    token = node.start(a=1)
    revocations.down = True
    session = node.request(token)
    for touch in (session.get, session.__contains__, session.pop):
        with pytest.raises(RevocationListUnavailable):
            touch("a")
    with pytest.raises(RevocationListUnavailable):
        session["a"] = 2
    assert session._request.list_failed
    assert not session.loaded
    revocations.down = False
    assert session == {"a": 1}


def test_accept_serves_unchecked(
    make_node: MakeNode, revocations: SwitchableList, caplog: pytest.LogCaptureFixture
) -> None:
    node = make_node(revocations, on_unreachable="accept")
    kept, ended = node.start(a=1), node.start(a=1)
    node.connector.delete_session(ended)
    revocations.down = True
    assert node.read(kept) == node.read(ended) == {"a": 1}
    assert len([r for r in caplog.records if "served unchecked" in r.message]) == 1
    revocations.down = False
    assert node.read(ended) is None


def test_accept_saves_under_the_epochs_that_stood(make_node, revocations) -> None:
    node = make_node(revocations, on_unreachable="accept")
    user, revoked = node.start(user=1), node.start(user=2)
    node.connector.delete_subject(2)
    revocations.down = True
    user = change(node.request(user), a=1)
    revoked = change(node.request(revoked), a=1)
    visitor = node.start(a=1)
    assert all(node.read(token) for token in (user, revoked, visitor))
    revocations.down = False
    assert node.read(user) == {"user": 1, "a": 1}
    assert node.read(revoked) is None
    assert node.read(visitor) == {"a": 1}


@pytest.mark.parametrize("policy", ["refuse", "accept"])
def test_a_save_asks_a_list_that_does_not_answer_only_once(make_node, revocations, policy) -> None:
    """It may take seconds to say so."""
    node = make_node(revocations, on_unreachable=policy)
    goes_on, begins = node.request(node.start(user=1)), node.request()
    for session in (goes_on, begins):
        session["a"] = 1
    revocations.down = True
    for session in (goes_on, begins):
        revocations.asked.clear()
        with pytest.raises(RevocationListUnavailable) if policy == "refuse" else nullcontext():
            session_headers(session)
        assert revocations.asked == ["lookup"]
    for token in (None, goes_on.session_key):
        revocations.asked.clear()
        with pytest.raises(RevocationListUnavailable) if policy == "refuse" else nullcontext():
            node.connector.set_session(token, {"user": 1, "a": 2})
        assert revocations.asked == ["lookup"]


def test_accept_makes_no_revocation_that_nobody_hears(make_node, revocations) -> None:
    node = make_node(revocations, on_unreachable="accept")
    token = node.start(user=1)
    revocations.down = True
    for revoke in (
        lambda s: s.clear(),
        lambda s: s.flush(),
        lambda s: s.delete(),
        lambda s: s.supersede(),
        lambda s: s.delete_other_sessions(),
        lambda s: (s.cycle_key(), s.save()),
        lambda s: (s.update(user=2), s.save()),
        lambda s: s.pop("user") and s.save(),
    ):
        session = node.request(token)
        with pytest.raises(RevocationListUnavailable):
            revoke(session)
        assert session.session_key == token


def test_accept_begins_no_session_before_it_ever_asked(make_node, revocations) -> None:
    node = make_node(revocations, on_unreachable="accept")
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        node.start(a=1)


@pytest.mark.parametrize("revoke", ["supersede", "delete_other_sessions"])
@pytest.mark.parametrize("failed", [False, True])
def test_a_list_that_fails_after_a_revocation_of_the_session_leaves_no_dead_cookie(
    node: Node, revocations, revoke: str, failed: bool
) -> None:
    token = node.start(user=1, credit=5)
    session = node.request(token)
    getattr(session, revoke)()
    session["credit"] = 0
    revocations.down = True
    sent = sent_cookie(session_headers(session, failed=failed))
    revocations.down = False
    assert node.read(token) is None
    assert node.read(sent) == {"user": 1, "credit": 5 if failed else 0}


def test_what_was_sealed_unasked_after_supersede_is_refused_if_it_was_revoked(
    node: Node, revocations
) -> None:
    session = node.request(node.start(user=1))
    session.supersede()
    node.connector.delete_subject(1)
    revocations.down = True
    sent = sent_cookie(session_headers(session))
    revocations.down = False
    assert sent
    assert node.read(sent) is None


def test_a_clear_that_can_not_revoke_changes_nothing(node: Node, revocations) -> None:
    token = node.start(user=1)
    session = node.request(token)
    assert session["user"] == 1
    revocations.read_only = True
    for revoke in (session.clear, session.flush, session.delete):
        with pytest.raises(RevocationListUnavailable):
            revoke()
    assert session == {"user": 1}
    assert not session.needs_update()
    revocations.read_only = False
    assert node.read(token)


def test_a_login_that_can_not_revoke_is_not_handed_out(node: Node, revocations) -> None:
    token = node.start(a=1)
    session = node.request(token)
    session["user"] = 1
    revocations.read_only = True
    with pytest.raises(RevocationListUnavailable):
        session.save()
    assert session.session_key == token
    assert session._request.outgoing is None
    revocations.read_only = False
    session.save()
    assert node.read(session.session_key) == {"a": 1, "user": 1}
    assert node.read(token) is None


# The list is lost.


def fresh_list(kind: str, clock: Clock, folder: Path) -> Any:
    return (
        MemoryRevocationList(clock)
        if kind == "memory"
        else SQLiteRevocationList(folder, clock=clock)
    )


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("on_lost", ["refuse", "accept"])
def test_a_lost_list(
    make_node: MakeNode, clock: Clock, tmp_path: Path, kind: str, on_lost: str
) -> None:
    node = make_node(fresh_list(kind, clock, tmp_path / "1"), on_lost=on_lost)
    kept, ended = node.start(a=1), node.start(a=1)
    node.connector.delete_session(ended)
    node.connector.close()
    node = make_node(fresh_list(kind, clock, tmp_path / "2"), on_lost=on_lost)
    if on_lost == "refuse":
        assert node.read(kept) is node.read(ended) is None
    else:
        assert node.read(kept) == node.read(ended) == {"a": 1}
    assert node.read(node.start(a=1))


def test_a_file_removed_while_open(make_node: MakeNode, clock: Clock, tmp_path: Path) -> None:
    node = make_node(SQLiteRevocationList(tmp_path, clock=clock))
    other = make_node(SQLiteRevocationList(tmp_path, clock=clock))
    kept, ended = node.start(a=1), node.start(a=1)
    node.connector.delete_session(ended)
    in_flight = other.request(kept)
    in_flight["a"] = 2
    for file in tmp_path.iterdir():
        file.unlink()
    for reader in (node, other):
        assert reader.read(kept) is reader.read(ended) is None
    with pytest.raises(SessionRevoked):
        in_flight.save()
    assert other.read(node.start(a=1)) == {"a": 1}


# Entries live as long as any token that they refuse.


@pytest.mark.parametrize("ahead", [0, 60, -60])
def test_an_entry_outlives_every_token(make_node: MakeNode, clock: Clock, ahead: float) -> None:
    """The node that sealed it and the node that is asked differ by clock_skew, in either way."""
    revocations = SwitchableList(clock)
    sealer_clock, reader_clock = Clock(START + max(ahead, 0)), Clock(START - min(ahead, 0))
    sealer = make_node(revocations, clock=sealer_clock, cookie_age=30 * DAY)
    reader = make_node(revocations, clock=reader_clock, cookie_age=30 * DAY)
    token = sealer.start(user=1)
    gone = (
        lambda: sealer.connector.delete_session(token),
        lambda: sealer.connector.delete_subject(1),
    )
    for revoke in gone:
        revoke()
    for passed in (30 * DAY - 1, 30 * DAY, 30 * DAY + 59):
        for turned in (clock, sealer_clock, reader_clock):
            turned.tick(passed)
        revocations.purge()
        assert reader.read(token) is None
        assert reader.read(token) is None
        for turned in (clock, sealer_clock, reader_clock):
            turned.tick(-passed)


def test_the_last_epoch_is_passed_by_nothing(node: Node, revocations: SwitchableList) -> None:
    token = node.start(a=1)
    node.connector.delete_session(token)
    scope = node.connector.rules.scopes.session(
        node.connector.session_id_of(token)  # type: ignore[arg-type]  # it is a token
    )
    assert revocations.lookup([scope]).epochs == (LAST_EPOCH,)
    assert revocations.raise_epoch(scope) == LAST_EPOCH
    assert revocations.compare_and_raise(scope, LAST_EPOCH, nonce=b"n" * 16) is None
    assert node.read(token) is None


def test_settings_are_given_to_the_list(make_node: MakeNode, clock: Clock) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations, absolute_age=100, clock_skew=5, cookie_age=50)
    binding = revocations.binding(node.connector.rules.scopes.everything)
    assert (binding.retention, binding.keeps_birth) == (105, True)
    assert make_settings().clock_skew == 60


# What a read may reuse, a save may not.


class ReusingList(SwitchableList):
    """As a list across the network: reads may be answered with what stood a while ago."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.known: dict[tuple[bytes, ...], Standing] = {}
        self.reuses = False
        self.lookups: list[tuple[int, bool]] = []

    def lookup(
        self, scopes: Sequence[bytes], *, checkpoint: int = 0, fresh: bool = True
    ) -> Standing:
        self.lookups.append((len(scopes), fresh))
        if self.reuses and not fresh and tuple(scopes) in self.known:
            return self.known[tuple(scopes)]
        found = super().lookup(scopes, checkpoint=checkpoint)
        if not self.reuses:
            self.known[tuple(scopes)] = found
        return found


@pytest.fixture
def reusing(make_node: MakeNode, clock: Clock) -> tuple[Node, ReusingList]:
    revocations = ReusingList(clock)
    return make_node(revocations), revocations


def test_a_reused_answer_serves_reads_only(reusing: tuple[Node, ReusingList]) -> None:
    node, revocations = reusing
    token = node.start(user=1)
    assert node.read(token)
    revocations.reuses = True
    node.connector.delete_session(token)
    assert node.read(token) == {"user": 1}
    assert not node.request(token).exists()
    for act in (
        lambda s: (s.update(a=1), s.save()),
        lambda s: s.supersede(),
        lambda s: s.delete_other_sessions(),
    ):
        session = node.request(token)
        assert session["user"] == 1
        with pytest.raises(SessionRevoked):
            act(session)


def test_a_reused_answer_older_than_the_token_refuses_nothing(
    reusing: tuple[Node, ReusingList],
) -> None:
    node, revocations = reusing
    token = node.start(a=1)
    assert node.read(token)
    session = node.request(token)
    session.supersede()
    session.save()
    ((scopes, before),) = [(s, k) for s, k in revocations.known.items() if len(s) == 2]
    revocations.known[scopes] = replace(before, epochs=(before.epochs[0] + 5, 0))
    revocations.reuses = True
    assert node.read(session.session_key) == {"a": 1}
    assert revocations.lookups[-2:] == [(2, False), (2, True)]


@pytest.mark.parametrize(
    ("change_it", "scopes"),
    [
        (lambda s: s.update(a=2), 3),
        (lambda s: s.cycle_key(), 3),
        (lambda s: s.update(user=2), 4),
        (lambda s: s.pop("user"), 3),
    ],
)
def test_a_save_reads_all_it_needs_at_once(
    reusing: tuple[Node, ReusingList], change_it: Callable[[Any], Any], scopes: int
) -> None:
    node, revocations = reusing
    session = node.request(node.start(user=1))
    change_it(session)
    revocations.lookups.clear()
    session.save()
    assert revocations.lookups == [(scopes, True)]


def test_a_re_issue_waits_while_the_list_is_unreachable(make_node, revocations, clock) -> None:
    """Under "accept" too: what was not checked is not renewed."""
    node = make_node(revocations, on_unreachable="accept")
    token = node.start(a=1)
    clock.tick(5 * DAY)
    revocations.down = True
    session = node.request(token)
    assert session == {"a": 1}
    assert sent_cookie(session_headers(session)) is None
    session["a"] = 2
    assert node.sent(session) == {"a": 2}


def test_created_at_is_the_same_on_every_node(two_nodes: tuple[Node, Node], clock: Clock) -> None:
    """Whole seconds: the node that sealed it knows no more than the token says."""
    node, _ = two_nodes
    clock.tick(0.75)
    token = node.start(a=1)
    for reader in two_nodes:
        assert reader.request(token).created_at == datetime.fromtimestamp(START, UTC)
        assert reader.request(token).get_expiry_age() == 7 * DAY


def test_switching_to_a_user_who_was_revoked_before(two_nodes: tuple[Node, Node]) -> None:
    """The new token carries the epoch of its own subject, not of the one before."""
    node, other = two_nodes
    token = node.start(user=1)
    other.connector.delete_subject(2)
    switched = change(node.request(token), user=2)
    assert other.read(switched) == {"user": 2}
    other.connector.delete_subject(2)
    assert node.read(switched) is None
    back = change(node.request(node.start(user=2)), user=1)
    other.connector.delete_subject(1)
    assert node.read(back) is None


@pytest.mark.parametrize("everything", [MAX_NUMBER - 1, MAX_NUMBER])
def test_a_logout_of_everybody_that_cannot_be_is_an_error(
    two_nodes: tuple[Node, Node], everything: int
) -> None:
    """After a token made by hand with the right key, which used up the list's numbers."""
    node, other = two_nodes
    rules = node.connector.rules
    known = rules.open(node.start(user=1))
    assert isinstance(known, Opened)
    forged = replace(known.claims, everything_epoch=everything)
    node.read(seal_token(rules.ring, forged, known.data, rules.now_ms() // 1000))
    token = other.start(user=1)
    assert other.read(token) is not None
    with pytest.raises(SessionError, match="new-birth"):
        other.connector.clear_all_sessions()
    node.revocations.new_birth(rules.scopes.prefix)
    for reader in two_nodes:
        assert reader.read(token) is None
