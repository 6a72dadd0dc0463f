"""The parts of the contract put together."""

from __future__ import annotations

from typing import Any

from ._calls import Calls
from ._history import History
from ._many import Many
from ._parts import Part


class RevocationListContract(Many, History, Calls):  # the last of them is collected first
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
