"""What Authlib's clients are told of the provider."""

from __future__ import annotations

from typing import Any

from .openid import CLIENT_ID, ISSUER


def registered(oauth: Any) -> Any:
    """A registry of Authlib's, for any framework, that knows the provider."""
    oauth.register(
        "provider",
        client_id=CLIENT_ID,
        client_secret="of the client",
        server_metadata_url=f"{ISSUER}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid"},
    )
    return oauth
