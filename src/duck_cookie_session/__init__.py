"""Encrypted sessions that live in the cookie and can be revoked."""

from .errors import InvalidArgument as InvalidArgument
from .errors import InvalidSettings as InvalidSettings
from .errors import NonPersistentStorageError as NonPersistentStorageError
from .errors import RevocationListUnavailable as RevocationListUnavailable
from .errors import SessionError as SessionError
from .errors import SessionExpired as SessionExpired
from .errors import SessionRevoked as SessionRevoked
from .errors import SessionSerializationError as SessionSerializationError
from .errors import SessionTooLarge as SessionTooLarge
from .response import asession_headers as asession_headers
from .response import find_cookie as find_cookie
from .response import session_headers as session_headers
from .revocation.base import RevocationList as RevocationList
from .revocation.memory import MemoryRevocationList as MemoryRevocationList
from .revocation.sqlite import SQLiteRevocationList as SQLiteRevocationList
from .session.connector import SessionStorageConnector as SessionStorageConnector
from .session.events import EventKind as EventKind
from .session.events import SessionEvent as SessionEvent
from .session.process import configure as configure
from .session.process import get_session_storage_connector as get_session_storage_connector
from .session.store import SessionStore as SessionStore
from .settings import SessionSettings as SessionSettings
