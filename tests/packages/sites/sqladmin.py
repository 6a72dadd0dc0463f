"""sqladmin behind the application's session middleware, its own taken out."""

from __future__ import annotations

from sqladmin import Admin, ModelView
from sqladmin.authentication import AuthenticationBackend
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request

from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

from . import common, on_asgi


class Base(DeclarativeBase):
    pass


class Duck(Base):
    __tablename__ = "duck"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class DuckAdmin(ModelView, model=Duck):
    column_list = ("id", "name")


class Backend(AuthenticationBackend):
    def __init__(self) -> None:
        self.middlewares = []  # the session middleware is the application's

    async def login(self, request: Request) -> bool:
        form = await request.form()
        if form["password"] != common.PASSWORD:
            return False
        request.session["user"] = form["username"]
        return True

    async def logout(self, request: Request) -> bool:
        request.session.clear()
        return True

    async def authenticate(self, request: Request) -> bool:
        return "user" in request.session


app = Starlette(
    debug=common.DEBUG,
    routes=on_asgi.routes(lambda request: request.session.get("user")),
    middleware=[Middleware(CookieSessionMiddleware, connector=common.connector())],
)
engine = create_engine("sqlite:///ducks.sqlite3")
Base.metadata.create_all(engine)
Admin(app, engine, authentication_backend=Backend(), debug=common.DEBUG).add_view(DuckAdmin)

if __name__ == "__main__":
    on_asgi.serve(app)
