"""The sites of the packages, each run for the tests of its class, in both modes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packages.story import Site, Story, serving


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an OpenID provider."""
    with serving("provider", tmp_path_factory.mktemp("provider")) as site:
        yield site.url


def _site(request: pytest.FixtureRequest, *, debug: bool) -> Iterator[Site]:
    story: type[Story] = request.cls
    folder = request.getfixturevalue("tmp_path_factory").mktemp(story.SITE)
    redis = request.getfixturevalue("one_redis").url if story.REDIS else ""
    provider = request.getfixturevalue("provider") if story.PROVIDER else ""
    with serving(story.SITE, folder, debug=debug, redis=redis, provider=provider) as site:
        yield site


@pytest.fixture(scope="class")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The site as in production."""
    yield from _site(request, debug=False)


@pytest.fixture(scope="class")
def debug_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """The same in debug mode."""
    yield from _site(request, debug=True)
