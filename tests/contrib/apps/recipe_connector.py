"""How docs/other.md makes its connector, as it stands there."""

import os

from duck_cookie_session import SessionSettings, SessionStorageConnector, SQLiteRevocationList

settings = SessionSettings(
    secret_keys=(os.environ["SECRET_KEY"],),
    subject_key="user",
    session_dir="sessions",
)
connector = SessionStorageConnector(SQLiteRevocationList, settings=settings)
