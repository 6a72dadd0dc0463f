"""Headless Chromium: the one of the system, driven by Playwright."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)


def missing() -> str | None:
    """Why there is no browser to test with, or None."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed (pip install playwright)"
    if path() is None:
        return f"no Chromium on PATH ({', '.join(NAMES)})"
    return None


def path() -> str | None:
    """The program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def playwright() -> Iterator[Playwright]:
    """The driver. Its event loop counts as running in this thread until it is left."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        yield driver


@contextlib.contextmanager
def browser(
    driver: Playwright, folder: str | None = None, flags: Sequence[str] = (), **options: Any
) -> Iterator[Any]:
    """A browser with cookies of its own, closed at the end.

    Args:
        folder: where it keeps them, for a browser that is closed and opened again; None for a
            new and empty folder.
        flags: more of them.
        options: as Playwright's `launch_persistent_context` takes them.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # it is still writing
            )
        context = driver.chromium.launch_persistent_context(
            folder, executable_path=path(), headless=True, args=[*FLAGS, *flags], **options
        )
        try:
            yield context
        finally:
            context.close()
