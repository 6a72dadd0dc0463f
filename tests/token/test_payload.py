"""What a session may hold comes back equal and of its type; all else is refused by its path."""

from __future__ import annotations

import collections
import enum
import io
import math
import struct
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal, localcontext
from types import FrameType
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duck_cookie_session.errors import SessionError, SessionSerializationError
from duck_cookie_session.token.payload import IMMUTABLE_TYPES, key_sizes, pack, unpack
from tests.token.sessions import hashables, sessions

BERLIN = ZoneInfo("Europe/Berlin")


def same(one: Any, other: Any) -> bool:
    """Equal and of one type, at every level; NaN is itself, -0.0 is not 0.0, order counts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(a, b) for a, b in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, (set, frozenset)):
        left = list(other)
        for element in one:
            match = next((i for i, known in enumerate(left) if same(element, known)), None)
            if match is None:
                return False
            del left[match]
        return not left
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    if isinstance(one, Decimal):
        return one.as_tuple() == other.as_tuple()
    if isinstance(one, (datetime, time)):
        return (
            one.replace(tzinfo=None) == other.replace(tzinfo=None)
            and one.fold == other.fold
            and same_zone(one.tzinfo, other.tzinfo)
        )
    return bool(one == other)


def same_zone(one: tzinfo | None, other: tzinfo | None) -> bool:
    if isinstance(one, ZoneInfo):
        return one is other
    if one is None or other is None:
        return one is other
    return (type(one), one.utcoffset(None), one.tzname(None)) == (
        type(other),
        other.utcoffset(None),
        other.tzname(None),
    )


class TestRoundTrip:
    @pytest.mark.slow
    @given(sessions)
    @settings(max_examples=200)
    def test_everything_comes_back_equal_and_of_its_type(self, data: dict[Any, Any]) -> None:
        packed = pack(data)
        again = unpack(packed)
        assert same(again, data)
        assert pack(again) == packed

    @pytest.mark.parametrize(
        "value",
        [
            datetime.min,
            datetime.max,
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59), "far")),
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0),
            datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
            datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN),
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=-1))),
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "")),
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "\udc80")),
            time.min,
            time.max.replace(fold=1, tzinfo=BERLIN),
            date.min,
            date.max,
            timedelta.min,
            timedelta.max,
            timedelta(0),
            timedelta(microseconds=-1),
            timedelta(microseconds=128),
            2**100_000,
            -(2**100_000),
            "\ud800",
            "\udfff x \ud800",
            b"",
            (),
            set(),
            frozenset(),
            ((),),
            {()},
            {frozenset()},
            {frozenset({frozenset({1, (2, frozenset({3}))})})},
            -0.0,
            math.inf,
            -math.inf,
            math.nan,
            struct.unpack(">d", bytes.fromhex("fff8000000000007"))[0],
            [True, 1, 1.0],
            {"": {None: {True: {1.5: {b"x": []}}}}},
        ],
        ids=lambda value: repr(value)[:40] if type(value) is not int else "int",
    )
    def test_edges(self, value: Any) -> None:
        for data in ({"v": value}, {"v": [(value,)]}, {"a": {"b": value}, "c": (1, value)}):
            assert same(unpack(pack(data)), data)

    def test_each_load_gives_objects_of_its_own(self) -> None:
        packed = pack({"cart": [1], "seen": {2}})
        first = unpack(packed)
        first["cart"].append(2)
        first["seen"].add(3)
        assert unpack(packed) == {"cart": [1], "seen": {2}}

    def test_far_more_than_a_cookie_holds(self) -> None:
        for data in ({"v": "x" * 300_000}, {"v": list(range(100_000))}, {"v": (1,)}):
            assert unpack(pack(data)) == data

    def test_the_order_of_a_dict_is_kept(self) -> None:
        assert list(unpack(pack({"b": 1, "a": 2}))) == ["b", "a"]
        assert pack({"b": 1, "a": 2}) != pack({"a": 2, "b": 1})

    def test_ordinary_data_are_plain_msgpack(self) -> None:
        data = {"id": 7, "cart": [{"sku": "LAMP", "price": 19.99}], "raw": b"\xc7\x00\x01"}
        assert pack(data) == msgpack.packb(data)

    @pytest.mark.parametrize("depth", [500, 1021])
    def test_deep_nesting_that_packs_unpacks_far_down_the_stack(self, depth: int) -> None:
        for wrap in (
            lambda inner: [inner],
            lambda inner: (inner,),
            lambda inner: {"k": inner},
            lambda inner: ({"k": [inner]},),
        ):
            data: Any = []
            for _ in range(depth if wrap(0) != ({"k": [0]},) else depth // 3):
                data = wrap(data)
            packed = pack({"v": data})
            again = call_deep(150, lambda packed=packed: unpack(packed))
            assert pack(again) == packed == call_deep(150, lambda again=again: pack(again))

    @pytest.mark.parametrize("innermost", [0, [], {}, (), "", datetime.min])
    @pytest.mark.parametrize("depth", range(1018, 1028))
    def test_what_packs_at_the_limit_unpacks(self, depth: int, innermost: Any) -> None:
        data = innermost
        for _ in range(depth):
            data = [data]
        if depth > (1021 if innermost == () else 1022):  # an empty tuple holds its mark
            with pytest.raises(SessionSerializationError, match="nested deeper"):
                pack({"v": data})
        else:
            packed = pack({"v": data})
            assert pack(unpack(packed)) == packed

    @given(st.integers(1, 60))
    def test_nested_frozensets(self, depth: int) -> None:
        data: Any = frozenset({"x", 1})
        for level in range(depth):
            data = frozenset({data, (level, data)}) if level < 5 else frozenset({(data,), level})
        assert unpack(pack({"v": data})) == {"v": data}


class TestSameDataSameBytes:
    @given(st.lists(hashables, unique=True, max_size=8), st.randoms(use_true_random=False))
    def test_sets_do_not_depend_on_their_history(self, elements: list[Any], random: Any) -> None:
        other = list(elements)
        random.shuffle(other)
        fillers = [object() for _ in range(200)]
        grown = set(fillers)
        grown.update(other)
        grown.difference_update(fillers)
        assert pack({"s": set(elements)}) == pack({"s": grown})
        assert pack({"s": frozenset(elements)}) == pack({"s": frozenset(other)})

    def test_sets_of_text_do_not_depend_on_the_hash_seed(self) -> None:
        elements = [f"element {number}" for number in range(50)]
        packed = pack({"s": set(elements)})
        body = packed.index(b"\xc7\x00\x02") + 3
        assert packed[body:] == b"".join(sorted(map(msgpack.packb, elements)))

    def test_a_decimal_does_not_depend_on_the_context(self) -> None:
        value = Decimal("1E+30")
        with localcontext(Context(capitals=0, prec=2, traps=[])):
            assert pack({"d": value}) == b"\x81\xa1d\xc7\x05\x091E+30"
            assert same(unpack(pack({"d": Decimal("1.23456E-7")})), {"d": Decimal("1.23456E-7")})


class TestFormat:
    """The bytes that the docstring of the module promises."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ((5,), "92 c70001 05"),
            ((), "91 c70001"),
            ({2, 1}, "93 c70002 01 02"),
            (frozenset({"b"}), "92 c70003 a162"),
            (2**64, "c709 04 010000000000000000"),
            (-(2**63) - 1, "c709 04 ff7fffffffffffffff"),
            (datetime(1, 1, 1, 0, 0, 0, 1), "d7 05 0000000000000002"),
            (datetime(1, 1, 2, fold=1), "d7 05 0000002 83baec001".replace(" ", "")),
            (datetime(1, 1, 1, tzinfo=UTC), "c70b 05 0000000000000000 00 0000"),
            (
                datetime(1, 1, 1, tzinfo=timezone(-timedelta(hours=1))),
                "c70b 05" + "00" * 9 + "ffc4",
            ),
            (date(1, 1, 1), "c703 06 000001"),
            (time(0, 0, 1, fold=1), "c705 07 00001e8481"),
            (
                time(0, tzinfo=timezone(timedelta(seconds=1))),
                "c70b 07 0000000000 01 00000f4240",
            ),
            (
                time(0, tzinfo=timezone(timedelta(0), "Zulu")),
                "c70f 07 0000000000 02 0000000000 5a756c75",
            ),
            (time(0, tzinfo=ZoneInfo("UTC")), "c709 07 0000000000 03 555443"),
            (timedelta(0), "c700 08"),
            (timedelta(microseconds=128), "d5 08 0080"),
            (timedelta(microseconds=-1), "d4 08 ff"),
            (Decimal("-0E+3"), "c705 09 2d30452b33"),
            (Decimal("sNaN"), "d6 09 534e414e"),
            (UUID(int=1), "d8 0a" + "00" * 15 + "01"),
            ("\ud800", "a3 eda080"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_bytes(self, value: Any, expected: str) -> None:
        assert pack({0: value}).hex() == "8100" + expected.replace(" ", "")


class Colour(enum.Enum):
    RED = 1


class OtherZone(tzinfo):
    def utcoffset(self, at: datetime | None) -> timedelta:
        return timedelta(0)


class Basket:
    def __repr__(self) -> str:
        return "SECRET"


def zone_without_key() -> ZoneInfo:
    # A zone file of version 1: no transitions, one type, UTC.
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    raw = b"TZif" + b"\0" * 16 + counts + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return ZoneInfo.from_file(io.BytesIO(raw))


REFUSED: list[tuple[Any, str]] = [
    (Colour.RED, "Colour"),
    (bytearray(b"SECRET"), "bytearray"),
    (bytearray(), "bytearray"),
    (memoryview(b"SECRET"), "memoryview"),
    (memoryview(b"SECRET!!")[::2], "memoryview"),
    (msgpack.ExtType(4, b"SECRET"), "ExtType"),
    (msgpack.ExtType(1, b""), "ExtType"),
    (msgpack.Timestamp(1), "Timestamp"),
    (Basket(), "Basket"),
    (object(), "object"),
    (1j, "complex"),
    (range(3), "range"),
    (print, "builtin_function_or_method"),
    (int, "type"),
    (..., "ellipsis"),
    ((n for n in "SECRET"), "generator"),
    ({}.keys(), "dict_keys"),
    (datetime(2026, 1, 1, tzinfo=OtherZone()), "OtherZone"),
    (time(1, tzinfo=OtherZone()), "OtherZone"),
    (datetime(2026, 1, 1, tzinfo=zone_without_key()), "ZoneInfo without a key"),
]


class TestRefusals:
    @pytest.mark.parametrize(("value", "named"), REFUSED, ids=lambda v: str(type(v)))
    @pytest.mark.parametrize(
        ("place", "path"),
        [
            (lambda value: {"cart": value}, "session['cart'] "),
            (lambda value: {"cart": [0, 1, 2, value]}, "session['cart'][3] "),
            (lambda value: {"a": {7: (0, {b"k": value})}}, "session['a'][7][1][b'k'] "),
            (lambda value: {"when": datetime.min, "x": [{}, [value]]}, "session['x'][1][0] "),
            (lambda value: {"s": {1, 2}, None: [value]}, "session[None][0] "),
        ],
    )
    def test_a_value_of_another_type(self, value: Any, named: str, place: Any, path: str) -> None:
        with pytest.raises(SessionSerializationError) as caught:
            pack(place(value))
        message = str(caught.value)
        assert message.startswith(path)
        assert named in message
        assert "SECRET" not in message
        assert ": " in message  # ... and what to do
        assert isinstance(caught.value, SessionError)

    def test_inside_a_set(self) -> None:
        with pytest.raises(
            SessionSerializationError, match=r"^session\['s'\]\{element\}\[1\] .*complex"
        ):
            pack({"s": {(0, 1j)}})

    @pytest.mark.parametrize(
        ("key", "named"),
        [
            ((1, 2), "tuple"),
            (frozenset({1}), "frozenset"),
            (Colour.RED, "Colour"),
            (memoryview(b"SECRET"), "memoryview"),
            (msgpack.ExtType(1, b""), "ExtType"),
            (msgpack.Timestamp(7), "Timestamp"),
            (Basket(), "Basket"),
            (datetime(2026, 1, 1, tzinfo=OtherZone()), "OtherZone"),
        ],
        ids=lambda v: str(type(v)),
    )
    def test_a_key_of_another_type(self, key: Any, named: str) -> None:
        for data, path in (
            ({key: 1}, "session has a key "),
            ({"a": [{"b": 1, key: 2}]}, "session['a'][0] has a key "),
            ({"t": (1, {key: 2}), "u": uuid4()}, "session['t'][1] has a key "),
        ):
            with pytest.raises(SessionSerializationError) as caught:
                pack(data)
            assert str(caught.value).startswith(path)
            assert named in str(caught.value)
            assert "SECRET" not in str(caught.value)

    @pytest.mark.parametrize("data", [None, [], "x", collections.OrderedDict(a=1), {1}])
    def test_only_a_dict_is_a_session(self, data: Any) -> None:
        with pytest.raises(SessionSerializationError, match=r"^session is of type"):
            pack(data)

    def test_cycles(self) -> None:
        in_list: list[Any] = []
        in_list.append(in_list)
        in_dict: dict[str, Any] = {}
        in_dict["me"] = {"deep": [in_dict]}
        in_tuple: tuple[Any, ...] = ([],)
        in_tuple[0].append(in_tuple)
        for value, path in (
            (in_list, r"session\['v'\]\[0\]"),
            (in_dict, r"session\['v'\]\['me'\]\['deep'\]\[0\]"),
            (in_tuple, r"session\['v'\]\[0\]\[0\]"),
        ):
            with pytest.raises(SessionSerializationError, match=f"^{path} holds itself"):
                pack({"v": value})
        whole: dict[str, Any] = {"a": 1}
        whole["whole"] = whole
        with pytest.raises(SessionSerializationError, match=r"^session\['whole'\] holds itself"):
            pack(whole)

    def test_one_object_twice_is_no_cycle(self) -> None:
        shared = [1]
        assert unpack(pack({"a": shared, "b": [shared, (shared, shared)]})) == {
            "a": [1],
            "b": [[1], ([1], [1])],
        }

    @pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}])
    def test_too_deep(self, wrap: Any) -> None:
        data: Any = 1
        for _ in range(5000):
            data = wrap(data)
        with pytest.raises(SessionSerializationError) as caught:
            pack({"a": 1, "deep": data})
        assert str(caught.value).startswith("session['deep'][")
        assert "nested deeper" in str(caught.value)
        assert len(str(caught.value)) < 200

    def test_frozensets_too_deep(self) -> None:
        data: Any = frozenset()
        for _ in range(3000):
            data = frozenset({data})
        with pytest.raises(
            SessionSerializationError, match=r"^session\['deep'\]\{element\}.*deeper"
        ):
            pack({"deep": data})

    def test_long_and_odd_keys_in_the_path(self) -> None:
        for key in ("k" * 1000, 10**6000, "\udc80"):
            with pytest.raises(SessionSerializationError) as caught:
                pack({key: {"x": 1j}})
            assert len(str(caught.value)) < 400
            assert "['x'] is of type complex" in str(caught.value)
            str(caught.value).encode()

    def test_a_path_of_twelve_steps_is_whole_and_of_thirteen_loses_its_middle(self) -> None:
        steps = [f"['{step}']" for step in range(1, 14)]
        assert refusal(nested(12)).startswith("session" + "".join(steps[:12]) + " is of type")
        cut = "session" + "".join(steps[:8]) + "..." + "".join(steps[-2:])
        assert refusal(nested(13)).startswith(cut + " is of type")

    def test_keys_in_a_path_are_shown_up_to_256_bits_and_80_characters(self) -> None:
        assert refusal({2**256 - 1: {1}, 5: object()}).startswith("session[5] ")
        assert refusal({2**256 - 1: object()}).startswith(f"session[{2**256 - 1}] ")
        assert refusal({2**256: object()}).startswith("session[<int of 257 bits>] ")
        assert refusal({"k" * 78: object()}).startswith(f"session['{'k' * 78}'] ")
        assert refusal({"k" * 79: object()}).startswith(f"session['{'k' * 76}...] ")

    def test_the_error_carries_no_value_in_its_context(self) -> None:
        with pytest.raises(SessionSerializationError) as caught:
            pack({"a": "SECRET\ud800", "b": object()})
        assert caught.value.__context__ is None


class TestHostileBytes:
    @given(st.binary(max_size=200))
    @settings(max_examples=500)
    @example(b"")
    @example(b"\x80\x80")
    def test_any_bytes(self, raw: bytes) -> None:
        check_unpack(raw)

    @pytest.mark.slow
    @given(sessions, st.data())
    @settings(max_examples=150)
    def test_mutilated_sessions(self, data: dict[Any, Any], draw: st.DataObject) -> None:
        packed = bytearray(pack(data))
        position = draw.draw(st.integers(0, len(packed) - 1))
        packed[position] = draw.draw(st.integers(0, 255))
        check_unpack(bytes(packed))
        check_unpack(bytes(packed[:position]))

    @given(sessions)
    def test_truncated_or_longer(self, data: dict[Any, Any]) -> None:
        packed = pack(data)
        for wrong in (packed[:-1], packed + b"\x00", packed + packed):
            with pytest.raises(SessionSerializationError):
                unpack(wrong)

    @given(st.integers(0, 255), st.binary(max_size=20))
    @settings(max_examples=500)
    def test_any_extension(self, code: int, payload: bytes) -> None:
        check_unpack(b"\x81\xa1k\xc7" + bytes([len(payload), code]) + payload)
        check_unpack(b"\x81\xa1k\x92\xc7" + bytes([len(payload), code]) + payload + b"\x01")

    @pytest.mark.parametrize(
        "raw",
        [
            "c0",  # not a map
            "90",
            "92c7000101",  # a tuple at the top
            "c70001",  # a bare mark at the top
            "8100c70001",  # a mark outside an array
            "81c7000100",  # ... as a key
            "81009201c70001",  # ... not first
            "810092c70001c70001",
            "810091d4010 0".replace(" ", ""),  # a mark with a payload
            "81009292c700010591d40100",  # ... beside a good one
            "810091c800000 1".replace(" ", ""),  # a mark spelled long
            "810093c700020101",  # a set with an element twice
            "810092c7000290",  # a set of lists
            "8192c700010100",  # a tuple as a key
            "810081" + "92c700030100",  # a frozenset as one
            "8191c7000100",
            "819000",  # a list as a key
            "818000",
            "8100d4ff00",  # Timestamps: unknown to a session
            "8100d6ff00000000",
            "8100d7ff0000000000000000",
            "8100c70cff000000000000000000000000",
            "8100c8000cff000000000000000000000000",
            "8100c90000000cff000000000000000000000000",
            "8100c8000 4ff00000000".replace(" ", ""),
            "81d6ff0000000000",
            "8100d40b00",  # unknown extensions
            "8100d47f00",
            "8100d48000",
            "8100d40500",  # payloads that are none
            "8100d705ffffffffffffffff",
            "8100c70505" + "00" * 5,
            "8100c70905" + "00" * 8 + "00",
            "8100c70905" + "00" * 8 + "04",
            "8100c70b05" + "00" * 8 + "007fff",
            "8100c70e05" + "00" * 8 + "017fffffffff",
            "8100c70e05" + "00" * 8 + "027fffffffff",
            "8100c70905" + "00" * 8 + "03",
            "8100c70c05" + "00" * 8 + "032e2e2f",
            "8100c70d05" + "00" * 8 + "034d617273",
            "8100c71005" + "00" * 8 + "03" + b"Europe/".hex(),
            "8100c70a05" + "00" * 8 + "03ff",
            "8100c70306000000",
            "8100c70306ffffff",
            "8100d40601",
            "8100c70507ffffffffff",
            "8100c70507" + (86_400_000_000 << 1).to_bytes(5, "big").hex(),
            "8100c70908" + "7f" + "ff" * 8,
            "8100c70a08" + "00" * 10,
            "8100c70004",  # large integers that are not large, or padded
            "8100d40405",
            "8100d704" + "ff" * 8,
            "8100c7090400" + "ff" * 8,
            "8100c70a0400" + "01" + "00" * 8,
            "8100c70a04ff" + "fe" + "00" * 8,
            "8100c70e05" + "00" * 8 + "01" + "0003938700",  # an offset of whole minutes
            "8100c70f05" + "00" * 8 + "01" + "00000f424000",  # ... with a byte too many
            "8100c71105" + "00" * 8 + "02" + "0000000000" + b"UTC".hex(),  # a name unneeded
            "8100d40800",  # a timedelta, padded
            "8100d508007f",
            "8100d508ff80",
            "8100c70009",
            *(
                f"8100c7{len(text):02x}09{text.encode().hex()}"
                for text in ("1e5", " 1", "1_0", "+1", "1E5", "inf", "nan", "Infinity", "0E0", "1.")
            ),
            "8100d40978",
            "8100d409ff",
            "8100d40a00",
            "8100a1ff",  # not UTF-8
            "8100c1",  # never used by msgpack
            "81ddffffffff",  # huge lengths
            "81dfffffffff",
            "8100dbffffffff",
            "8100c6ffffffff",
            "8100c9ffffffff04",
        ],
    )
    def test_refused(self, raw: str) -> None:
        with pytest.raises(SessionSerializationError):
            unpack(bytes.fromhex(raw))

    @pytest.mark.parametrize(
        "level",
        ["91", "81a16b", "92c70001", "92c70002", "92c70003", "dd00000001", "9f", "dc2710", "81"],
    )
    def test_nesting_bombs(self, level: str) -> None:
        bomb = b"\x81\xa1k" + bytes.fromhex(level) * (1_000_000 // (len(level) // 2))
        for raw in (bomb, bomb + b"\x00", bomb[:5000] + b"\xc0"):
            with pytest.raises(SessionSerializationError):
                unpack(raw)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("start", "level", "then"),
        [
            ("8100", "dc2710" * 1023, "c0"),  # arrays that declare 10,000 elements each
            ("8100", "dd000f0000" * 1023, "c0"),  # ... about a million each
            ("8100dd00051614", "", "810000"),  # 333,332 small dicts
            ("8100dd0003d07a", "", "91c70002"),  # 249,978 empty sets
        ],
    )
    def test_memory_stays_in_proportion(self, start: str, level: str, then: str) -> None:
        raw = bytes.fromhex(start + level)
        raw += bytes.fromhex(then) * ((1_000_000 - len(raw)) // (len(then) // 2))
        tracemalloc.start()
        try:
            check_unpack(raw)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 80 * len(raw) + 1024 * 80_000

    def test_a_timestamp_like_byte_pair_in_good_data_is_no_harm(self) -> None:
        data = {"raw": b"\xd6\xff\x0c\xff", "n": -1, "big": 0xD7FF, "t": (1, {2})}
        assert unpack(pack(data)) == data

    def test_a_later_value_of_the_same_key_stands(self) -> None:
        assert unpack(bytes.fromhex("820001" + "0002")) == {0: 2}

    def test_an_unknown_zone_is_named_as_such(self) -> None:
        here = pack({"at": time(tzinfo=ZoneInfo("Asia/Tokyo"))})
        elsewhere = here.replace(b"Asia/Tokyo", b"Mars/Tharr")
        with pytest.raises(SessionSerializationError, match=r"time zone.*tzdata"):
            unpack(elsewhere)


class TestThreads:
    def test_many_threads_pack_and_unpack_at_once(self) -> None:
        start = threading.Barrier(8)

        def work(number: int) -> None:
            data = {
                "n": number,
                "s": {(number, n, frozenset({n, "x"})) for n in range(20)},
                "at": datetime(2026, 1, 1, number, tzinfo=BERLIN),
                "text": "\ud800" * number,
                "t": tuple(UUID(int=number * 1000 + n) for n in range(20)),
            }
            start.wait(10)
            expected = pack(data)
            for _ in range(40):
                assert pack(data) == expected
                assert unpack(expected) == data

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(8)))
        finally:
            sys.setswitchinterval(interval)

    def test_packing_from_within_packing(self) -> None:
        # As a finalizer or a signal handler may: Python code that runs in the midst of pack().
        outer = {"at": datetime(2026, 1, 1), "t": ((1,), "end")}
        inner = {"other": ["x" * 100, (2,)]}
        expected = pack(outer), pack(inner)
        seen = during_calls(lambda: pack(inner), lambda: pack(outer))
        assert seen.result == expected[0]
        assert set(seen.between) == {expected[1]}

    def test_a_session_that_changes_meanwhile(self) -> None:
        data: dict[str, Any] = {"at": datetime(2026, 1, 1), "b": 2}
        with pytest.raises(SessionSerializationError, match=r"^session was changed by another"):
            during_calls(lambda: data.update({f"new {len(data)}": 1}), lambda: pack(data))

    def test_a_session_that_changes_while_an_error_is_looked_for(self) -> None:
        data: dict[str, Any] = {"a": [0], "b": 1j}
        with pytest.raises(SessionSerializationError, match=r"^session was changed by another"):
            during_calls(lambda: data.update({f"new {len(data)}": 1}), lambda: pack(data))

    def test_a_failure_leaves_nothing_behind(self) -> None:
        good = {"a": "ok" * 100, "t": (1,)}
        expected = pack(good)
        for bad in (1j, OtherZone(), bytearray(b"x")):
            with pytest.raises(SessionSerializationError):
                pack({"a": "x" * 5000, "b": (1, bad)})
            assert pack(good) == expected


class TestKeySizes:
    def test_heaviest_first_by_packed_bytes(self) -> None:
        data = {"a": "x" * 50, "longer key": [1, 2, 3], 7: (1,), "z": None}
        sizes = key_sizes(data)
        assert sizes == [("'a'", 54), ("'longer key'", 15), ("7", 6), ("'z'", 3)]
        assert sum(size for _, size in sizes) + 1 == len(pack(data))

    def test_empty_and_refused(self) -> None:
        assert key_sizes({}) == []
        with pytest.raises(SessionSerializationError, match=r"^session\['b'\]\[0\] "):
            key_sizes({"a": 1, "b": [1j]})

    def test_keys_are_shortened(self) -> None:
        (text, size), (number, _) = key_sizes({"k" * 500: 1, 10**600: 1})
        assert len(text) == 80
        assert size == 504
        assert number == "<int of 1994 bits>"


def test_immutable_types_are_the_scalars() -> None:
    assert {type(None), bool, int, float, str, bytes, datetime, date, time, timedelta} | {
        Decimal,
        UUID,
    } == IMMUTABLE_TYPES


def refusal(data: Any) -> str:
    with pytest.raises(SessionSerializationError) as caught:
        pack(data)
    return str(caught.value)


def nested(depth: int) -> Any:
    value: Any = object()
    for step in range(depth, 0, -1):
        value = {str(step): value}
    return value


def check_unpack(raw: bytes) -> None:
    """Refused by the one error, or a dict that a session can hold."""
    try:
        data = unpack(raw)
    except SessionSerializationError:
        return
    assert type(data) is dict


def call_deep(frames: int, call: Any) -> Any:
    return call() if frames == 0 else call_deep(frames - 1, call)


class Seen(NamedTuple):
    result: Any
    between: list[Any]


def during_calls(intrude: Any, call: Any) -> Seen:
    """Runs `call`, and `intrude` whenever a Python function is entered within it."""
    between: list[Any] = []

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            sys.setprofile(None)
            between.append(intrude())
            sys.setprofile(enter)

    sys.setprofile(enter)
    try:
        result = call()
    finally:
        sys.setprofile(None)
    return Seen(result, between)
