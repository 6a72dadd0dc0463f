"""For other people's tests. What needs pytest is imported by its own name: `contract`, `fixtures`.

A helper opens and seals with the secret of the connector that it is given, and with no other.
"""

from ._clock import Clock as Clock
from ._cookies import read_session as read_session
from ._cookies import session_cookie as session_cookie
from ._cookies import session_token as session_token
from ._memory import MemoryListForTests as MemoryListForTests
