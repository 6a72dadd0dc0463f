"""An identity provider in Python: its keys, and the logout tokens that it signs."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from duck_cookie_session.contrib._logout_token import EVENT, FORM

ISSUER = "https://id.example"
CLIENT = "shop"
GROUP_KEYS = ("oidc_sid", "oidc_sub")


@functools.cache
def rsa(name: str, bits: int = 2048) -> RSAKey:
    """An RSA key of this `kid`; making one takes a while."""
    return RSAKey.generate_key(bits, {"kid": name})


@functools.cache
def ec(name: str, curve: str = "P-256") -> ECKey:
    """A key of this `kid` on a curve."""
    return ECKey.generate_key(curve, {"kid": name})


class IdentityProvider:
    """Signs with its first key and publishes all of them; counts how often it was asked for them.

    Args:
        now: seconds since 1970.
    """

    def __init__(self, now: Callable[[], float], issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.keys: list[RSAKey | ECKey] = [ec("one")]
        self.asked = 0
        self.down = False
        self._now = now
        self._numbers = itertools.count()

    @property
    def jwks(self) -> dict[str, Any]:
        """What stands under its `jwks_uri`."""
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def fetch(self) -> dict[str, Any]:
        """The same, asked for over the network."""
        self.asked += 1
        if self.down:
            raise OSError("The provider of this test is switched off.")
        return self.jwks

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Those of a logout token for a `sid` or a `sub`; None takes one out."""
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": int(self._now()),
            "exp": int(self._now()) + 120,
            "jti": f"{id(self)}-{next(self._numbers)}",
            "events": {EVENT: {}},
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """A logout token, as a good provider signs it but for what is said."""
        key = key or self.keys[0]
        kind = "RS256" if isinstance(key, RSAKey) else "ES256"
        given = {"alg": kind, "kid": key.kid, "typ": "logout+jwt", **(header or {})}
        head = {name: value for name, value in given.items() if value is not None}
        payload = json.dumps(self.claims(**claims))
        registry = jws.JWSRegistry(algorithms=[head["alg"]], strict_check_header=False)
        return jws.serialize_compact(head, payload, key, registry=registry)

    def message(self, **claims: Any) -> tuple[bytes, str]:
        """Body and content type of the POST that announces a logout."""
        return form(logout_token=self.token(**claims))

    def id_claims(self, sub: str = "alice", **more: Any) -> dict[str, Any]:
        """The claims of an ID token."""
        return {"iss": self.issuer, "sub": sub, **more}


def form(**fields: str) -> tuple[bytes, str]:
    """Body and content type of a form."""
    return urlencode(fields).encode(), FORM
