"""An OpenID provider at which everybody is carol, on this machine's loopback."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlencode

import waitress
from flask import Flask, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey

from . import common

URL = f"http://127.0.0.1:{common.PORT}"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, auto_kid=False)
CAROL = {"sub": "carol", "preferred_username": "carol", "email": "carol@example.org"}

app = Flask(__name__)
asked: dict[str, dict[str, str]] = {}
"""What each code was given out for."""


@app.get("/.well-known/openid-configuration")
def configuration() -> Any:
    return {
        "issuer": URL,
        "authorization_endpoint": f"{URL}/authorize",
        "token_endpoint": f"{URL}/token",
        "userinfo_endpoint": f"{URL}/userinfo",
        "jwks_uri": f"{URL}/jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }


@app.get("/authorize")
def authorize() -> Any:
    code = secrets.token_urlsafe(12)
    asked[code] = request.args.to_dict()
    query = urlencode({"code": code, "state": request.args["state"]})
    return redirect(f"{request.args['redirect_uri']}?{query}")


@app.post("/token")
def token() -> Any:
    of = asked.pop(request.form["code"])
    now = int(time.time())
    claims = {**CAROL, "iss": URL, "aud": of["client_id"], "iat": now, "exp": now + 300}
    if "nonce" in of:
        claims["nonce"] = of["nonce"]
    return {
        "access_token": secrets.token_urlsafe(12),
        "token_type": "Bearer",
        "expires_in": 300,
        "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY),
    }


@app.get("/userinfo")
def userinfo() -> Any:
    return CAROL


@app.get("/jwks")
def jwks() -> Any:
    return {"keys": [KEY.as_dict(private=False)]}


if __name__ == "__main__":
    waitress.serve(app, host="127.0.0.1", port=common.PORT, threads=4)
