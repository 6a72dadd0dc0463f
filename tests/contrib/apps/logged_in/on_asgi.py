"""An application around docs/logged-in.md's views for Starlette."""

import os

from logins import Base, end_one, end_others, engine, log_out, note, where_logged_in
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from duck_cookie_session import SessionSettings
from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

templates = Jinja2Templates("templates")


async def note_login(request, call_next):
    response = await call_next(request)
    browser = request.headers.get("user-agent", "")
    await run_in_threadpool(note, request.session, browser)
    return response


def sessions(request):  # not async: Starlette runs these in threads
    found = {"logins": where_logged_in(request.session), "here": request.session.session_id}
    return templates.TemplateResponse(request, "sessions.html", found)


def end_session(request):
    end_one(request.session, request.path_params["session_id"])
    return RedirectResponse("/sessions", 303)


def end_other_sessions(request):
    end_others(request.session)
    return RedirectResponse("/sessions", 303)


def logout(request):
    log_out(request.session)
    return RedirectResponse("/", 303)


routes = [
    Route("/sessions", sessions),
    Route("/sessions/end-others", end_other_sessions, methods=["POST"]),
    Route("/sessions/{session_id}/end", end_session, methods=["POST"]),
    Route("/logout", logout, methods=["POST"]),
]
middleware = [Middleware(BaseHTTPMiddleware, dispatch=note_login)]


# What every application has.


def login(request):
    request.session["user"] = request.path_params["user"]
    return PlainTextResponse("")


def home(request):
    return PlainTextResponse(request.session.get("user", "nobody"))


def again(request):
    request.session.reauthenticated()
    return PlainTextResponse("")


routes += [
    Route("/login/{user}", login, methods=["POST"]),
    Route("/", home),
    Route("/again", again, methods=["POST"]),
]
settings = SessionSettings(
    secret_keys=os.environ["SECRET_KEY"], session_dir="sessions", subject_key="user"
)
Base.metadata.create_all(engine)
app = CookieSessionMiddleware(Starlette(routes=routes, middleware=middleware), settings=settings)
