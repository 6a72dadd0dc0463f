"""Values of subclasses are stored, and come back, as the type that they extend."""

from __future__ import annotations

import collections
import enum
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest

from duck_cookie_session import SessionSerializationError
from duck_cookie_session.token.payload import pack, unpack
from duck_cookie_session.token.stored import as_stored, keep_as_text, stored_type
from tests.helpers import Node
from tests.token.second_data import in_order, shown


class Role(str, enum.Enum):  # noqa: UP042  # str() of its members is another than of a StrEnum's
    ADMIN = "admin"


class Plan(enum.StrEnum):
    FREE = "free"


class Colour(enum.IntEnum):
    RED = 1
    WIDE = 2**70


class Rights(enum.IntFlag):
    READ = 4


class Text(str):
    """As Markup and SafeString, with another idea of what str() of it is."""

    __slots__ = ()

    def __str__(self) -> str:
        return "SECRET"

    def __html__(self) -> str:
        return "SECRET"


class Point(NamedTuple):
    x: int
    y: object


class Number(int):
    def __int__(self) -> int:
        return 7

    def __str__(self) -> str:
        return "seven"


class Half(float):
    pass


class Raw(bytes):
    def __bytes__(self) -> bytes:
        return b"SECRET"


class Moment(datetime):
    pass


class Day(date):
    pass


class Clock(time):
    pass


class Span(timedelta):
    pass


class Price(Decimal):
    def __str__(self) -> str:
        return "SECRET"


class Identity(UUID):
    pass


class Zone(ZoneInfo):
    pass


class Items(list[Any]):
    pass


class Hashable(list[Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class Lazy(dict[Any, Any]):
    """Filled when it is looked at, as a session is."""

    def __iter__(self) -> Iterator[Any]:
        self["a"] = 1
        return super().__iter__()

    def keys(self) -> Any:
        self["a"] = 1
        return super().keys()


class Twins(set[Any]):
    pass


AT = datetime(2026, 1, 2, 3, 4, 5, 6, ZoneInfo("Europe/Berlin"), fold=1)

CASES: list[tuple[Any, Any]] = [
    (Role.ADMIN, "admin"),
    (Plan.FREE, "free"),
    (Colour.RED, 1),
    (Colour.WIDE, 2**70),
    (Rights.READ, 4),
    (Text("a\ud800"), "a\ud800"),
    (Number(5), 5),
    (Number(2**64), 2**64),
    (Number(-(2**63)), -(2**63)),
    (Half(-0.5), -0.5),
    (Raw(b"raw"), b"raw"),
    (Moment(2026, 1, 2, 3, 4, 5, 6, AT.tzinfo, fold=1), AT),
    (AT.replace(tzinfo=Zone("Europe/Berlin")), AT),
    (Day(2026, 1, 2), date(2026, 1, 2)),
    (Clock(1, 2, 3, 4, UTC, fold=1), time(1, 2, 3, 4, UTC, fold=1)),
    (Span(days=-1, microseconds=3), timedelta(days=-1, microseconds=3)),
    (Price("1.50"), Decimal("1.50")),
    (Identity(int=5), UUID(int=5)),
    (Point(1, 2), (1, 2)),
    (Point(1, [Role.ADMIN, Point(2, Colour.RED)]), (1, ["admin", (2, 1)])),
    (collections.OrderedDict(b=1, a=Text("x")), {"b": 1, "a": "x"}),
    (collections.defaultdict(list, a=[Items([1])]), {"a": [[1]]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (Lazy(), {"a": 1}),
    (Items([1, Items([2])]), [1, [2]]),
    (Hashable([1]), [1]),
    (Twins({1, Text("a")}), {1, "a"}),
    ({Role.ADMIN, Point(1, Plan.FREE)}, {"admin", (1, "free")}),
    (
        frozenset({frozenset({Point(1, frozenset({Text("x")}))})}),
        frozenset({frozenset({(1, frozenset({"x"}))})}),
    ),
]


@pytest.mark.parametrize(("value", "stored"), CASES, ids=lambda value: type(value).__name__)
def test_a_subclass_comes_back_as_what_it_extends(value: Any, stored: Any) -> None:
    for place, expected in (
        ({"v": value}, {"v": stored}),
        ({"v": [1, (value, {"k": value})]}, {"v": [1, (stored, {"k": stored})]}),
        ({"v": value, "raw": b"", "u": UUID(int=1)}, {"v": stored, "raw": b"", "u": UUID(int=1)}),
    ):
        packed = pack(place)
        assert packed == pack(expected)
        found = unpack(packed)
        assert found == expected
        # Of the very types, at every level.
        assert in_order(shown(found)) == in_order(shown(expected))


@pytest.mark.parametrize(
    ("key", "stored"),
    [case for case in CASES if not isinstance(case[1], (tuple, list, dict, set, frozenset))],
    ids=lambda value: type(value).__name__,
)
def test_a_key_too(key: Any, stored: Any) -> None:
    assert pack({key: 1}) == pack({stored: 1})
    assert pack({"a": [{key: b""}]}) == pack({"a": [{stored: b""}]})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({Hashable([1]): 1}, "session has a key of type .*Hashable: a key is a str"),
        ({Point(1, 2): 1}, "session has a key of type .*Point: a key is a str"),
        ({"s": {Hashable([1])}}, r"session\['s'\]\{element\} is of type .*Hashable.* list: a set"),
        ({"s": {(1, Hashable([1]))}}, r"session\['s'\]\{element\}\[1\] is of type .*Hashable"),
        (
            {"e": enum.Enum("E", "A")["A"]},
            r"session\['e'\] is of type .*E, which a session can't hold",
        ),
        (
            {"f": enum.Flag("F", "A")["A"]},
            r"session\['f'\] is of type .*F, which a session can't hold",
        ),
        ({"x": type("Ext", (msgpack.ExtType,), {})(1, b"")}, r"session\['x'\] is of type .*Ext"),
    ],
    ids=["list as key", "tuple as key", "list in set", "deeper", "Enum", "Flag", "ExtType"],
)
def test_what_stays_an_error(data: Any, said: str) -> None:
    with pytest.raises(SessionSerializationError, match=said):
        pack(data)


class Folded(str):
    """Not equal to itself as a plain str."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def test_elements_that_would_be_one_are_an_error() -> None:
    with pytest.raises(SessionSerializationError, match=r"'s'\] has two elements that are stored"):
        pack({"s": {Folded("a"), "a"}})
    assert unpack(pack({"s": {Folded("a"), "b"}})) == {"s": {"a", "b"}}


class NoTime(datetime):
    """As pandas' NaT: a datetime without a time."""

    @property
    def year(self) -> int:  # type: ignore[override]
        raise RuntimeError("SECRET")


def test_one_that_can_not_be_read_is_named_without_its_value() -> None:
    with pytest.raises(SessionSerializationError) as caught:
        pack({"at": NoTime(2026, 1, 1)})
    assert str(caught.value).startswith("session['at'] is of type tests.token.test_stored.NoTime ")
    assert "RuntimeError" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_cycle_through_subclasses() -> None:
    items = Items()
    items.append(items)
    with pytest.raises(SessionSerializationError, match=r"'v'\]\[0\] holds itself"):
        pack({"v": items})


def test_a_value_of_a_plain_type_is_itself() -> None:
    value = [1]
    assert as_stored(value) is value
    assert stored_type(bool) is bool
    assert stored_type(bytearray) is None


def test_what_stands_for_a_text_once_somebody_said_so() -> None:
    class Promise:  # here, because what is said holds for the whole process
        def __str__(self) -> str:
            return Text("hello")

    class Translation(Promise):
        pass

    with pytest.raises(SessionSerializationError, match="Translation, which a session can't hold"):
        pack({"v": Translation()})
    keep_as_text(Promise)
    assert pack({"v": [Translation()], Translation(): {Promise()}}) == pack(
        {"v": ["hello"], "hello": {"hello"}}
    )


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        (Role.ADMIN, "admin"),
        (Plan.FREE, "free"),
        (Number(5), "5"),
        (Colour.RED, "1"),
        (Text("x"), "x"),
    ],
)
def test_the_subject_is_read_from_what_is_stored(node: Node, user: Any, subject: str) -> None:
    session = node.request()
    session["user"] = user
    session.save()
    assert node.connector.rules.open(session.session_key).claims.subject == subject  # type: ignore[union-attr]
    again = node.request(session.session_key)
    kept = again.session_id
    again["seen"] = True
    again.save()
    assert again.session_id == kept  # nobody else
    node.connector.delete_subject(user)
    assert node.read(again.session_key) is None
