"""starlette-admin's login page, and an admin with a CSRF token of its own."""

from __future__ import annotations

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.contrib.sqla import Admin, ModelView
from starlette_admin.exceptions import LoginFailed

from duck_cookie_session.contrib.asgi import CookieSessionMiddleware

from . import common, on_asgi


class Base(DeclarativeBase):
    pass


class Duck(Base):
    __tablename__ = "duck"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Provider(AuthProvider):
    async def login(
        self, username: str, password: str, remember_me: bool, request: Request
    ) -> None:
        if password != common.PASSWORD:
            raise LoginFailed("wrong")
        request.session["user"] = username

    async def authenticate(self, request: Request) -> AdminUser | None:
        return AdminUser(request.session["user"]) if "user" in request.session else None

    async def logout(self, request: Request) -> None:
        request.session.clear()


app = Starlette(
    debug=common.DEBUG,
    routes=on_asgi.routes(lambda request: request.session.get("user")),
    middleware=[Middleware(CookieSessionMiddleware, connector=common.connector())],
)
engine = create_engine("sqlite:///ducks.sqlite3")
Base.metadata.create_all(engine)
admin = Admin(engine, auth_provider=Provider(), secret_key=common.SECRET)
admin.add_view(ModelView(Duck))
admin.mount_to(app)

if __name__ == "__main__":
    on_asgi.serve(app)
