"""OWASP ASVS 5.0, the table in docs/security.md: one test each, by its number."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet

from duck_cookie_session import (
    SessionRevoked,
    SessionSettings,
    SessionStorageConnector,
    SessionTooLarge,
    session_headers,
)
from duck_cookie_session.errors import InvalidSettings
from duck_cookie_session.testing import session_token
from tests.helpers import (
    DAY,
    LOOKED_AT,
    OTHER_SECRET,
    SECRET,
    Clock,
    Node,
    SwitchableList,
    sent_cookie,
)

MakeNode = Callable[..., Node]


def _headers(node: Node) -> list[tuple[str, str]]:
    session = node.request()
    session["cart"] = ["duck"]
    return session_headers(session)


def _set_cookie(node: Node) -> str:
    return dict(_headers(node))["Set-Cookie"]


def test_v3_3_1_secure_and_prefixed(make_node: MakeNode, revocations: SwitchableList) -> None:
    for name in ("__Host-session", "__Secure-session"):
        cookie = _set_cookie(make_node(revocations, cookie_name=name))
        assert cookie.startswith(f"{name}=")
        assert "Secure" in cookie.split("; ")
        with pytest.raises(InvalidSettings, match="cookie_secure"):
            make_node(revocations, cookie_name=name, cookie_secure=False)


def test_v3_3_2_samesite(make_node: MakeNode, revocations: SwitchableList) -> None:
    assert "SameSite=Lax" in _set_cookie(make_node(revocations)).split("; ")
    strict = make_node(revocations, cookie_samesite="Strict")
    assert "SameSite=Strict" in _set_cookie(strict).split("; ")
    with pytest.raises(InvalidSettings, match="cookie_samesite"):
        make_node(revocations, cookie_samesite="None", cookie_secure=False)


def test_v3_3_3_host_prefix(make_node: MakeNode, revocations: SwitchableList) -> None:
    cookie = _set_cookie(make_node(revocations, cookie_name="__Host-session")).split("; ")
    assert "Path=/" in cookie
    assert not any(part.startswith("Domain") for part in cookie)
    for broken in (
        {"cookie_domain": "example.org"},
        {"cookie_path": "/shop"},
        {"cookie_secure": False},
    ):
        with pytest.raises(InvalidSettings, match="__Host-"):
            make_node(revocations, cookie_name="__Host-session", **broken)


def test_v3_3_4_only_in_an_httponly_cookie(node: Node) -> None:
    headers = _headers(node)
    token = sent_cookie(headers)
    assert token
    assert "HttpOnly" in dict(headers)["Set-Cookie"].split("; ")
    assert [name for name, value in headers if token in value] == ["Set-Cookie"]


def test_v3_3_5_never_more_than_4096_bytes(node: Node) -> None:
    sizes = []
    for length in range(2_800, 3_200):
        session = node.request()
        session["text"] = "x" * length
        try:
            session.save()
        except SessionTooLarge:
            assert session_headers(session) == LOOKED_AT
        else:
            sizes.append(len("session_id") + len(session.session_key or ""))
    assert 4_000 < max(sizes) <= 4_096
    assert len(sizes) < 400


def test_v7_2_1_verified_on_the_server(node: Node, other: Node) -> None:
    token = node.start(user="alice")
    for _ in range(2):  # verified before or not, the list is asked
        assert other.read(token) == {"user": "alice"}
    node.connector.delete_session(token)
    assert other.read(token) is None


def test_v7_2_2_every_token_is_new(node: Node) -> None:
    token = node.start(user="alice")
    tokens = {node.connector.set_session(token, {"user": "alice"}) for _ in range(50)}
    assert len(tokens) == 50
    assert token not in tokens


def test_v7_2_3_random_session_ids() -> None:
    ids = [SessionStorageConnector.generate_session_id() for _ in range(2_000)]
    decoded = [base64.urlsafe_b64decode(text + "==") for text in ids]
    assert {len(number) for number in decoded} == {16}
    assert len(set(decoded)) == 2_000
    # Each of the 128 bits is 1 about half the time: 2,000 draws, ten standard deviations.
    for bit in range(128):
        ones = sum(number[bit // 8] >> bit % 8 & 1 for number in decoded)
        assert 776 < ones < 1_224


@pytest.mark.parametrize("by", ["subject", "cycle_key"])
def test_v7_2_4_login_ends_the_token_before(node: Node, other: Node, by: str) -> None:
    before = node.start(user="alice") if by == "cycle_key" else node.start(cart=["duck"])
    session = node.request(before)
    old_id = session.session_id
    if by == "cycle_key":
        session.cycle_key()
    else:
        session["user"] = "alice"
    after = sent_cookie(session_headers(session))
    assert after
    assert session.session_id != old_id
    assert other.read(before) is None
    assert (other.read(after) or {})["user"] == "alice"


def test_v7_3_1_inactivity(node: Node, clock: Clock) -> None:
    used = unused = node.start(user="alice")
    for _ in range(10):
        clock.tick(0.6 * 7 * DAY)
        session = node.request(used)
        if session.get("user") is None:
            break
        used = sent_cookie(session_headers(session)) or used
    assert node.read(unused) is None
    # Used again and again it went on, until the absolute lifetime.
    assert clock.now - 1_800_000_000 > 4 * 7 * DAY


def test_v7_3_2_absolute_lifetime(node: Node, clock: Clock) -> None:
    token = node.start(user="alice")
    for _ in range(29):
        clock.tick(DAY)
        token = node.connector.set_session(token, {"user": "alice"}, expiry=300 * DAY)
    assert node.read(token) == {"user": "alice"}
    clock.tick(DAY)
    assert node.read(token) is None


def test_v7_4_1_nothing_after_logout_or_expiry(two_nodes: tuple[Node, Node], clock: Clock) -> None:
    one, two = two_nodes
    token = one.start(user="alice")
    kept = one.start(user="alice")
    session = one.request(token)
    session.clear()
    headers = session_headers(session)
    assert sent_cookie(headers) == ""
    assert ("Cache-Control", "no-store") in headers
    for node in two_nodes:
        assert node.read(token) is None
        assert node.read(kept) == {"user": "alice"}
    with pytest.raises(SessionRevoked):
        two.connector.set_session(token, {"user": "alice"})
    clock.tick(7 * DAY)
    assert [node.read(kept) for node in two_nodes] == [None, None]


def test_v7_4_2_account_disabled(two_nodes: tuple[Node, Node]) -> None:
    one, two = two_nodes
    hers = [one.start(user="alice"), two.start(user="alice")]
    his = two.start(user="bob")
    one.connector.delete_subject("alice")
    for node in two_nodes:
        assert [node.read(token) for token in hers] == [None, None]
        assert node.read(his) == {"user": "bob"}
    assert two.read(two.start(user="alice")) == {"user": "alice"}


def test_v7_4_3_password_changed(two_nodes: tuple[Node, Node]) -> None:
    one, two = two_nodes
    here, elsewhere = one.start(user="alice"), two.start(user="alice")
    session = one.request(here)
    session.delete_other_sessions()
    here = sent_cookie(session_headers(session)) or ""
    for node in two_nodes:
        assert node.read(here) == {"user": "alice"}
        assert node.read(elsewhere) is None


def test_v7_4_5_administrator(two_nodes: tuple[Node, Node]) -> None:
    one, two = two_nodes
    tokens = {name: one.start(user=name) for name in ("alice", "bob")}
    two.connector.delete_subject("alice")
    assert one.read(tokens["alice"]) is None
    assert one.read(tokens["bob"]) == {"user": "bob"}
    two.connector.clear_all_sessions()
    assert [one.read(token) for token in tokens.values()] == [None, None]


def test_v7_5_1_authenticated_again(node: Node, other: Node, clock: Clock) -> None:
    before = node.start(user="alice")
    clock.tick(601)
    session = node.request(before)
    assert not session.is_fresh(600)
    session.reauthenticated()
    after = sent_cookie(session_headers(session))
    assert after
    assert other.request(after).is_fresh(600)
    assert other.read(before) is None


def test_v9_1_1_any_change_is_refused(node: Node) -> None:
    token = node.start(user="alice")
    for at in range(0, len(token), 3):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert node.read(changed) is None
        assert node.read(token[:at]) is None
    assert node.read(token) == {"user": "alice"}


def test_v9_1_2_one_algorithm(node: Node) -> None:
    token = node.start(user="alice")
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert raw[0] == 0x80  # the version of Fernet, which stands for all its algorithms
    for version in (0x00, 0x7F, 0x81, 0xFF):
        other = base64.urlsafe_b64encode(bytes([version]) + raw[1:]).decode().rstrip("=")
        assert node.read(other) is None
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps({"user": "alice"}).encode()).decode().rstrip("=")
    assert node.read(f"{header}.{body}.") is None


def test_v9_1_3_keys_come_from_the_settings(
    make_node: MakeNode, node: Node, revocations: SwitchableList
) -> None:
    stranger = make_node(revocations, secret_keys=(OTHER_SECRET,))
    assert node.read(stranger.start(user="mallory")) is None
    # A token that brings its own key along, or is sealed under the secret as it stands.
    bare = Fernet(base64.urlsafe_b64encode(SECRET.encode()[:32]))
    assert node.read(bare.encrypt(b"\x01" * 80).decode().rstrip("=")) is None
    both = make_node(revocations, secret_keys=(SECRET, OTHER_SECRET))
    assert both.read(stranger.start(user="bob")) == {"user": "bob"}


def test_v9_2_1_validity(node: Node, clock: Clock) -> None:
    token = session_token(node.connector, {"user": "alice"}, expiry=60)
    clock.tick(59.9)
    assert node.read(token) == {"user": "alice"}
    clock.tick(0.1)
    assert node.read(token) is None


def test_v9_2_2_purpose(make_node: MakeNode, node: Node, revocations: SwitchableList) -> None:
    admin = make_node(revocations, cookie_name="admin_session")
    assert admin.read(node.start(user="alice")) is None
    assert node.read(admin.start(user="alice")) is None


def test_v9_2_3_audience(make_node: MakeNode, node: Node, revocations: SwitchableList) -> None:
    shop = make_node(revocations, audience="shop")
    office = make_node(revocations, audience="office")
    token = shop.start(user="alice")
    assert shop.read(token) == {"user": "alice"}
    assert [other.read(token) for other in (office, node)] == [None, None]


def test_settings_of_this_file_are_the_defaults() -> None:
    """What these tests show of defaults holds for whoever sets nothing but a secret."""
    settings = SessionSettings(secret_keys=(SECRET,))
    assert settings.cookie_age == 7 * DAY
    assert settings.absolute_age == 30 * DAY
