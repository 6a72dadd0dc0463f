"""What a Starlette application needs to have the views that every site has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from . import common


def routes(who: Callable[[Request], Any]) -> list[Route]:
    """/show, /store/... and /fail/...; `who` says who is logged in."""

    async def view(request: Request) -> Response:
        said = common.visit(request.session, request.url.path, who(request))
        return PlainTextResponse(said) if isinstance(said, str) else JSONResponse(said)

    return [Route(path, view) for path in ("/show", "/store/{value}", "/fail/{value}")]


def serve(app: Any) -> None:
    """Until the process is ended."""
    uvicorn.run(app, port=common.PORT, log_level="warning")
