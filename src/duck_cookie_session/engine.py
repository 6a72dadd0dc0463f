"""Duck's session engine: the names that its SESSION_ENGINE is asked for."""

from . import session_storage_connector as session_connector_mod
from .errors import InvalidArgument as InvalidArgument
from .errors import InvalidSettings as InvalidSettings
from .errors import NonPersistentStorageError as NonPersistentStorageError
from .errors import RevocationListUnavailable as RevocationListUnavailable
from .errors import SessionError as SessionError
from .errors import SessionExpired as SessionExpired
from .errors import SessionRevoked as SessionRevoked
from .errors import SessionSerializationError as SessionSerializationError
from .errors import SessionTooLarge as SessionTooLarge
from .session.store import SessionStore as SessionStore

__all__ = [
    "InvalidArgument",
    "InvalidSettings",
    "NonPersistentStorageError",
    "RevocationListUnavailable",
    "SessionError",
    "SessionExpired",
    "SessionRevoked",
    "SessionSerializationError",
    "SessionStore",
    "SessionTooLarge",
    "session_connector_mod",
]
