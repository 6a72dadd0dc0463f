"""The one logger of the library."""

import logging

logger: logging.Logger = logging.getLogger("duck_cookie_session")
