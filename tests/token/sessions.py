"""Everything that a session can hold, for hypothesis."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

text = st.text(st.characters(), max_size=8) | st.text(
    st.characters(categories=["Cs"]) | st.sampled_from("aé"), max_size=4
)
day = timedelta(days=1)
zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.timedeltas(-day + timedelta.resolution, day - timedelta.resolution).map(timezone),
    st.builds(
        timezone, st.timedeltas(-day + timedelta.resolution, day - timedelta.resolution), text
    ),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    st.sampled_from(["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"]).map(
        ZoneInfo
    ),
)
fold = st.integers(0, 1)
keys = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 255, -128]),
    st.floats(),
    text,
    st.binary(max_size=40),
    st.builds(
        lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold), st.datetimes(), zones, fold
    ),
    st.builds(lambda at, zone, fold: at.replace(tzinfo=zone, fold=fold), st.times(), zones, fold),
    st.dates(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.sampled_from(
        [Decimal("-0E+3"), Decimal("NaN12"), Decimal("-Infinity"), Decimal("1E-999999")]
    ),
    st.uuids(),
)
scalars = keys | st.sampled_from([Decimal("sNaN"), Decimal("-sNaN7")])
hashables = st.recursive(
    keys,
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.tuples(),
    max_leaves=6,
)
values = st.recursive(
    scalars | hashables | st.sets(hashables, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=15,
)
sessions = st.dictionaries(keys, values, max_size=5)
