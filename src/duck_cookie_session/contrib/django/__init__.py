"""Session engine and middleware for Django.

    SESSION_ENGINE = "duck_cookie_session.contrib.django"
    SESSION_DIR = BASE_DIR / "sessions"
    MIDDLEWARE = [..., "duck_cookie_session.contrib.django.SessionMiddleware", ...]

Django's own SessionMiddleware works too; this one adds: 503 where the list is unreachable, the
response whole where a session can't be saved, re-issue past half-life or under an old secret, and
`Cache-Control: no-store`. Django's names count (`SESSION_COOKIE_*`, `SECRET_KEY`,
`SECRET_KEY_FALLBACKS`); the revocation list is the class that `SESSION_STORAGE` names, an
SQLiteRevocationList by default; every other field of SessionSettings is `SESSION_` and its name
in capitals. The subject is the id of the user whom `login()` wrote into the session.
`SESSION_SERIALIZER` is not used. `manage.py clearsessions` purges the list.
"""

from ._connector import get_connector as get_connector
from ._middleware import SessionMiddleware as SessionMiddleware
from ._store import SessionStore as SessionStore
