"""Steps: what has to ask the revocation list, written once for plain and for awaited calls.

Steps are a generator that yields its questions and is sent the answers. `run` drives it with plain
calls, `arun` with awaited ones.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from ..errors import RevocationListUnavailable
from ..revocation.base import RevocationList

Result = TypeVar("Result")
Ask = tuple[str, tuple[Any, ...], dict[str, Any]]
Steps = Generator[Ask, Any, Result]


def ask(method: str, *args: Any, **options: Any) -> Ask:
    """A question to the revocation list: the name of its method, and what it is given."""
    return method, args, options


def run(revocations: RevocationList, steps: Steps[Result]) -> Result:
    """Carry out steps with plain calls."""
    try:
        method, args, options = next(steps)
        while True:
            try:
                answer = getattr(revocations, method)(*args, **options)
            except RevocationListUnavailable as error:
                method, args, options = steps.throw(error)
            else:
                method, args, options = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result


async def arun(revocations: RevocationList, steps: Steps[Result]) -> Result:
    """Carry out steps with awaited calls; nothing waits for the network in between."""
    try:
        method, args, options = next(steps)
        while True:
            try:
                answer = await getattr(revocations, "a" + method)(*args, **options)
            except RevocationListUnavailable as error:
                method, args, options = steps.throw(error)
            else:
                method, args, options = steps.send(answer)
    except StopIteration as done:
        result: Result = done.value
        return result
