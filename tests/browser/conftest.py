"""One browser a module; each test starts without cookies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from duck_cookie_session.demo import nodes
from tests.helpers.tls import Certificate

from .chromium import browser, missing, playwright


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if why is not None:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def demo() -> Iterator[nodes.Nodes]:
    with nodes.started() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificate") / "certificate.pem"
    return Certificate(path, names=["localhost"]).path


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """For one module and no longer: tests of other modules run event loops of their own."""
    with playwright() as started:
        yield started


@pytest.fixture(scope="module")
def one_browser(driver: Any) -> Iterator[Any]:
    with browser(driver, ignore_https_errors=True) as context:
        yield context


@pytest.fixture
def context(one_browser: Any) -> Iterator[Any]:
    yield one_browser
    for page in one_browser.pages[1:]:  # without any the browser would end
        page.close()
    one_browser.clear_cookies()
