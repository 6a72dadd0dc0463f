"""The token format against a second implementation, `make_vectors.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import MemoryRevocationList, SessionSettings, SessionStorageConnector
from duck_cookie_session.errors import TokenRefused
from duck_cookie_session.token.format import Claims, id_from_text, issued_at, open_token, seal_token
from duck_cookie_session.token.keys import KeyRing
from duck_cookie_session.token.payload import pack, unpack
from tests.helpers import SECRET
from tests.token import make_vectors

FILE = Path(__file__).with_name("vectors.json")
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]
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
    assert len(VECTORS) >= 6
    assert any("expired_at" in vector for vector in VECTORS)
    assert any(vector["sealed_by"] > 0 for vector in VECTORS)


@each_vector
def test_the_library_reads_a_vector(vector: dict[str, Any]) -> None:
    claims, data, number = open_token(KeyRing.of(settings_of(vector)), vector["token"])
    assert claims == claims_of(vector)
    assert data.hex() == vector["data_msgpack"]
    assert number == vector["sealed_by"]
    assert issued_at(vector["token"]) == vector["time"]
    assert claims.id_text == vector["claims"]["session_id"]
    assert pack(unpack(data)) == data
    if "data" in vector:
        assert unpack(data) == vector["data"]


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


@given(all_claims(), st.binary(max_size=500), st.integers(0, 2**34), st.booleans())
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
    assert bytes.fromhex(read["data_msgpack"]) == data
    assert read["time"] == at == issued_at(token)
