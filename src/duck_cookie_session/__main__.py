"""`python -m duck_cookie_session`."""

import sys

from .cli import main

sys.exit(main())
