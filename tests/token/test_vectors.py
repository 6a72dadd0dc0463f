"""The token format against a second implementation, `make_vectors.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duck_cookie_session import MemoryRevocationList, SessionSettings, SessionStorageConnector
from duck_cookie_session.device.jws import DeviceKey
from duck_cookie_session.device.sealed import KEY, PROOF, Sealed, Seals
from duck_cookie_session.errors import Reason, SessionSerializationError, TokenRefused
from duck_cookie_session.session.judging import Opened, Refusal
from duck_cookie_session.token.claims import Claims
from duck_cookie_session.token.format import id_from_text, issued_at, open_token, seal_token
from duck_cookie_session.token.keys import KeyRing
from duck_cookie_session.token.payload import pack, unpack
from tests.helpers import SECRET
from tests.token import make_vectors
from tests.token.second_data import in_order, render, shown
from tests.token.sessions import sessions

FILE = Path(__file__).with_name("vectors.json")
ALL: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text())
VECTORS, REFUSED = ALL["vectors"], ALL["refused"]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def settings_of(vector: dict[str, Any], **changed: Any) -> SessionSettings:
    return SessionSettings(
        secret_keys=vector["secrets"],
        cookie_name=vector["cookie_name"],
        audience=vector["audience"],
        **changed,
    )


def claims_of(vector: dict[str, Any]) -> Claims:
    said = vector["claims"]
    session_id = id_from_text(said["session_id"])
    assert session_id is not None
    since = said["authenticated_s"]
    numbers = {name: said[name] for name, _ in make_vectors.NUMBERS}
    return Claims(
        session_id=session_id,
        created_ms=said["created_s"] * 1000,
        expires_ms=said["expires_ms"],
        lifetime_ms=said["lifetime_ms"],
        browser_length=said["browser_length"],
        subject=said["subject"],
        groups=tuple((bytes.fromhex(one["digest"]), one["epoch"]) for one in said["groups"]),
        authenticated_ms=None if since is None else since * 1000,
        **numbers,
    )


def test_the_file_is_what_the_script_makes() -> None:
    assert FILE.read_text() == make_vectors.text()


def test_the_file_has_what_it_must_have() -> None:
    """Every field, extension and zone byte, and enough that must be refused at each stage."""
    said = [vector["claims"] for vector in VECTORS]
    assert all(any(one[name] for one in said) for name in said[0])
    data = json.dumps([vector["data"] for vector in VECTORS])
    for kind in ("tuple", "set", "frozenset", "int", "float", "bytes", "datetime", "date", "time"):
        assert f'"{kind}": ' in data
    for kind in ("timedelta", "decimal", "uuid", "minutes", "microseconds", "name", "key"):
        assert f'"{kind}": ' in data
    assert any("expired_at" in vector for vector in VECTORS)
    assert any(vector["sealed_by"] > 0 for vector in VECTORS)
    assert len(REFUSED) >= 40
    assert {one["stage"] for one in REFUSED} == {
        *("text", "key", "claims", "inflate", "data", "time")
    }
    for entries in (VECTORS, REFUSED):
        assert len({one["name"] for one in entries}) == len(entries)


@pytest.mark.parametrize("refused", REFUSED, ids=lambda one: one["name"])
def test_both_refuse_what_must_be_refused(refused: dict[str, Any]) -> None:
    token, stage, reason = refused["token"], refused["stage"], Reason(refused["reason"])
    revocations = MemoryRevocationList(lambda: 0)
    connector = SessionStorageConnector(
        lambda: revocations,
        settings=settings_of(refused, absolute_age=refused["absolute_age_s"]),
        clock=lambda: refused["now_ms"] / 1000,
    )
    try:
        opened = connector.rules.open(token)
    finally:
        connector.close()
    if stage == "data":
        assert isinstance(opened, Opened)
        with pytest.raises(SessionSerializationError):
            unpack(opened.data)
    else:
        assert isinstance(opened, Refusal)
        assert opened.reason is reason
    if stage != "time":
        application = refused["cookie_name"], refused["audience"]
        with pytest.raises(make_vectors.NoKey if stage == "key" else (ValueError, ArithmeticError)):
            make_vectors.read_token(token, refused["secrets"][0], *application)


def test_one_millisecond_earlier_it_is_good() -> None:
    for refused in (one for one in REFUSED if one["stage"] == "time"):
        revocations = MemoryRevocationList(lambda: 0)
        connector = SessionStorageConnector(
            lambda: revocations,  # noqa: B023  # called within this round
            settings=settings_of(refused, absolute_age=refused["absolute_age_s"]),
            clock=lambda: (refused["now_ms"] - 1) / 1000,  # noqa: B023
        )
        assert isinstance(connector.rules.open(refused["token"]), Opened)
        connector.close()


@each_vector
def test_the_library_reads_a_vector(vector: dict[str, Any]) -> None:
    claims, data, number = open_token(KeyRing.of(settings_of(vector)), vector["token"])
    assert claims == claims_of(vector)
    assert data.hex() == vector["data_msgpack"]
    assert number == vector["sealed_by"]
    assert issued_at(vector["token"]) == vector["time"]
    assert claims.id_text == vector["claims"]["session_id"]
    assert (pack(unpack(data)) == data) is not vector.get("wide", False)
    assert in_order(shown(unpack(data))) == in_order(vector["data"])


@each_vector
def test_what_the_library_seals_is_read_by_the_other(vector: dict[str, Any]) -> None:
    ring = KeyRing((vector["secrets"][vector["sealed_by"]],), settings_of(vector).application)
    data = bytes.fromhex(vector["data_msgpack"])
    deflate = "data_deflated" in vector
    token = seal_token(ring, claims_of(vector), data, vector["time"], deflate=deflate)
    read = make_vectors.read_token(
        token,
        vector["secrets"][vector["sealed_by"]],
        vector["cookie_name"],
        vector["audience"],
    )
    assert read["time"] == vector["time"]
    assert read["claims"] == vector["claims"]
    assert read["data"] == vector["data"]
    assert read["data_msgpack"] == vector["data_msgpack"]
    assert len(token) == len(vector["token"])


@each_vector
def test_another_secret_cookie_name_or_audience_reads_nothing(vector: dict[str, Any]) -> None:
    for changed in (
        {"secrets": [SECRET]},
        {"cookie_name": vector["cookie_name"] + "x"},
        {"audience": vector["audience"] + "x"},
    ):
        with pytest.raises(TokenRefused, match="no key"):
            open_token(KeyRing.of(settings_of({**vector, **changed})), vector["token"])


def test_the_expired_vector_is_refused_from_its_expiry_on() -> None:
    (vector,) = (vector for vector in VECTORS if "expired_at" in vector)
    now = [vector["expired_at"] - 0.001]
    revocations = MemoryRevocationList(lambda: 0)
    connector = SessionStorageConnector(
        lambda: revocations,
        settings=settings_of(vector, on_unreachable="accept"),
        clock=lambda: now[0],
    )
    try:
        assert not hasattr(connector.rules.open(vector["token"]), "reason")
        now[0] = vector["expired_at"]
        assert connector.get_session(vector["token"]) is None
        stats: Any = connector.stats()
        assert stats["refused"]["expired"] == 1
    finally:
        connector.close()


@pytest.mark.parametrize("vector", ALL["device"], ids=lambda one: one["purpose"])
def test_a_cookie_of_a_bound_session_is_read_and_sealed_alike(vector: dict[str, Any]) -> None:
    purpose, end_ms = vector["purpose"], vector["end_ms"]
    seals = Seals(settings_of(vector))
    binding, session_id = id_from_text(vector["binding_id"]), id_from_text(vector["session_id"])
    assert binding is not None
    assert session_id is not None
    said = Sealed(binding, session_id, end_ms, bytes.fromhex(vector["rest"]))
    assert seals.open(purpose, vector["value"], end_ms - 1) == said
    assert seals.open(purpose, vector["value"], end_ms) is None
    assert vector["name"] in seals.names(binding)
    (key,) = (one for one in ALL["device"] if one["purpose"] == KEY)
    if purpose == PROOF:
        assert DeviceKey(bytes.fromhex(key["rest"])).digest() == said.digest
    made = make_vectors.fernet_open(
        seals.seal(purpose, said, end_ms - 1000),
        *make_vectors.keys(
            vector["secrets"][0], vector["cookie_name"], vector["audience"], purpose
        ),
    )
    assert made[:2] == (
        binding + session_id + end_ms.to_bytes(8, "big") + said.rest,
        end_ms // 1000 - 1,
    )


numbers = st.just(0) | st.integers(1, 2**53 - 1)
a_subject = st.text(max_size=300) | st.text(st.characters(categories=["Cs"]), max_size=100)
some_groups = st.dictionaries(st.binary(min_size=16, max_size=16), numbers, max_size=4)


@st.composite
def all_claims(draw: st.DrawFn) -> Claims:
    """What the library may write, in every combination of its fields."""
    created_s = draw(st.integers(0, 2**40 - 1))
    subject = draw(st.none() | a_subject)
    checkpoint = draw(numbers)
    return Claims(
        session_id=draw(st.binary(min_size=16, max_size=16)),
        created_ms=created_s * 1000,
        expires_ms=draw(st.integers(0, 2**48 - 1)),
        lifetime_ms=draw(st.integers(0, 2**40 - 1)),
        browser_length=draw(st.booleans()),
        birth=draw(numbers),
        checkpoint=checkpoint,
        reach=draw(st.integers(1, 2**53 - 1)) if checkpoint else 0,
        session_epoch=draw(numbers),
        subject_epoch=0 if subject is None else draw(numbers),
        everything_epoch=draw(numbers),
        subject=subject,
        groups=tuple(sorted(draw(some_groups).items())),
        authenticated_ms=draw(
            st.none()
            | st.integers(0, 2**40 - 1)
            .filter(lambda seconds: seconds != created_s)
            .map(lambda seconds: seconds * 1000)
        ),
    )


@pytest.mark.slow
@given(all_claims(), sessions.map(pack), st.integers(0, 2**34), st.booleans())
def test_any_token_is_read_alike_by_both(
    claims: Claims, data: bytes, at: int, deflate: bool
) -> None:
    vector = VECTORS[0]
    ring = KeyRing.of(settings_of(vector))
    token = seal_token(ring, claims, data, at, deflate=deflate)
    assert open_token(ring, token) == (claims, data, 0)
    read = make_vectors.read_token(
        token, vector["secrets"][0], vector["cookie_name"], vector["audience"]
    )
    assert claims_of(read) == claims
    assert read["data"] == render(data)
    assert read["time"] == at == issued_at(token)


# Data.


@given(sessions)
def test_any_session_is_read_alike_by_both(data: dict[Any, Any]) -> None:
    assert in_order(render(pack(data))) == in_order(shown(data))


@given(sessions, st.data())
def test_a_session_with_a_byte_changed_is_read_or_refused_alike(
    data: dict[Any, Any], draw: st.DataObject
) -> None:
    packed = bytearray(pack(data))
    at = draw.draw(st.integers(0, len(packed) - 1))
    packed[at] = draw.draw(st.integers(0, 255))
    alike(bytes(packed))


@given(st.integers(0, 12), st.binary(max_size=24), st.integers(0, 10))
@example(5, (1 << 60).to_bytes(8, "big") + b"\1\0\0\0\0\0", 8)
@example(9, b"0E+3", 0)
def test_any_extension_is_read_or_refused_alike(code: int, payload: bytes, zeros: int) -> None:
    for content in (payload, bytes(zeros) + payload):
        extension = bytes([0xC7, len(content), code]) + content
        alike(b"\x81\xa1k" + extension)
        alike(b"\x81\xa1k\x92" + extension + b"\1")
        alike(b"\x81" + extension + b"\1")


def alike(packed: bytes) -> None:
    """Both refuse, or both read the same, where a reader has no choice."""
    try:
        by_second = render(packed)
    except (ValueError, ArithmeticError):
        by_second = None
    if free(by_second) or b"\xc8\0\0" in packed or b"\xc9\0\0\0\0" in packed:
        return  # keys that are equal in Python, marks in wide spellings
    try:
        by_library = shown(unpack(packed))
    except SessionSerializationError:
        by_library = None
    assert in_order(by_library) == in_order(by_second)


def free(made: Any) -> bool:
    """Whether keys or elements may be equal somewhere: a reader refuses or takes the later."""
    if isinstance(made, list):
        return any(map(free, made))
    if not isinstance(made, dict):
        return False
    ((kind, inside), *_) = made.items()
    keys = [key for key, _ in inside] if kind == "dict" else inside
    if kind in ("dict", "set", "frozenset"):
        kinds = {next(iter(key)) if isinstance(key, dict) else type(key) for key in keys}
        twice = len({repr(key) for key in keys}) < len(keys)
        if len(keys) > 1 and (twice or len(kinds & NUMBERS) > 1 or kinds & COMPARED):
            return True
    return isinstance(inside, list) and any(map(free, inside))


NUMBERS = {bool, "int", "float", "decimal"}
COMPARED = {"float", "decimal", "datetime", "time", "tuple", "frozenset"}
