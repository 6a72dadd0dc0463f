"""Channels: a websocket's consumer reads the session of the browser that opened it."""

from __future__ import annotations

from typing import Any

import uvicorn

from . import common, on_django

on_django.configure(apps=("channels",))

from channels.auth import AuthMiddlewareStack  # noqa: E402  # need the settings
from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.contrib.auth import views  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import path  # noqa: E402


class Consumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept()
        user, session = self.scope["user"], self.scope["session"]
        value = await session.aget("value")
        await self.send_json({"user": user.get_username() or None, "value": value})


def application() -> Any:
    sockets = AuthMiddlewareStack(URLRouter([path("socket", Consumer.as_asgi())]))
    return ProtocolTypeRouter({"http": get_asgi_application(), "websocket": sockets})


if __name__ == "__main__":
    on_django.prepare(
        path("login", views.LoginView.as_view(template_name="login.html")),
        path("logout", views.LogoutView.as_view(next_page="/show")),
    )
    uvicorn.run(application(), port=common.PORT, log_level="warning")
