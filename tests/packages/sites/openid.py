"""The receiver of back-channel logout, as the page of OpenID Connect shows it."""

import os

import httpx

from duck_cookie_session import get_session_storage_connector
from duck_cookie_session.contrib.oidc import LogoutReceiver

ISSUER = os.environ["OIDC_ISSUER"]
CLIENT_ID = os.environ["OIDC_CLIENT_ID"]


def ask(address):
    return httpx.get(address, timeout=5).raise_for_status().json()


def keys():
    return ask(ask(f"{ISSUER}/.well-known/openid-configuration")["jwks_uri"])


logout = LogoutReceiver(ISSUER, CLIENT_ID, keys, get_session_storage_connector())
