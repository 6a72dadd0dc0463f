"""Logout at an identity provider: Django with Authlib."""

from __future__ import annotations

from . import on_django

on_django.configure(
    apps=("duck_cookie_session.contrib.django",),
    SESSION_GROUP_KEYS=("oidc_sid", "oidc_sub"),
)

from authlib.integrations.django_client import OAuth  # noqa: E402  # needs the settings
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth import login as django_login  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import redirect  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402

from .openid import logout  # noqa: E402
from .openid_client import registered  # noqa: E402

oauth = registered(OAuth())


def login(request):
    return oauth.provider.authorize_redirect(request, request.build_absolute_uri("/callback"))


def callback(request):
    token = oauth.provider.authorize_access_token(request)
    user, _ = get_user_model().objects.get_or_create(username=token["userinfo"]["sub"])
    django_login(request, user, "django.contrib.auth.backends.ModelBackend")
    logout.remember(request.session, token["userinfo"])
    return redirect("/")


@csrf_exempt
@require_POST
def backchannel(request):
    answer = logout.receive(request.body, request.headers.get("Content-Type"))
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


if __name__ == "__main__":
    on_django.serve(
        path("", lambda request: redirect("/show")),
        path("login", login),
        path("callback", callback),
        path("backchannel-logout", backchannel),
    )
