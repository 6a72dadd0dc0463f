"""Session data to cookie value and back, without any framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from tests.benchmarks import contenders, ours
from tests.benchmarks.contenders import Codec
from tests.benchmarks.data import SIZES, session_data
from tests.benchmarks.measure import Contender, Options, calling, measure, same, table
from tests.benchmarks.report import Row, Section, Table

NAME = "codec"
SEAL, OPEN = "pack and seal", "open and unpack"
SET_NEW, SET_AGAIN = "set_session, new session", "set_session, its next state"
GET_NEW, GET_SEEN = "get_session, new token", "get_session, seen before"
"""This library twice: the codec alone, and its whole connector with lookup in the memory list."""


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
        sealed = own.encode_new(data)
        entries += [
            Contender(ours.label(SEAL), calling(own.sealing(data), same(data))),
            Contender(ours.label(SET_NEW), calling(own.encode_new, same(data))),
            Contender(ours.label(SET_AGAIN), calling(own.encode_again(sealed), same(data))),
        ]
    result = table(f"encode, {size} packed bytes", measure(entries, options), codecs[0].name)
    section.tables.append(result)
    for what in (SEAL, SET_NEW, SET_AGAIN):
        _judge_ratio(section, result, what, size)


def _decode(section: Section, codecs: list[Codec], own: Any, size: int, options: Options) -> None:
    data = session_data(size)
    packed = msgpack.packb(data)
    entries = [Contender("msgpack.unpackb alone", calling(msgpack.unpackb, same(packed)))]
    entries += [
        Contender(codec.name, calling(codec.decode, same(codec.encode(data)))) for codec in codecs
    ]
    if own is not None:
        seen = own.encode_new(data)
        fresh = ours.Fresh(_writing(own, data))
        entries += [
            Contender(ours.label(OPEN), calling(own.opening(), same(seen))),
            Contender(ours.label(GET_NEW), calling(own.decode, fresh.take), limit=200),
            Contender(ours.label(GET_SEEN), calling(own.decode, same(seen))),
        ]
    result = table(f"decode, {size} packed bytes", measure(entries, options), codecs[0].name)
    section.tables.append(result)
    for what in (OPEN, GET_NEW):
        _judge_ratio(section, result, what, size)
    if size != 380:
        return
    before = result.median(ours.label(GET_SEEN))
    unpacking = result.median(entries[0].name)
    section.judge(f"{size} bytes: {GET_SEEN} / msgpack.unpackb", before, unpacking, 1.8)
    litestar = next((row.median for row in result.rows if row.name.startswith("litestar")), None)
    section.judge(f"{size} bytes: {GET_SEEN} / Litestar", before, litestar, 1.0)


def _judge_ratio(section: Section, result: Table, what: str, size: int) -> None:
    """Judge one row against Fernet and msgpack; what also asks the list, at 380 bytes only."""
    whole = {SET_NEW: 1.8, SET_AGAIN: 1.8, GET_NEW: 1.5}.get(what)
    ratio = next((row.ratio for row in result.rows if row.name == ours.label(what)), None)
    if what in (SEAL, OPEN) or size == 380:
        target = whole or (1.25 if size == 380 else 1.35)
        section.judge(f"{size} bytes: {what} / Fernet + msgpack", ratio, 1.0, target)


def _writing(node: ours.Node, data: dict[str, Any]) -> Callable[[int], str]:
    """Makes tokens that the measured node has not seen, each of another user."""
    return lambda number: node.encode_elsewhere({**data, "user_id": 10_000 + number % 50_000})


def _old_secrets(section: Section, options: Options) -> None:
    """Decode under the newest and under the oldest of five secrets, tokens new to the node."""
    secrets = [f"secret number {number} of five, long enough 0123456789" for number in range(5)]
    data = session_data(380)
    reader = ours.Node("memory", secret_keys=tuple(secrets))
    entries = []
    for what, secret in (("newest", secrets[0]), ("oldest", secrets[4])):
        fresh = ours.Fresh(_writing(ours.Node("memory", secret_keys=(secret,)), data))
        name = ours.label(f"{what} of five secrets")
        entries.append(Contender(name, calling(reader.decode, fresh.take), limit=200))
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
                section.judge(f"{words} / smallest encrypting peer", length, smallest, 1)
        section.tables.append(Table(f"cookie value, {size} packed bytes", "bytes", rows))
    for what, subject_key in (("visitor", None), ("subject of five characters", "user_id")):
        own = ours.node(section, subject_key=subject_key)
        if own is not None:
            length = len(own.encode_new(session_data(400)))
            section.judge_figure(f"cookie value of 400 packed bytes, {what}", length, 690, "bytes")


def _plain(name: str, value: float) -> Row:
    return Row(name, value, value, value)
