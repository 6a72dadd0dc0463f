"""django-otp, which notes in the session by which device a login was confirmed."""

from __future__ import annotations

from . import on_django

on_django.configure(
    apps=("django_otp", "django_otp.plugins.otp_static"),
    middleware=("django_otp.middleware.OTPMiddleware",),
)

from django.contrib.auth import get_user_model, views  # noqa: E402  # need the settings
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django_otp.decorators import otp_required  # noqa: E402
from django_otp.forms import OTPAuthenticationForm  # noqa: E402

if __name__ == "__main__":
    form = {"authentication_form": OTPAuthenticationForm, "template_name": "login.html"}
    on_django.prepare(
        path("login", views.LoginView.as_view(**form)),
        path("logout", views.LogoutView.as_view(next_page="/show")),
        path("guarded", otp_required(lambda request: HttpResponse("guarded"), login_url="/login")),
    )
    alice = get_user_model().objects.get(username="alice")
    device = alice.staticdevice_set.create(name="codes")
    for _ in range(20):
        device.token_set.create(token="a code")  # each counts once
    on_django.run()
