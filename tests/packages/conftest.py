"""The sites of the packages, each run for the tests of its class, in both modes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.packages.story import Site, Story, serving


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an OpenID provider."""
    with serving("provider", tmp_path_factory.mktemp("provider")) as site:
        yield site.ready().url


@pytest.fixture(scope="class")
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Site]]:
    """The site of a class as in production, and in debug mode; they start side by side."""
    story: type[Story] = request.cls
    folder = request.getfixturevalue("tmp_path_factory").mktemp(story.SITE)
    needs = {
        "redis": request.getfixturevalue("one_redis").url if story.REDIS else "",
        "provider": request.getfixturevalue("provider") if story.PROVIDER else "",
    }
    with (
        serving(story.SITE, folder / "production", **needs) as production,
        serving(story.SITE, folder / "debug", debug=True, **needs) as debug,
    ):
        yield production.ready(), debug.ready()


@pytest.fixture(scope="class")
def site(both: tuple[Site, Site]) -> Site:
    """The site as in production."""
    return both[0]


@pytest.fixture(scope="class")
def debug_site(both: tuple[Site, Site]) -> Site:
    """The same in debug mode."""
    return both[1]
