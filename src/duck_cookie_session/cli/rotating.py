"""rotate: the three changes of settings that replace a secret with nobody logged out."""

from __future__ import annotations

import argparse
import json
import math
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from ..settings import SessionSettings
from .output import GOOD, UsageError, duration, moment, say, say_json
from .sources import SECRETS, find
from .tokens import SECRET_BYTES


def rotate(arguments: argparse.Namespace) -> int:
    """Print the settings for stage, promote and retire, and from when each is safe."""
    settings = find(arguments).settings
    promoted = _promoted(arguments.promoted)
    new = secrets.token_urlsafe(SECRET_BYTES)
    steps = plan(settings, promoted)
    if arguments.json:
        say_json({"new_secret": new, "steps": steps})
        return GOOD
    say("The present secrets are not printed: <secret 1> stands for the first of them, and so on.")
    for number, step in enumerate(steps, 1):
        say(f"\n{number}. {step['step']}: {step['why']}")
        values = (json.dumps(new) if name == "new" else f"<{name}>" for name in step["secret_keys"])
        say(f"   {SECRETS} = [{', '.join(values)}]")
        say(f"   Safe {step['safe']}.")
    return GOOD


def _promoted(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"--promoted {text!r} is not a time such as 2026-11-22 or 2026-11-22T14:30 (UTC)."
        ) from None


def plan(settings: SessionSettings, promoted: float) -> list[dict[str, Any]]:
    """The steps: each with its secrets by name, why it is taken, and from when it is safe.

    Args:
        promoted: when the last node was promoted, seconds since 1970.
    """
    present = [f"secret {number}" for number in range(1, len(settings.secret_keys) + 1)]
    age = min(settings.cookie_age, settings.absolute_age)
    usual = moment(math.ceil(promoted + age + settings.clock_skew))
    latest = moment(math.ceil(promoted + settings.absolute_age + settings.clock_skew))
    return [
        {
            "step": "stage",
            "why": "every node learns to read the new secret.",
            "secret_keys": [*present, "new"],
            "safe": "at once; restart the nodes one at a time",
            "safe_after": None,
        },
        {
            "step": "promote",
            "why": "the new secret seals, the others still open.",
            "secret_keys": ["new", *present],
            "safe": "once every node runs with step 1",
            "safe_after": None,
        },
        {
            "step": "retire",
            "why": "the old secrets open nothing any more.",
            "secret_keys": ["new"],
            "safe": (
                f"from {usual} if the last node was promoted at {moment(promoted)}: "
                f"{duration(age)} (cookie_age) later. From {latest} where set_expiry() "
                "gives longer lifetimes than that (absolute_age)"
            ),
            "safe_after": usual,
            "safe_after_with_longer_expiries": latest,
        },
    ]
