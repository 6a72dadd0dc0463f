"""Work that goes on to its end, whatever is cancelled around it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from typing import Any

from ._log import logger

LOST = "A revocation failed while its request was cancelled: %s"


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await work that goes on though this task is cancelled; the cancellation is raised then.

    Raises:
        Exception: what the work raises; where this task was cancelled, that is logged.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    # anyio's scopes cancel a task over and over, asyncio does it once.
    anyio: Any = sys.modules.get("anyio")
    with anyio.CancelScope(shield=True) if anyio is not None else contextlib.nullcontext():
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is None:
        task.result()
        return
    failure = None if task.cancelled() else task.exception()
    if failure is not None:
        logger.error(LOST, failure)
    raise cancelled
