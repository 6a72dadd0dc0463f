"""What uvicorn serves in the macro section; `BENCHMARK_SESSION` says with which session."""

from __future__ import annotations

import os

from starlette.middleware.sessions import SessionMiddleware

from tests.benchmarks import ours
from tests.benchmarks.asgi_apps import starlette_endpoint
from tests.benchmarks.data import SECRET

_kind = os.environ["BENCHMARK_SESSION"]
app = starlette_endpoint(None)
if _kind == "starlette":
    app = SessionMiddleware(app, SECRET)
elif _kind != "none":
    app = ours.asgi_middleware(app, ours.Node(_kind).own)
