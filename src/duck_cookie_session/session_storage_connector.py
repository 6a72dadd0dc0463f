"""Duck's session storage connector: the names that its engine is asked for."""

from .errors import NonPersistentStorageError as NonPersistentStorageError
from .session.connector import SessionStorageConnector as SessionStorageConnector
from .session.duck import DUCK_SUBJECT_KEY as DUCK_SUBJECT_KEY
from .session.duck import duck_settings as duck_settings
from .session.duck import import_storage as import_storage
from .session.process import configure as configure
from .session.process import get_session_storage_connector as get_session_storage_connector
from .session.process import globals as globals
from .session.storage import StorageClass as StorageClass
