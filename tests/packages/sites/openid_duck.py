"""Logout at an identity provider: Duck with Authlib's client for httpx."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import common

DJANGO = "duck.etc.structures.projects.testing.web.backend.django"
SETTINGS: dict[str, Any] = {
    "SECRET_KEY": common.SECRET,
    "DEBUG": False,
    "ALLOWED_HOSTS": ["*"],
    "SESSION_ENGINE": "duck_cookie_session.engine",
    "SESSION_STORAGE": "duck_cookie_session.SQLiteRevocationList",
    "SESSION_DIR": common.FOLDER,
    "SESSION_COOKIE_NAME": common.COOKIE,
    "SESSION_COOKIE_SECURE": False,
    "SESSION_GROUP_KEYS": ("oidc_sid", "oidc_sub"),
    "MIDDLEWARES": [
        "duck.http.middlewares.security.csrf.CSRFMiddleware",
        "duck_cookie_session.contrib.duck.SessionMiddleware",
    ],
    "URLPATTERNS_MODULE": __spec__.name,
    "BLUEPRINTS": [],
    "USE_DJANGO": False,
    "DJANGO_SETTINGS_MODULE": f"{DJANGO}.duckapp.duckapp.settings",
    "ENABLE_DASHBOARD": False,
    "ENABLE_COMPONENT_SYSTEM": False,
    "RUN_AUTOMATIONS": False,
    "AUTO_RELOAD": False,
    "LOG_TO_FILE": False,
    "SILENT": True,
}


def main() -> None:
    """Write the project into the working directory, and serve it."""
    project = Path("web")
    project.mkdir(exist_ok=True)
    (project / "__init__.py").touch()
    lines = [f"{name} = {value!r}\n" for name, value in SETTINGS.items()]
    (project / "settings.py").write_text("".join(lines))
    os.environ["DUCK_SETTINGS_MODULE"] = "web.settings"
    from duck.app import App

    App(addr="127.0.0.1", port=common.PORT, domain="127.0.0.1").run()


if __name__ == "__main__":
    main()
else:
    from authlib.integrations.httpx_client import OAuth2Client
    from duck.contrib import auth
    from duck.http.response import HttpRedirectResponse, HttpResponse, JsonResponse
    from duck.urls import path
    from duck.views import csrf_exempt
    from joserfc import jwt
    from joserfc.jwk import KeySet

    from .openid import CLIENT_ID, ISSUER, ask, keys, logout

    CALLBACK = f"http://127.0.0.1:{common.PORT}/callback"

    def client(**options):
        return OAuth2Client(CLIENT_ID, "of the client", redirect_uri=CALLBACK, **options)

    def metadata():
        return ask(f"{ISSUER}/.well-known/openid-configuration")

    def login(request):
        with client(scope="openid") as oauth:
            address, state = oauth.create_authorization_url(metadata()["authorization_endpoint"])
        request.SESSION["state"] = state
        return HttpRedirectResponse(address)

    def claims_of(request):
        with client(state=request.SESSION.pop("state")) as oauth:
            answer = f"{CALLBACK}?{request.fullpath.partition('?')[2]}"
            token = oauth.fetch_token(metadata()["token_endpoint"], authorization_response=answer)
        claims = jwt.decode(token["id_token"], KeySet.import_key_set(keys()), ["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": CLIENT_ID}
        ).validate(claims)
        return claims

    def callback(request):
        claims = claims_of(request)
        auth.login(request, user_id=claims["sub"])
        logout.remember(request.SESSION, claims)
        return HttpRedirectResponse("/")

    @csrf_exempt
    def backchannel(request):
        answer = logout.receive(request.content, request.get_header("Content-Type"))
        return HttpResponse(answer.body, answer.status, answer.headers)

    def show(request):
        user = request.SESSION.get("_auth_user_id")
        return JsonResponse(common.visit(request.SESSION, request.path, user))

    urlpatterns = [
        path("/", lambda request: HttpRedirectResponse("/show"), name="home"),
        path("/show", show, name="show"),
        path("/login", login, name="login"),
        path("/callback", callback, name="callback"),
        path("/backchannel-logout", backchannel, name="backchannel", methods=["POST"]),
    ]
