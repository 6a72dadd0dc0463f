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

from __future__ import annotations

from typing import Any

import pytest

# Before they are imported, so that a failure shows what the list said.
pytest.register_assert_rewrite(*(f"{__name__}._{part}" for part in ("calls", "history", "many")))

from ._calls import Calls  # noqa: E402  # see above
from ._history import History  # noqa: E402
from ._many import Many  # noqa: E402
from ._parts import RETENTION as RETENTION  # noqa: E402
from ._parts import Application as Application  # noqa: E402
from ._parts import Part  # noqa: E402


class RevocationListContract(Calls, History, Many):
    """Tests of one list; subclass it, name the subclass `Test...`, and write `opener`.

    Attributes:
        persistent: False for a list that ends with its process; the tests that need another
            process are then left out.
        settings: of the applications, where they have to differ from the contract's own.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Leave out the tests that need what this list does not have."""
        super().__init_subclass__(**keywords)
        has = {
            "processes": cls.persistent,
            "clock": cls.move_clock is not Part.move_clock,
            "outage": cls.cut_off is not Part.cut_off,
        }
        for name in dir(RevocationListContract):
            what = getattr(getattr(RevocationListContract, name), "_needs", None)
            if what is not None and not has[what]:
                setattr(cls, name, None)
