"""The addresses of the demo."""

from __future__ import annotations

from typing import Any

from duck.urls import path

from . import views

urlpatterns: list[Any] = [
    path("/", views.home, methods=["GET"]),
    path("/state", views.state, methods=["GET"]),
    path("/presented", views.presented, methods=["GET"]),
    path("/cart", views.add, methods=["POST"]),
    path("/login", views.log_in, methods=["POST"]),
    path("/logout", views.log_out, methods=["POST"]),
    path("/copy", views.copy, methods=["POST"]),
    path("/style.css", views.style, methods=["GET"]),
    path("/icon.svg", views.icon, methods=["GET"]),
]
