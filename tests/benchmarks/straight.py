"""A session written in one function: the checks of this library and nothing else of it.

No dict that knows what changed, no locks of its own, plan, steps, errors, settings or events, one
kind of session only: not to be used, only to show what is left for all of these.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

import msgpack
from cryptography.fernet import Fernet

_HEAD = struct.Struct(">BH16sBIHIBI")
_BIRTH_AND_SUBJECT = 2 | 64
_KEPT = 4_096


def writer(opened: Any) -> Callable[[], list[tuple[str, str]]]:
    """What writes a token of this library's that was opened; it gives the headers."""
    fernet, lock, epochs = Fernet(Fernet.generate_key()), threading.RLock(), dict[bytes, int]()
    birth, reach = opened.claims.birth, opened.claims.reach
    kept: dict[str, Any] = {}
    known = {opened.token: opened}

    def judge(token: Any) -> tuple[int, ...]:
        with lock:
            stands = tuple([epochs.get(scope, 0) for scope in token.scopes])
        if stands != token.epochs or birth != token.claims.birth or token.claims.reach > reach:
            raise ValueError("revoked")
        return stands

    def write() -> list[tuple[str, str]]:
        token = known[opened.token]
        if time.time() * 1000 >= token.deadline_ms:
            raise ValueError("expired")
        judge(token)
        data = msgpack.unpackb(token.data)
        data["locale"] = "sv_SE"
        packed, subject = msgpack.packb(data), str(data["user_id"])
        claims, now_ms = token.claims, int(time.time() * 1000)
        if subject != claims.subject:
            raise ValueError("another user")
        stands = judge(token)
        created, lifetime_ms = claims.created_ms // 1000, claims.lifetime_ms
        expires_ms = now_ms + lifetime_ms
        head = _HEAD.pack(
            1,
            _BIRTH_AND_SUBJECT,
            claims.session_id,
            created >> 32,
            created & 0xFFFFFFFF,
            expires_ms >> 32,
            expires_ms & 0xFFFFFFFF,
            lifetime_ms >> 32,
            lifetime_ms & 0xFFFFFFFF,
        )
        named = subject.encode()
        plain = head + birth.to_bytes(7, "big") + bytes((len(named),)) + named + packed
        text = fernet.encrypt_at_time(plain, now_ms // 1000).rstrip(b"=").decode("ascii")
        if len(text) > 4_000:
            raise ValueError("too large")
        if len(kept) >= _KEPT:
            kept.clear()
        kept[text] = (claims, packed, token.scopes, stands, expires_ms)
        cookie = f"session={text}; Path=/; Max-Age={lifetime_ms // 1000}; HttpOnly; Secure"
        return [("Set-Cookie", cookie), ("Cache-Control", "no-store"), ("Vary", "Cookie")]

    return write
