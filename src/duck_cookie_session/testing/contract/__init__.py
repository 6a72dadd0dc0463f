"""What every revocation list promises, as tests: for whoever writes another one. Needs pytest.

A list passes by a subclass that says how it is opened:

    class TestMyList(RevocationListContract):
        @pytest.fixture(autouse=True)
        def prepare(self, tmp_path):
            self.path = tmp_path / "list"

        def opener(self):
            return functools.partial(MyList, self.path)

Each test is an application of its own in the list, so a server may serve all of them.
"""

import pytest

# Before they are imported, so that a failure shows what the list said.
pytest.register_assert_rewrite(*(f"{__name__}._{part}" for part in ("calls", "history", "many")))

from ._contract import RevocationListContract as RevocationListContract  # noqa: E402  # see above
from ._parts import RETENTION as RETENTION  # noqa: E402
from ._parts import Application as Application  # noqa: E402
