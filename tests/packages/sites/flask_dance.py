"""Flask-Dance, which keeps state, verifier and the provider's token in the session."""

from __future__ import annotations

import os
from typing import Any

from flask import redirect, session
from flask_dance.consumer import OAuth2ConsumerBlueprint, oauth_authorized

from . import common, on_flask

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the provider is on this machine's loopback

app = on_flask.make(lambda: session.get("user"), SESSION_SUBJECT_KEY="user")
provider = OAuth2ConsumerBlueprint(
    "provider",
    __name__,
    client_id="site",
    client_secret="of the client",
    scope=["openid"],
    base_url=common.PROVIDER,
    authorization_url=f"{common.PROVIDER}/authorize",
    token_url=f"{common.PROVIDER}/token",
    redirect_url="/show",
    use_pkce=True,
    code_challenge_method="S256",
)
app.register_blueprint(provider, url_prefix="/login")


@oauth_authorized.connect
def logged_in(blueprint: Any, token: Any) -> None:
    session["user"] = blueprint.session.get("/userinfo").json()["sub"]


@app.get("/logout")
def logout() -> Any:
    session.clear()
    return redirect("/show")


if __name__ == "__main__":
    on_flask.serve(app)
