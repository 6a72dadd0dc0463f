"""Session data to cookie value and back, without any framework."""

from __future__ import annotations

from typing import Any

import msgpack

from tests.benchmarks import contenders, ours
from tests.benchmarks.contenders import Codec
from tests.benchmarks.data import SIZES, session_data
from tests.benchmarks.measure import Contender, Options, calling, measure, same, table
from tests.benchmarks.report import Row, Section, Table

NAME = "codec"


def run(options: Options) -> Section:
    """Encode and decode at three sizes, tokens seen and new, old secrets, cookie bytes."""
    section = Section(NAME)
    codecs = [contenders.bare_fernet(), *contenders.peers(section)]
    for codec in codecs:
        for size in SIZES:
            codec.prove(session_data(size))
    own = ours.node(section)
    for size in SIZES:
        _encode(section, codecs, own, size, options)
        _decode(section, codecs, own, size, options)
    if own is not None:
        _old_secrets(section, options)
    _cookie_bytes(section, codecs)
    return section


def _encode(section: Section, codecs: list[Codec], own: Any, size: int, options: Options) -> None:
    data = session_data(size)
    entries = [Contender(codec.name, calling(codec.encode, same(data))) for codec in codecs]
    if own is not None:
        entries.append(Contender(ours.label("new session"), calling(own.encode_new, same(data))))
        token = own.encode_new(data)
        entries.append(
            Contender(ours.label("same session"), calling(own.encode_again(token), same(data)))
        )
    result = table(f"encode, {size} packed bytes", measure(entries, options), codecs[0].name)
    section.tables.append(result)
    if own is not None:
        for what, target in (("new session", 1.25), ("same session", 1.25)):
            ratio = next(row.ratio for row in result.rows if row.name == ours.label(what))
            section.judge(f"encode {size}, {what} / Fernet + msgpack", ratio, 1.0, target)


def _decode(section: Section, codecs: list[Codec], own: Any, size: int, options: Options) -> None:
    data = session_data(size)
    packed = msgpack.packb(data)
    entries = [Contender("msgpack.unpackb alone", calling(msgpack.unpackb, same(packed)))]
    entries += [
        Contender(codec.name, calling(codec.decode, same(codec.encode(data)))) for codec in codecs
    ]
    if own is not None:
        seen = own.encode_new(data)
        entries.append(Contender(ours.label("token seen before"), calling(own.decode, same(seen))))
        fresh = ours.Fresh(
            lambda number: own.encode_elsewhere({**data, "user_id": 10_000 + number % 50_000})
        )
        entries.append(
            Contender(ours.label("new token"), calling(own.decode, fresh.take), limit=200)
        )
    samples = measure(entries, options)
    result = table(f"decode, {size} packed bytes", samples, codecs[0].name)
    section.tables.append(result)
    if own is None:
        return
    section.judge(
        f"decode {size}, new token / Fernet + msgpack",
        next(row.ratio for row in result.rows if row.name == ours.label("new token")),
        1.0,
        1.25,
    )
    before = result.median(ours.label("token seen before"))
    section.judge(
        f"decode {size}, seen before / msgpack.unpackb",
        before,
        result.median("msgpack.unpackb alone"),
        1.8,
    )
    litestar = next((row.median for row in result.rows if row.name.startswith("litestar")), None)
    section.judge(f"decode {size}, seen before / Litestar", before, litestar, 1.0)


def _old_secrets(section: Section, options: Options) -> None:
    """Decode under the newest and under the oldest of five secrets, tokens new to the node."""
    secrets = [f"secret number {number} of five, long enough 0123456789" for number in range(5)]
    data = session_data(380)
    reader = ours.node(section, secret_keys=tuple(secrets))
    entries = []
    for what, secret in (
        ("newest of five secrets", secrets[0]),
        ("oldest of five secrets", secrets[4]),
    ):
        writer = ours.node(section, secret_keys=(secret,))
        fresh = ours.Fresh(
            lambda number, writer=writer: writer.encode_new(
                {**data, "user_id": 10_000 + number % 50_000}
            )
        )
        entries.append(Contender(ours.label(what), calling(reader.decode, fresh.take), limit=200))
    names = [entry.name for entry in entries]
    result = table(
        "decode of a new token, 380 packed bytes, by secret", measure(entries, options), names[0]
    )
    section.tables.append(result)
    section.judge("oldest of five secrets / newest", result.rows[1].ratio, 1.0, 2.5)


def _cookie_bytes(section: Section, codecs: list[Codec]) -> None:
    """Bytes of the cookie value, without its name and attributes."""
    for size in (380, 2_000):
        data = session_data(size)
        lengths = {codec.name: len(codec.text(codec.encode(data))) for codec in codecs}
        rows = [
            _plain(codec.name + ("" if codec.encrypts else ", not encrypted"), lengths[codec.name])
            for codec in codecs
        ]
        peers = [lengths[codec.name] for codec in codecs if codec.encrypts and codec.is_session]
        smallest = min(peers, default=0)
        for what, compress in (("", False), ("compress", True)):
            own = ours.node(section, compress=compress)
            if own is not None:
                length = len(own.encode_new(data))
                rows.append(_plain(ours.label(what), length))
                words = f"cookie bytes {size} {what}".strip()
                section.judge(
                    f"{words} / smallest encrypting peer", length, min(peers, default=0), 1
                )
        section.tables.append(Table(f"cookie value, {size} packed bytes", "bytes", rows))
    own = ours.node(section)
    if own is not None:
        length = len(own.encode_new(session_data(400)))
        section.judge_figure("cookie value of 400 packed bytes", length, 690, "bytes")


def _plain(name: str, value: float) -> Row:
    return Row(name, value, value, value)
