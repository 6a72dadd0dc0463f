"""social-auth-app-django, which keeps state and nonce in the session, by OpenID Connect."""

from __future__ import annotations

from . import common, on_django

on_django.configure(
    apps=("social_django",),
    middleware=("social_django.middleware.SocialAuthExceptionMiddleware",),
    AUTHENTICATION_BACKENDS=[
        "social_core.backends.open_id_connect.OpenIdConnectAuth",
        on_django.BACKEND,
    ],
    SOCIAL_AUTH_OIDC_OIDC_ENDPOINT=common.PROVIDER,
    SOCIAL_AUTH_OIDC_KEY="site",
    SOCIAL_AUTH_OIDC_SECRET="of the client",
    SOCIAL_AUTH_OIDC_USE_PKCE=True,
    SOCIAL_AUTH_URL_NAMESPACE="social",
)

from django.contrib.auth import views  # noqa: E402  # needs the settings
from django.urls import include, path  # noqa: E402

if __name__ == "__main__":
    on_django.serve(
        path("login", views.LoginView.as_view(template_name="login.html")),
        path("logout", views.LogoutView.as_view(next_page="/show")),
        path("", include("social_django.urls", namespace="social")),
    )
