"""Django REST framework with its SessionAuthentication and the login of its browsable pages."""

from __future__ import annotations

from typing import Any

from . import on_django

on_django.configure(
    apps=("rest_framework",),
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]
    },
    LOGOUT_REDIRECT_URL="/show",
)

from django.urls import include, path  # noqa: E402  # needs the settings
from rest_framework.decorators import api_view, permission_classes  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view(["GET", "POST"])
@permission_classes([IsAuthenticated])
def api(request: Any) -> Response:
    if request.method == "POST":
        request.session["value"] = request.data["value"]
    return Response({"user": str(request.user), "value": request.session.get("value")})


if __name__ == "__main__":
    on_django.serve(path("api", api), path("", include("rest_framework.urls")))
