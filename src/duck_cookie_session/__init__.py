"""Encrypted sessions that live in the cookie and can be revoked."""

from .cookie import asession_headers as asession_headers
from .cookie import session_headers as session_headers
from .engine import SessionStore as SessionStore
from .errors import InvalidArgument as InvalidArgument
from .errors import InvalidSettings as InvalidSettings
from .errors import NonPersistentStorageError as NonPersistentStorageError
from .errors import RevocationListUnavailable as RevocationListUnavailable
from .errors import SessionError as SessionError
from .errors import SessionExpired as SessionExpired
from .errors import SessionRevoked as SessionRevoked
from .errors import SessionSerializationError as SessionSerializationError
from .errors import SessionTooLarge as SessionTooLarge
from .revocation.base import RevocationList as RevocationList
from .revocation.memory import MemoryRevocationList as MemoryRevocationList
from .revocation.sqlite import SQLiteRevocationList as SQLiteRevocationList
from .session_storage_connector import SessionStorageConnector as SessionStorageConnector
from .session_storage_connector import configure as configure
from .session_storage_connector import (
    get_session_storage_connector as get_session_storage_connector,
)
from .settings import SessionSettings as SessionSettings
