"""What `check` and `inspect` say of sessions that are bound to a device."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterator
from typing import Any

from ..device.sealed import KEY, PROOF, REFRESH, REGISTRATION, Seals, binding_text
from ..revocation.base import RevocationList
from ..settings import SessionSettings
from ..token.claims import id_to_text
from ..token.format import issued_at
from .findings import Finding, bad, good, note
from .output import FOUND, GOOD, duration, moment, say, say_json, table

RENEWED_BEFORE = 120
"""Seconds before a proof's end from which a browser renews it, as Chromium does."""
LONG = 3_600
"""Seconds of a proof's life above which a thief of all cookies has them for long."""

WORDS = {
    KEY: "a device key",
    PROOF: "a proof",
    REGISTRATION: "a challenge for a registration",
    REFRESH: "a challenge for a renewal",
}


def check_device(settings: SessionSettings) -> Iterator[Finding]:
    """What binding a session to its device needs, and how long a thief has; nothing where off."""
    if settings.device_binding == "off":
        return
    age = settings.device_proof_age
    yield good(
        "device",
        f"offered at logins to browsers that bind sessions, under {settings.device_binding_path}, "
        f"for the cookie {settings.cookie_name}",
    )
    if age > LONG:
        yield note(
            "proof",
            f"good for {duration(age)}: that is how long a thief of all cookies has; 600 is safer",
        )
    elif age <= RENEWED_BEFORE:
        yield note(
            "proof",
            f"good for {duration(age)}: browsers renew before every request then; more than "
            f"{RENEWED_BEFORE} seconds spares that",
        )
    else:
        yield good("proof", f"good for {duration(age)}")
    yield note(
        "https",
        "can't be seen from here: browsers bind over https only, with a certificate that they "
        "trust, and a proxy has to pass on their Host header",
    )
    if settings.on_unreachable == "accept":
        yield note(
            "unproven",
            "on_unreachable is 'accept': while the list does not answer, a copy of the session's "
            "cookie alone is served; 'refuse' is safer",
        )


def check_able(revocations: RevocationList) -> Finding:
    """Whether a list can keep the key that a session is bound to."""
    if "value" in inspect.signature(revocations.compare_and_raise).parameters:
        return good("device key", "the list can keep which key a session is bound to")
    return bad(
        "device key",
        f"compare_and_raise() of {type(revocations).__name__} takes no `value`, so no session can "
        "be bound: docs/lists-own.md says what a list promises",
    )


def inspect_device(settings: SessionSettings, text: str, *, as_json: bool) -> int | None:
    """Say what a device key, a proof or a challenge is; None where the text is none of these.

    Args:
        text: the cookie's value, with or without its name.
    """
    name = re.escape(settings.cookie_name) + "-(key|proof)-[A-Za-z0-9_-]{8}="
    text = re.sub("^" + name, "", text)
    seals = Seals(settings)
    for purpose in WORDS:
        sealed = seals.open(purpose, text, 0)
        if sealed is not None:
            break
    else:
        return None
    end = sealed.end_ms / 1000
    facts: dict[str, Any] = {
        "accepted": time.time() < end,
        "kind": purpose,
        "session_id": id_to_text(sealed.session_id),
        "binding": binding_text(sealed.binding),
        "issued": moment(issued_at(text)),
        "ends": moment(end),
    }
    if as_json:
        say_json(facts)
    else:
        state = "not past its end" if facts["accepted"] else "past its end"
        say(f"No token, but {WORDS[purpose]} of a device, {state}; the list was not asked")
        table([(name, facts[name]) for name in ("session_id", "binding", "issued", "ends")])
    return GOOD if facts["accepted"] else FOUND
