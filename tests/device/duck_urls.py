"""The URLs of `tests/device/duck_project.py`."""

from __future__ import annotations

from typing import Any

from duck.http.response import HttpResponse
from duck.urls import path

from tests.device.sites import view


def everything(request: Any, given: str = "") -> Any:
    status, body, headers = view(request.SESSION, request.path)
    return HttpResponse(body, status_code=status, headers=headers)


PATHS = ["/", "/write", "/form", "/logout", "/cycle", "/cycle-twice", "/exists"]
GIVEN = ["/login/<given>", "/signin/<given>", "/send/<given>"]
urlpatterns = [path(name, everything, name=name) for name in [*PATHS, *GIVEN]]
