"""The views of openid_duck.py: Duck with Authlib's client for httpx."""

from __future__ import annotations

from authlib.integrations.httpx_client import OAuth2Client
from duck.contrib import auth
from duck.http.response import HttpRedirectResponse, HttpResponse, JsonResponse
from duck.urls import path
from duck.views import csrf_exempt
from joserfc import jwt
from joserfc.jwk import KeySet

from . import common
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
