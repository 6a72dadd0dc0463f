"""Every way to look into a session loads it; every way to change it is seen."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import sys
import threading
from collections import ChainMap
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duck_cookie_session import SessionStore
from duck_cookie_session.testing import session_token
from tests.helpers import Node

DATA = {"a": 1, "b": [1, 2]}


def keywords(**given: Any) -> dict[str, Any]:
    return given


def matched(session: Any) -> Any:
    match session:
        case {"a": a, **rest}:
            return a, rest
    return None


LOOKS: dict[str, tuple[Callable[[SessionStore], Any], Any]] = {
    "[]": (lambda s: s["a"], 1),
    "get": (lambda s: s.get("a"), 1),
    "get absent": (lambda s: s.get("c", 5), 5),
    "in": (lambda s: "a" in s, True),
    "not in": (lambda s: "a" not in s, False),
    "len": (len, 2),
    "length hint": (operator.length_hint, 2),
    "bool": (bool, True),
    "not": (operator.not_, False),
    "iter": (lambda s: next(iter(s)), "a"),
    "list": (list, ["a", "b"]),
    "sorted": (sorted, ["a", "b"]),
    "unpacked": (lambda s: [*s], ["a", "b"]),
    "reversed": (lambda s: list(reversed(s)), ["b", "a"]),
    "keys": (lambda s: list(s.keys()), ["a", "b"]),
    "key sets": (lambda s: s.keys() & {"a", "c"}, {"a"}),
    "values": (lambda s: list(s.values()), [1, [1, 2]]),
    "items": (lambda s: list(s.items()), list(DATA.items())),
    "==": (lambda s: s == DATA, True),
    "== from the right": (lambda s: DATA == s, True),  # noqa: SIM300  # the other order is the test
    "!=": (lambda s: s != DATA, False),
    "!= from the right": (lambda s: s != {}, True),
    "== nothing like it": (lambda s: s == 5, False),
    "|": (lambda s: s | {"c": 3}, DATA | {"c": 3}),
    "| from the right": (lambda s: {"c": 3} | s, {"c": 3} | DATA),
    "dict()": (dict, DATA),
    "dict(**)": (lambda s: dict(s, c=3), DATA | {"c": 3}),
    "{**}": (lambda s: {**s}, DATA),
    "f(**)": (lambda s: keywords(**s), DATA),
    "update": (lambda s: operator.ior({}, s), DATA),
    "setdefault": (lambda s: s.setdefault("a", 5), 1),
    "pop": (lambda s: s.pop("a"), 1),
    "pop absent": (lambda s: s.pop("c", 5), 5),
    "popitem": (lambda s: s.popitem(), ("b", [1, 2])),
    "copy": (lambda s: s.copy(), DATA),
    "copy.copy": (copy.copy, DATA),
    "deepcopy": (copy.deepcopy, DATA),
    "pickle": (lambda s: pickle.loads(pickle.dumps(s)), DATA),  # noqa: S301  # our own
    "load": (lambda s: s.load(), DATA),
    "match": (matched, (1, {"b": [1, 2]})),
    "format_map": (lambda s: "{a}".format_map(s), "1"),
    "%": (lambda s: "%(a)s" % s, "1"),  # noqa: UP031  # another way to look in
    "ChainMap": (lambda s: ChainMap({}, s)["a"], 1),
    "MappingProxyType": (lambda s: len(MappingProxyType(s)), 2),
    "eval": (lambda s: eval("a", {}, s), 1),  # noqa: S307  # a fixed text
    "Mapping": (lambda s: isinstance(s, Mapping) and Mapping.get(s, "a"), 1),
    "json, in C": (lambda s: json.loads(json.dumps(s)), DATA),
    "json, in C, inside": (lambda s: json.loads(json.dumps({"s": s}))["s"], DATA),
    "json": (lambda s: json.loads(json.dumps(s)), DATA),
    "json, in Python": (lambda s: json.loads(json.dumps(s, indent=1)), DATA),
    "any": (any, True),
    "max": (max, "b"),
    "zip": (lambda s: list(zip(s, s, strict=True)), [("a", "a"), ("b", "b")]),
}


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_loads(node: Node, look: str) -> None:
    session = node.request(node.start(**DATA))
    assert not session.loaded
    way, seen = LOOKS[look]
    assert way(session) == seen
    assert session.loaded
    assert session.accessed


def test_two_sessions_compare_by_what_they_hold(node: Node) -> None:
    token, same, other = node.start(**DATA), node.start(**DATA), node.start(a=1)
    assert node.request(token) == node.request(same)
    assert node.request(token) != node.request(other)


READS = [look for look in LOOKS if not look.startswith("pop")]


@pytest.mark.parametrize("look", [*READS, "pop absent"])
def test_reading_never_marks(node: Node, look: str) -> None:
    session = node.request(node.start(**DATA))
    LOOKS[look][0](session)
    assert not session.modified
    assert not session.needs_update()


def test_what_is_no_look_loads_nothing(node: Node) -> None:
    session = node.request(node.start(**DATA))
    for harmless in (repr, str, type, id, lambda s: s.session_key, lambda s: s.modified):
        harmless(session)
    assert "not loaded" in repr(session)
    assert not session.loaded
    assert not session.accessed
    assert not session.needs_update()


def test_repr_shows_no_key_and_no_value(node: Node) -> None:
    session = node.request(node.start(secret="hidden"))
    for _ in range(3):
        assert "secret" not in repr(session) + str(session) + f"{session}"
        assert "hidden" not in repr(session) + str(session) + f"{session}"
        session["secret"] = "hidden"


@pytest.mark.parametrize("give", [copy.copy, copy.deepcopy, dict, SessionStore.copy])
def test_copies_are_plain_dicts(node: Node, give: Callable[[SessionStore], Any]) -> None:
    session = node.request(node.start(**DATA))
    copied = give(session)
    assert type(copied) is dict
    copied["a"] = 2
    assert session["a"] == 1
    assert not session.modified


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_as_a_plain_dict(node: Node, protocol: int) -> None:
    session = node.request(node.start(**DATA))
    loaded = pickle.loads(pickle.dumps(session, protocol))  # noqa: S301  # our own
    assert type(loaded) is dict
    assert loaded == DATA


def test_a_deep_copy_shares_nothing(node: Node) -> None:
    session = node.request(node.start(**DATA))
    copy.deepcopy(session)["b"].append(3)
    assert not session.modified


def test_a_shallow_copy_shares_its_values(node: Node) -> None:
    session = node.request(node.start(**DATA))
    session.copy()["b"].append(3)
    assert session.modified


@pytest.mark.parametrize("other", [5, None, [("c", 3)]])
def test_union_with_what_is_no_dict(node: Node, other: Any) -> None:
    session = node.request(node.start(**DATA))
    with pytest.raises(TypeError):
        session | other
    with pytest.raises(TypeError):
        other | session


# Writing.

WRITES: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "[]=": (lambda s: operator.setitem(s, "c", 3), DATA | {"c": 3}),
    "[]= the same": (lambda s: operator.setitem(s, "a", 1), DATA),
    "del": (lambda s: operator.delitem(s, "a"), {"b": [1, 2]}),
    "pop": (lambda s: s.pop("a"), {"b": [1, 2]}),
    "pop with default": (lambda s: s.pop("a", None), {"b": [1, 2]}),
    "popitem": (lambda s: s.popitem(), {"a": 1}),
    "setdefault": (lambda s: s.setdefault("c", 3), DATA | {"c": 3}),
    "update": (lambda s: s.update({"c": 3}), DATA | {"c": 3}),
    "update with pairs": (lambda s: s.update([("c", 3)]), DATA | {"c": 3}),
    "update with keywords": (lambda s: s.update(c=3), DATA | {"c": 3}),
    "update with both": (lambda s: s.update({"c": 2}, c=3), DATA | {"c": 3}),
    "|=": (lambda s: operator.ior(s, {"c": 3}), DATA | {"c": 3}),
    "|= with pairs": (lambda s: operator.ior(s, [("c", 3)]), DATA | {"c": 3}),
    "nested": (lambda s: s["b"].append(3), {"a": 1, "b": [1, 2, 3]}),
}


@pytest.mark.parametrize("write", WRITES)
def test_every_write_marks_and_is_saved(node: Node, write: str) -> None:
    session = node.request(node.start(**DATA))
    way, left = WRITES[write]
    way(session)
    assert session.modified
    assert session.needs_update()
    session.save()
    assert not session.modified
    assert node.read(session.session_key) == left


@pytest.mark.parametrize(
    "nothing",
    [
        lambda s: s.update(),
        lambda s: s.update({}),
        lambda s: s.pop("absent", None),
        lambda s: s.setdefault("a", 2),
        lambda s: operator.ior(s, {}),
    ],
)
def test_what_changes_nothing_does_not_mark(node: Node, nothing: Callable[[Any], Any]) -> None:
    session = node.request(node.start(**DATA))
    nothing(session)
    assert not session.modified


def test_errors_are_those_of_a_dict_and_mark_nothing(node: Node) -> None:
    session = node.request(node.start(**DATA))
    for wrong, error in (
        (lambda: session["absent"], KeyError),
        (lambda: operator.delitem(session, "absent"), KeyError),
        (lambda: session.pop("absent"), KeyError),
        (lambda: operator.setitem(session, [], 1), TypeError),
        (lambda: session.update(5), TypeError),
        (lambda: session.update(None), TypeError),
    ):
        with pytest.raises(error):
            wrong()
    assert not session.modified
    empty = node.request()
    with pytest.raises(KeyError):
        empty.popitem()
    assert not empty.modified


# Nested changes: whatever the data, whatever is changed, by whatever way it was reached.

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=3)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.tuples(inner, inner),
        st.sets(st.integers(0, 5), max_size=3),
    ),
    max_leaves=6,
)

REACHES: list[Callable[[SessionStore, Any], Any]] = [
    lambda s, key: s[key],
    lambda s, key: s.get(key),
    lambda s, key: dict(s.items())[key],
    lambda s, key: list(s.values())[list(s.keys()).index(key)],
    lambda s, key: s.copy()[key],
    lambda s, key: dict(s)[key],
    lambda s, key: {**s}[key],
    lambda s, key: (s | {})[key],
    lambda s, key: ({} | s)[key],
    lambda s, key: s.setdefault(key),
    lambda s, key: s.load()[key],
    lambda s, key: copy.copy(s)[key],
    lambda s, key: next(value for found, value in s.items() if found == key),
    lambda s, key: matched_value(s, key),
]


def matched_value(session: Any, key: Any) -> Any:
    match session:
        case {**everything}:
            return everything[key]
    return None


def containers(value: Any) -> list[Any]:
    """Every list, dict and set in a value, itself included."""
    found = [value] if isinstance(value, (list, dict, set)) else []
    inner = value.values() if isinstance(value, dict) else value
    if isinstance(value, (list, dict, tuple)):
        for part in inner:
            found += containers(part)
    return found


def change(container: Any) -> None:
    if isinstance(container, list):
        container.append("new")
    elif isinstance(container, dict):
        container[f"new {len(container)}"] = "new"
    else:
        container.add(f"new {len(container)}")


def shape(value: Any) -> Any:
    """What tells two values apart that compare equal: 1, True and 1.0; the order of dicts."""
    if isinstance(value, dict):
        return ("dict", [(shape(k), shape(v)) for k, v in value.items()])
    if isinstance(value, set):
        return ("set", sorted(map(repr, value)))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [shape(part) for part in value])
    return (type(value).__name__, repr(value))


sessions = st.dictionaries(st.text(max_size=2), values, min_size=1, max_size=4)


@given(data=st.data(), held=sessions, reach=st.sampled_from(REACHES))
def test_any_nested_change_is_seen(node: Node, data: Any, held: Any, reach: Any) -> None:
    token = session_token(node.connector, held)
    session = node.request(token)
    value = reach(session, data.draw(st.sampled_from(list(held))))
    assert not session.modified
    found = containers(value)
    if not found:
        return
    changed = data.draw(st.sampled_from(found))
    change(changed)
    assert session.modified
    session.save()
    assert not session.modified
    assert shape(node.read(session.session_key)) == shape(dict(session))
    change(changed)  # still in hand after the save
    assert session.modified


def test_of_threads_that_pop_one_gets_the_value(node: Node, request: pytest.FixtureRequest) -> None:
    interval = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(interval))
    sys.setswitchinterval(1e-6)
    for _ in range(200):
        session = node.request(None)
        session["credit"] = 5
        line = threading.Barrier(4)

        def pop(_: int, line: threading.Barrier = line, session: SessionStore = session) -> Any:
            line.wait()
            return session.pop("credit", 0)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(pop, range(4))) == 5


@given(data=st.data(), held=sessions, put=values, way=st.integers(0, 3))
def test_what_was_put_in_is_watched_too(
    node: Node, data: Any, held: Any, put: Any, way: int
) -> None:
    session = node.request(session_token(node.connector, held))
    if way == 0:
        session["put"] = put
    elif way == 1:
        session.update({"put": put})
    elif way == 2:
        session |= {"put": put}
    else:
        session.setdefault("put", put)
    assert session.modified
    session.save()
    assert not session.modified
    for container in containers(put):
        change(container)
        assert session.modified
        session.save()
        assert shape(node.read(session.session_key)) == shape(dict(session))


@given(held=sessions, reaches=st.lists(st.sampled_from(REACHES), max_size=3))
def test_modified_says_whether_the_data_differ(node: Node, held: Any, reaches: Any) -> None:
    """Changed and changed back is not changed; the order of a dict and 1 or True are data."""
    session = node.request(session_token(node.connector, held))
    before = shape(held)
    for reach in reaches:
        for container in containers(reach(session, next(iter(held)))):
            if isinstance(container, list):
                container.reverse()
            elif isinstance(container, dict) and container:
                container[next(iter(container))] = 1
            assert session.modified == (shape(dict.copy(session)) != before)
