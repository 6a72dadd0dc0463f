"""Run Django's own session tests over this library's engine.

    python -m tests.contrib.own.django_suite FOLDER [tz]

FOLDER is Django's unpacked source distribution of the version that is installed; tz sets
USE_TZ. Run are every test of `SessionTestsMixin`, and the tests of Django's session middleware,
once with Django's own middleware over our engine and once with ours.
"""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.test.utils import get_runner


def main(source: Path, *, use_tz: bool) -> int:
    """Number of failures."""
    sys.path.insert(0, str(source / "tests"))
    settings.configure(
        SECRET_KEY="k" * 50,
        SESSION_ENGINE="duck_cookie_session.contrib.django",
        SESSION_DIR=tempfile.mkdtemp(prefix="django-own-"),
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions", "sessions_tests"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=use_tz,
    )
    django.setup()
    from sessions_tests import tests as own

    from duck_cookie_session.contrib import django as ours

    class EngineTests(own.SessionTestsMixin, own.SimpleTestCase):
        backend = ours.SessionStore

    class OwnMiddlewareTests(own.SessionMiddlewareTests):
        # It looks for the session's row in Django's table: where a session is kept, not behaviour.
        test_empty_session_saved = None

    class OurMiddleware(ours.SessionMiddleware):
        """Ours reads the header; Django's tests put what is in it into `request.COOKIES`."""

        def process_request(self, request: Any) -> None:
            cookies = (f"{name}={value}" for name, value in request.COOKIES.items())
            request.META["HTTP_COOKIE"] = "; ".join(cookies)
            super().process_request(request)

    class OurMiddlewareTests(OwnMiddlewareTests):
        # They flush a session whose cookie is "abc". Only the logout of a live session deletes a
        # cookie here, so that nobody can be made to lose another's.
        test_session_delete_on_end = None
        test_session_delete_on_end_with_custom_domain_and_path = None

        def setUp(self) -> None:
            replaced = own.SessionMiddleware
            own.SessionMiddleware = OurMiddleware
            self.addCleanup(setattr, own, "SessionMiddleware", replaced)

    loader = unittest.defaultTestLoader
    runner = get_runner(settings)(verbosity=1)
    runner.setup_test_environment()
    suite = unittest.TestSuite(
        loader.loadTestsFromTestCase(case)
        for case in (EngineTests, OwnMiddlewareTests, OurMiddlewareTests)
    )
    databases = runner.setup_databases()
    result = runner.run_suite(suite)
    runner.teardown_databases(databases)
    print(f"Django {django.__version__}, USE_TZ={use_tz}: {result.testsRun} run")
    return len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]), use_tz="tz" in sys.argv[2:])))
