"""What a revocation list is built from: a class or callable that an application names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable

from ..errors import InvalidSettings, NonPersistentStorageError
from ..revocation.base import RevocationList
from ..settings import SessionSettings
from .duck import STORAGE_HELP

StorageClass = Callable[..., RevocationList]


def check_storage(storage: object, settings: SessionSettings) -> None:
    """Refuse what can't give a revocation list, as far as that shows before it is called.

    Raises:
        InvalidSettings: says what to put there.
    """
    if not callable(storage):
        raise InvalidSettings(
            f"The session storage is of type {type(storage).__name__}, not a class or callable "
            f"that gives a revocation list. {STORAGE_HELP}"
        )
    if isinstance(storage, type) and not issubclass(storage, RevocationList):
        raise InvalidSettings(
            f"The session storage {storage.__module__}.{storage.__qualname__} is not a revocation "
            f"list: it may evict and can't raise an epoch atomically. {STORAGE_HELP}"
        )
    if _needs_argument(storage) and settings.session_dir is None:
        raise InvalidSettings(
            "The revocation list needs a folder and session_dir (SESSION_DIR) is not set; "
            "set it to a folder that every process of this machine can write to."
        )


def build_list(storage: StorageClass, settings: SessionSettings) -> RevocationList:
    """Call it, with `session_dir` if it needs an argument.

    Raises:
        InvalidSettings: what it gives is not a revocation list, or there is no folder.
    """
    check_storage(storage, settings)
    made: object = storage(settings.session_dir) if _needs_argument(storage) else storage()
    if not isinstance(made, RevocationList):
        raise InvalidSettings(
            f"The session storage gave a value of type {type(made).__name__}, not a revocation "
            f"list. {STORAGE_HELP}"
        )
    return made


def _needs_argument(storage: StorageClass) -> bool:
    try:
        inspect.signature(storage).bind()
    except TypeError:
        return True
    return False


def refuse_second(revocations: RevocationList, others: Iterable[RevocationList]) -> None:
    """Raise NonPersistentStorageError for a list that another open one would know nothing of."""
    if _ends_with_process(revocations) and any(
        _ends_with_process(other) for other in others if other is not revocations
    ):
        raise NonPersistentStorageError


def _ends_with_process(revocations: RevocationList) -> bool:
    return revocations.one_per_process and not revocations.persistent
