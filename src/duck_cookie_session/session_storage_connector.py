"""Duck's session storage connector: the names that its engine is asked for."""

from .errors import NonPersistentStorageError as NonPersistentStorageError
from .session.connector import DUCK_SUBJECT_KEY as DUCK_SUBJECT_KEY
from .session.connector import SessionStorageConnector as SessionStorageConnector
from .session.connector import StorageClass as StorageClass
from .session.connector import configure as configure
from .session.connector import duck_settings as duck_settings
from .session.connector import get_session_storage_connector as get_session_storage_connector
from .session.connector import globals as globals
from .session.connector import import_storage as import_storage
