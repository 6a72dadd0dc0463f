"""Where the clocks of tests begin."""

from __future__ import annotations

from duck_cookie_session.testing import Clock as Clock

START = Clock().now
DAY = 86_400
