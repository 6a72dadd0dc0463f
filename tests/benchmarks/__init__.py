"""Benchmarks: this library beside other cookie sessions, in one run on one machine."""

import logging

# New lists and mutilated cookies are part of every proof: what is logged of them is no news here.
logging.getLogger().addHandler(logging.NullHandler())
