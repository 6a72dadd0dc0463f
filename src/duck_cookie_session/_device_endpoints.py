"""What a browser that binds sessions to its device is answered: registration, refresh, and pages.

W3C working draft `webappsec-dbsc`. The adapters call this; no application has a route for it. Every
refusal of one kind looks the same to the client; the reason is logged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ._cookie import find_cookie
from ._log import logger
from .device.jws import ProofRefused, claimed_challenge, verify_refresh, verify_registration
from .device.sealed import KEY, REFRESH, REGISTRATION, Sealed, Seals, binding_text
from .errors import DeviceReason, Reason, RevocationListUnavailable
from .revocation.base import Standing
from .session.judging import Opened, Refusal, quiet_ms
from .session.request import RequestSession
from .session.rules import Rules
from .session.steps import Lookup, Steps
from .session.values import shown

FindHeader = Callable[[str], str | None]
"""Finds a header of the request by its lower-case name; of several, joined by commas."""

HEADERS = (
    "cookie",
    "host",
    "origin",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-secure-session-id",
    "secure-session-response",
    "secure-session-skipped",
)
"""The headers of a request that are looked at here."""

_NO_STORE = ("Cache-Control", "no-store")
_SKIPPED = re.compile(r';\s*session_identifier="([A-Za-z0-9_-]{22})"')
_AGAIN = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta http-equiv="refresh" content="0"><title>One moment</title>'
)


class Answer(NamedTuple):
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...] = (_NO_STORE,)
    body: str = ""


class _Refused(Exception):
    """The request is refused.

    Args:
        reason: for log and counters.
        answer: for the client.
        why: more of the reason, for the log.
    """

    def __init__(
        self, reason: DeviceReason, answer: Answer, session_id: bytes | None = None, why: str = ""
    ) -> None:
        super().__init__(f"{reason.value}: {why}" if why else reason.value)
        self.reason, self.answer, self.session_id = reason, answer, session_id


_FORBIDDEN, _GONE = Answer(403), Answer(401)


def environ_header(environ: Mapping[str, Any], name: str) -> str | None:
    """A header in a WSGI environment (PEP 3333) by its lower-case name."""
    value: str | None = environ.get("HTTP_" + name.upper().replace("-", "_"))
    return value


def device_answer(
    request: RequestSession, method: str, path: str, header: FindHeader
) -> Answer | None:
    """The answer to give instead of the application's; None: let the application answer.

    For adapters whose calls may wait for the list. Also tells the request which cookies came.

    Args:
        path: as the browser asked for it, from the root of its host.
    """
    steps = answer_steps(request, method, path, header)
    return None if steps is None else request.connector.run(steps)


def answer_steps(
    request: RequestSession, method: str, path: str, header: FindHeader
) -> Steps[Answer | None] | None:
    """`device_answer`, as steps; None where nothing needs to be asked."""
    rules = request.rules
    seals = rules.seals
    if seals is None:
        return None
    request.cookies = header("cookie") or ""
    steps = _endpoint_steps(rules, seals, method, path, header)
    if steps is not None:
        return steps
    return _page_steps(request, method, header) if _may_need_answer(method, header) else None


def _endpoint_steps(
    rules: Rules, seals: Seals, method: str, path: str, header: FindHeader
) -> Steps[Answer] | None:
    """Answer a registration or a refresh; None for any other request."""
    root = rules.settings.device_binding_path
    if method != "POST" or not path.startswith(root):
        return None
    if path == root + "/registration":
        return _guarded(rules, _registration_steps(rules, seals, header))
    if path == root + "/refresh":
        return _guarded(rules, _refresh_steps(rules, seals, header))
    return None


def _guarded(rules: Rules, steps: Steps[Answer]) -> Steps[Answer]:
    try:
        return (yield from steps)
    except _Refused as refused:
        rules.stats.count_device_refused(refused.reason)
        session_id = shown(refused.session_id)
        logger.info("Device binding refused: %s (session id %s)", refused, session_id)
        return refused.answer
    except RevocationListUnavailable as error:
        rules.stats.count("unreachable")
        rules.stats.count_device_refused(DeviceReason.NO_LIST)
        logger.error("The revocation list is unreachable, answered 503: %s", error)
        return _unavailable()


def _unavailable() -> Answer:
    again = ("Retry-After", str(RevocationListUnavailable.RETRY_AFTER))
    return Answer(503, (_NO_STORE, again))


def _registration_steps(rules: Rules, seals: Seals, header: FindHeader) -> Steps[Answer]:
    _check_origin(header)
    now_ms = rules.now_ms()
    opened, standing = yield from _session_steps(rules, header, _FORBIDDEN, _FORBIDDEN)
    session_id = opened.claims.session_id
    response = header("secure-session-response") or ""
    try:
        challenge = claimed_challenge(response)
        sealed = seals.open_challenge(REGISTRATION, challenge, session_id, now_ms)
        key = verify_registration(response, challenge=challenge)
    except ProofRefused as refused:
        raise _Refused(refused.reason, _FORBIDDEN, session_id) from refused
    if opened.bound_to(standing) not in (0, key.digest()):
        raise _Refused(DeviceReason.OTHER_KEY, _FORBIDDEN, session_id)
    end_ms = opened.claims.created_ms + int(rules.settings.absolute_age * 1000)
    device_key = Sealed(sealed.binding, session_id, end_ms, key.point)
    rules.stats.count("device_registered")
    binding = binding_text(sealed.binding)
    settings = rules.settings
    instructions = {
        "session_identifier": binding,
        "refresh_url": settings.device_binding_path + "/refresh",
        "scope": {"include_site": False},
        "credentials": [
            {
                "type": "cookie",
                "name": seals.names(sealed.binding)[1],
                "attributes": f"Path={settings.cookie_path}{settings.cookie_attributes}",
            }
        ],
    }
    cookies = seals.set_key(device_key, now_ms), seals.set_proof(device_key, now_ms)
    headers = (
        ("Content-Type", "application/json"),
        _NO_STORE,
        *(("Set-Cookie", cookie) for cookie in cookies),
        _challenge(seals, sealed.binding, session_id, now_ms),
    )
    return Answer(200, headers, json.dumps(instructions))


def _refresh_steps(rules: Rules, seals: Seals, header: FindHeader) -> Steps[Answer]:
    _check_origin(header)
    now_ms = rules.now_ms()
    key = _key_named(seals, header, header("sec-secure-session-id") or "", now_ms)
    if key is None:
        raise _Refused(DeviceReason.NO_BINDING, _GONE)
    # Just ended: cycle_key() may have moved it, and its new cookies be on their way. 503 lets the
    # browser come again with them.
    opened, standing = yield from _session_steps(rules, header, _GONE, _unavailable())
    session_id = opened.claims.session_id
    if key.session_id != session_id:
        raise _Refused(DeviceReason.OTHER_SESSION, _GONE, session_id)
    if opened.bound_to(standing) not in (0, key.key.digest()):
        raise _Refused(DeviceReason.OTHER_KEY, _GONE, session_id)
    following = _challenge(seals, key.binding, session_id, now_ms)
    asks = Answer(403, (_NO_STORE, following))
    response = header("secure-session-response")
    if response is None:
        return asks  # the first half of a refresh, and no refusal
    try:
        challenge = claimed_challenge(response)
        seals.open_challenge(REFRESH, challenge, session_id, now_ms)
        verify_refresh(response, key=key.key, challenge=challenge)
    except ProofRefused as refused:
        raise _Refused(refused.reason, asks, session_id) from refused
    rules.stats.count("device_refreshed")
    return Answer(200, (_NO_STORE, ("Set-Cookie", seals.set_proof(key, now_ms)), following))


def _challenge(seals: Seals, binding: bytes, session_id: bytes, now_ms: int) -> tuple[str, str]:
    challenge = seals.challenge(REFRESH, binding, session_id, now_ms)
    return "Secure-Session-Challenge", f'"{challenge}";id="{binding_text(binding)}"'


def _check_origin(header: FindHeader) -> None:
    """Refuse what pages of other origins send; browsers add these headers themselves."""
    if header("sec-fetch-site") not in (None, "none", "same-origin"):
        raise _Refused(DeviceReason.OTHER_SITE, _FORBIDDEN)
    origin = header("origin")
    if origin is not None and origin.lower() != f"https://{header('host') or ''}".lower():
        raise _Refused(DeviceReason.OTHER_SITE, _FORBIDDEN)


def _session_steps(
    rules: Rules, header: FindHeader, refusal: Answer, just_ended: Answer
) -> Steps[tuple[Opened, Standing]]:
    """The live session of the request's cookie, whatever it is bound to.

    One that was superseded is live: its newer token may be on its way to the browser; later, if
    nothing else has ended it.

    Args:
        just_ended: the answer where it was ended moments ago.
    """
    token = find_cookie(header("cookie") or "", rules.settings.cookie_name)
    opened = rules.open(token)
    del token  # error reports show local variables
    if isinstance(opened, Refusal):
        raise _Refused(DeviceReason.NO_SESSION, refusal, opened.session_id, opened.reason.value)
    standing: Standing = yield Lookup(opened.scopes, opened.claims.checkpoint)
    live = opened.proving(opened.bound_to(standing))
    reason = rules.judge(live, standing)
    if reason is Reason.SUPERSEDED and not quiet_ms(opened, standing):
        # Not earlier: delete_other_sessions(), whose answer may be on its way, revokes more.
        epoch = standing.epochs[opened.scopes.index(opened.session_scope)]
        reason = rules.judge(live.adopting(session=epoch), standing)
    if reason not in (None, Reason.SUPERSEDED):
        if reason is Reason.FORGOTTEN:
            yield from rules.forgotten_steps(opened)
        if reason is Reason.ENDED and quiet_ms(opened, standing):
            refusal = just_ended
        raise _Refused(DeviceReason.NO_SESSION, refusal, opened.claims.session_id, reason.value)
    return opened, standing


def _key_named(seals: Seals, header: FindHeader, binding: str, now_ms: int) -> Sealed | None:
    """The device key of a binding among the request's cookies."""
    for _, value in seals.cookies(header("cookie") or "", KEY):
        key = seals.open(KEY, value, now_ms)
        if key is not None and binding_text(key.binding) == binding:
            return key
    return None


# Pages.


def _may_need_answer(method: str, header: FindHeader) -> bool:
    """Whether a request without proof may get an answer of ours in place of the page."""
    return header("secure-session-skipped") is not None or _is_link(method, header)


def _is_link(method: str, header: FindHeader) -> bool:
    """Whether a link from another site was followed; what a script fetches can't reload itself."""
    return (
        method == "GET"
        and header("sec-fetch-mode") == "navigate"
        and header("sec-fetch-site") in ("cross-site", "same-site")
    )


def _page_steps(request: RequestSession, method: str, header: FindHeader) -> Steps[Answer | None]:
    if request.found is None and request.token:
        load_steps = request.connector.load_steps
        try:
            request.found = yield from load_steps(request.token, cookies=request.cookies)
        except RevocationListUnavailable:
            return None  # the application's request meets it again, and is answered 503
    return _answer_without_proof(request, method, header)


def _answer_without_proof(
    request: RequestSession, method: str, header: FindHeader
) -> Answer | None:
    """The answer to a checked request that lacked its proof; None: it goes on, as a visitor's.

    503 where the browser says that it could not renew this binding just now; a page that loads
    itself again for a link from another site: the second request is of this origin, before which
    the browser renews.
    """
    found, rules = request.found, request.rules
    if not isinstance(found, Refusal) or found.reason is not Reason.UNPROVEN:
        return None
    now_ms, seals = rules.now_ms(), rules.seals
    for binding in _SKIPPED.findall((header("secure-session-skipped") or "")[:4096]):
        key = None if seals is None else _key_named(seals, header, binding, now_ms)
        if key is not None and key.session_id == found.session_id:
            return _unavailable()
    if _is_link(method, header):
        content = ("Content-Type", "text/html; charset=utf-8")
        return Answer(200, (content, _NO_STORE, ("Vary", "Cookie")), _AGAIN)
    return None
