"""A list's own history, for whoever writes another list: the rules of `base` as plain functions.

`Kept` is what a list keeps of one application beside its entries. `Kept.needed` begins it,
`Kept.standing` answers a lookup from it, `History.raised` gives the next number, and `proves` says
whether a token proves that the list forgot. docs/lists-own.md writes a list with them.
"""

from __future__ import annotations

from ._history import ABSENT as ABSENT
from ._history import Entry as Entry
from ._history import History as History
from ._history import Kept as Kept
from ._history import checkpoint_scope as checkpoint_scope
from ._history import proves as proves
from ._history import warn_made_anew as warn_made_anew
