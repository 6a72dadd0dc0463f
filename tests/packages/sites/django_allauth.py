"""django-allauth: accounts with a password, and others by OpenID Connect."""

from __future__ import annotations

from . import common, on_django

on_django.configure(
    apps=(
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
    ),
    middleware=("allauth.account.middleware.AccountMiddleware",),
    AUTHENTICATION_BACKENDS=[
        on_django.BACKEND,
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    ACCOUNT_EMAIL_VERIFICATION="none",
    ACCOUNT_LOGOUT_REDIRECT_URL="/show",
    EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend",
    SOCIALACCOUNT_LOGIN_ON_GET=True,
    SOCIALACCOUNT_PROVIDERS={
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "provider",
                    "name": "Provider",
                    "client_id": "site",
                    "secret": "of the client",
                    "settings": {"server_url": common.PROVIDER},
                }
            ],
        }
    },
)

from django.urls import include, path  # noqa: E402  # needs the settings

if __name__ == "__main__":
    on_django.serve(path("accounts/", include("allauth.urls")))
