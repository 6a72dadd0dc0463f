"""Groups: names in the data by which sessions can be ended, as by subject."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session import (
    InvalidArgument,
    InvalidSettings,
    MemoryRevocationList,
    RevocationListUnavailable,
    SessionRevoked,
    SessionTooLarge,
    session_headers,
)
from duck_cookie_session.token.format import open_token
from tests.helpers import Clock, Node, SwitchableList, make_settings, sent_cookie

MakeNode = Callable[..., Node]
KEYS = ("tenant", "oidc_sid")


@pytest.fixture
def node(make_node: MakeNode, clock: Clock) -> Node:
    """A node whose sessions belong to a tenant and to a session at a provider."""
    return make_node(MemoryRevocationList(clock), group_keys=KEYS)


def test_every_session_of_a_group_ends_and_others_live_on(node: Node) -> None:
    ours = [node.start(user=n, tenant="acme") for n in range(3)]
    other, none = node.start(user=9, tenant="zeta"), node.start(user=10)
    node.connector.delete_group("tenant", "acme")
    assert [node.read(token) for token in ours] == [None] * 3
    assert node.read(other) is not None
    assert node.read(none) is not None
    assert node.connector.stats()["refused"]["group revoked"] == 3  # type: ignore[index]


def test_a_session_begun_afterwards_works(node: Node) -> None:
    node.start(user=1, tenant="acme")
    node.connector.delete_group("tenant", "acme")
    assert node.read(node.start(user=1, tenant="acme")) is not None


def test_a_group_without_a_user_ends_too(node: Node) -> None:
    token = node.start(tenant="acme")
    node.connector.delete_group("tenant", "acme")
    assert node.read(token) is None


@pytest.mark.parametrize("value", ["acme", 7, uuid.UUID(int=7)])
def test_values_that_name_a_group(node: Node, value: Any) -> None:
    token, other = node.start(user=1, tenant=value), node.start(user=1, tenant="other")
    node.connector.delete_group("tenant", value)
    assert (node.read(token), node.read(other) is None) == (None, False)


def test_name_and_value_are_kept_apart(make_node: MakeNode, clock: Clock) -> None:
    node = make_node(MemoryRevocationList(clock), group_keys=("a", "ab"))
    token = node.start(user=1, a="bc")
    node.connector.delete_group("ab", "c")
    assert node.read(token) is not None


def test_an_ended_group_refuses_who_joins_it_later(node: Node) -> None:
    node.connector.end_group("oidc_sid", "one")
    session = node.request()
    session.update(user=1, oidc_sid="one")
    with pytest.raises(SessionRevoked, match="group revoked"):
        session.save()
    with pytest.raises(SessionRevoked, match="group revoked"):
        node.start(user=1, oidc_sid="one")


@pytest.mark.parametrize("act", ["supersede", "delete_other_sessions"])
def test_a_session_that_can_not_join_an_ended_group_is_not_left_with_a_dead_cookie(
    node: Node, act: str
) -> None:
    node.connector.end_group("oidc_sid", "one")
    session = node.request(node.start(user=1, tenant="acme"))
    getattr(session, act)()
    session["oidc_sid"] = "one"
    sent = sent_cookie(session_headers(session))
    assert node.read(sent) == {"user": 1, "tenant": "acme"}


def test_an_ended_group_stays_ended_when_it_is_revoked_again(node: Node) -> None:
    node.connector.end_group("oidc_sid", "one")
    node.connector.delete_group("oidc_sid", "one")
    with pytest.raises(SessionRevoked):
        node.start(oidc_sid="one")


def test_a_change_of_group_keeps_the_id_and_supersedes_earlier_tokens(node: Node) -> None:
    token = node.start(user=1, tenant="acme")
    session = node.request(token)
    before = session.session_id
    session["tenant"] = "zeta"
    session.save()
    assert session.session_id == before
    assert node.read(token) is None  # or it would escape the end of zeta
    assert node.read(session.session_key) == {"user": 1, "tenant": "zeta"}
    node.connector.delete_group("tenant", "acme")
    assert node.read(session.session_key) is not None
    node.connector.delete_group("tenant", "zeta")
    assert node.read(session.session_key) is None


def test_the_token_of_a_change_of_group_knows_of_its_own_raise(node: Node) -> None:
    """Or a list that is put back to before the raise would not be found out by it."""
    node.connector.delete_subject("somebody")
    session = node.request(node.start(user=1, tenant="acme"))
    session["tenant"] = "zeta"
    session.save()
    assert session.session_key is not None
    claims, _, _ = open_token(node.connector.rules.ring, session.session_key)
    assert claims.reach >= claims.session_epoch > 0


def test_a_list_that_fails_after_the_raise_leaves_no_dead_cookie(
    make_node: MakeNode, clock: Clock
) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations, group_keys=KEYS)
    session = node.request(node.start(user=1, tenant="acme"))
    session["tenant"] = "zeta"
    revocations.fails_after_raise = True
    session.save()
    revocations.fails_after_raise = revocations.down = False
    assert node.read(session.session_key) == {"user": 1, "tenant": "zeta"}


def test_of_two_changes_of_group_at_once_one_wins(node: Node) -> None:
    token = node.start(user=1, tenant="acme")
    first, second = node.request(token), node.request(token)
    first["tenant"], second["tenant"] = "one", "two"
    first.save()
    with pytest.raises(SessionRevoked):
        second.save()
    assert node.read(first.session_key) is not None


def test_a_save_under_way_is_refused_after_its_group_was_revoked(node: Node) -> None:
    session = node.request(node.start(user=1, tenant="acme"))
    session["n"] = 1
    node.connector.delete_group("tenant", "acme")
    with pytest.raises(SessionRevoked):
        session.save()


def test_a_change_of_group_that_does_not_fit_changes_nothing(node: Node) -> None:
    token = node.start(user=1, tenant="acme")
    session = node.request(token)
    session.update(tenant="zeta", much="x" * 4_000)
    with pytest.raises(SessionTooLarge):
        session.save()
    assert node.read(token) == {"user": 1, "tenant": "acme"}


def test_a_change_of_group_needs_the_list(make_node: MakeNode, clock: Clock) -> None:
    revocations = SwitchableList(clock)
    node = make_node(revocations, group_keys=KEYS, on_unreachable="accept")
    token = node.start(user=1, tenant="acme")
    session = node.request(token)
    session["tenant"] = "zeta"
    revocations.down = True
    with pytest.raises(RevocationListUnavailable):
        session.save()
    revocations.down = False
    assert node.read(token) is not None


def test_a_login_takes_its_groups_along(node: Node) -> None:
    session = node.request(node.start(cart=[1]))
    session.update(user=1, tenant="acme")
    session.save()
    node.connector.delete_group("tenant", "acme")
    assert node.read(session.session_key) is None


def test_groups_of_older_tokens_are_judged_where_the_keys_changed(
    make_node: MakeNode, clock: Clock
) -> None:
    before = make_node(MemoryRevocationList(clock), group_keys=KEYS)
    after = make_node(before.revocations, group_keys=("oidc_sid",))
    token, kept = before.start(user=1, tenant="acme"), before.start(user=2, tenant="acme")
    session = after.request(kept)
    session["n"] = 1
    session.save()  # drops the group
    before.connector.delete_group("tenant", "acme")
    assert after.read(token) is None
    assert after.read(session.session_key) is not None


def test_a_token_without_groups_grows_by_nothing(node: Node, make_node: MakeNode) -> None:
    plain = make_node(node.revocations)
    assert len(node.start(user=1)) == len(plain.start(user=1))


def test_a_lookup_is_one_however_many_groups(make_node: MakeNode, clock: Clock) -> None:
    revocations = SwitchableList(clock)
    keys = ("a", "b", "c", "d")
    node = make_node(revocations, group_keys=keys)
    token = node.start(user=1, **dict.fromkeys(keys, "x"))
    revocations.asked.clear()
    session = node.request(token)
    session.update(user=2, **dict.fromkeys(keys, "y"))  # a login, every group another
    session.save()
    assert revocations.asked == ["lookup", "lookup", "compare_and_raise"]
    for key in keys:
        node.connector.delete_group(key, "x")
    assert node.read(session.session_key) is not None
    node.connector.delete_group("d", "y")
    assert node.read(session.session_key) is None


def test_the_awaitable_twins(node: Node) -> None:
    token = node.start(user=1, tenant="acme")
    asyncio.run(node.connector.adelete_group("tenant", "acme"))
    assert node.read(token) is None
    asyncio.run(node.connector.aend_group("oidc_sid", 5))
    with pytest.raises(SessionRevoked):
        node.start(oidc_sid=5)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("tenent", "acme", "'tenent'; group_keys .* has 'tenant', 'oidc_sid'"),
        ("tenant", None, "is None"),
        ("tenant", 1.5, "is of type float"),
    ],
)
def test_wrong_arguments(node: Node, name: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        node.connector.delete_group(name, value)


def test_a_value_that_can_name_no_group(node: Node) -> None:
    with pytest.raises(InvalidArgument, match="value of the group 'tenant' is of type list"):
        node.start(user=1, tenant=["acme"])


@pytest.mark.parametrize(
    "keys", ["tenant", ("a", "a"), ("a", "b", "c", "d", "e"), ("",), (1,), None]
)
def test_wrong_settings(keys: Any) -> None:
    with pytest.raises(InvalidSettings, match="group_keys"):
        make_settings(group_keys=keys)


def test_the_digest_is_the_one_that_the_format_names(node: Node) -> None:
    page = (Path(__file__).parents[2] / "docs" / "format.md").read_text("utf-8")
    session = node.request(node.start(tenant="acme"))
    assert session.session_key is not None
    claims, _, _ = open_token(node.connector.rules.ring, session.session_key)
    assert f"`{claims.groups[0][0].hex()}`" in page
