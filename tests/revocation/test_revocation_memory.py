"""What only the memory list does."""

from __future__ import annotations

import os

import pytest

from duck_cookie_session.revocation.memory import MemoryRevocationList


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_refuses_the_sessions_of_its_parent(app, clock):
    the_list = MemoryRevocationList(clock=clock)
    the_list.bind(app.settings)
    ended = app.session()
    the_list.end(ended)
    before = the_list.lookup((app.everything, ended))
    child = os.fork()
    if child == 0:
        everything, epoch = the_list.lookup((app.everything, ended))
        os._exit(0 if everything > before[0] and epoch == 0 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert the_list.lookup((app.everything, ended)) == before
