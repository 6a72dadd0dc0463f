"""Sessions bound to a device: the proof found beside a token, and what a save does about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..device.sealed import KEY, REGISTRATION, Seals
from ..errors import Reason
from ..revocation.base import Standing
from .judging import NO_PROOF, Opened
from .steps import CompareAndRaise, Lookup, Steps
from .values import new_session_id

if TYPE_CHECKING:
    from .request import RequestSession
    from .rules import Rules

REGISTRATION_HEADER = "Secure-Session-Registration"

Headers = tuple[tuple[str, str], ...]


def beside(seals: Seals, opened: Opened, cookies: str, now_ms: int) -> Opened:
    """An opened token beside the proof that came with it, if one did.

    Args:
        cookies: the request's `Cookie` header.
    """
    if not cookies:
        return opened
    session_id = opened.claims.session_id
    digest = seals.proven(cookies, session_id, now_ms)
    if digest:
        return opened.proving(digest)
    if seals.find(cookies, KEY, session_id, now_ms) is not None:
        return opened.proving(NO_PROOF)
    return opened


def bind_steps(rules: Rules, opened: Opened, standing: Standing) -> Steps[Opened]:
    """Bind a session to the key whose proof came with it, unless it is bound already.

    Returns:
        It, without the proof where that is of another key.
    """
    if not opened.bound_to(standing):
        scope = rules.scopes.device(opened.claims.session_id)
        bound: int | None = yield CompareAndRaise(scope, 0, value=opened.proven)
        if bound is not None:
            rules.stats.count("bound")
            if rules.events is not None:
                rules.events.bound(opened.claims)
            return opened
        standing = yield Lookup(opened.scopes, opened.claims.checkpoint)  # another was faster
    return opened.proving(0) if opened.binds(standing) else opened


def rebind_steps(rules: Rules, base: Opened, standing: Standing, new_id: bytes) -> Steps[None]:
    """A bound session whose id changes stays bound: made before the token is handed out.

    Raises:
        SessionRevoked: it came without a proof, and so may not move.
    """
    bound = base.bound_to(standing)
    if not bound:
        return
    if base.proven != bound:
        raise rules.revoked(Reason.UNPROVEN, base.claims.session_id)
    yield CompareAndRaise(rules.scopes.device(new_id), 0, value=bound)


def headers_after_save(request: RequestSession, saved: Opened) -> Headers:
    """What the response carries for the binding, besides the session's own cookie.

    Args:
        request: as it was before the save.
        saved: the new token.
    """
    rules, cookies, before = request.rules, request.cookies, request.base
    sent = request.device_headers
    seals = rules.seals
    if seals is None:
        return ()
    old, new = None if before is None else before.claims, saved.claims
    if old is not None and old.session_id == new.session_id:
        return sent
    now_ms = rules.now_ms()
    offered = any(name == REGISTRATION_HEADER for name, _ in sent)
    if old is not None and old.subject == new.subject and not offered:
        key = seals.find(cookies, KEY, old.session_id, now_ms)
        if key is None or saved.proven <= 0:
            return sent
        moved = key._replace(session_id=new.session_id)
        lines = seals.set_key(moved, now_ms), seals.set_proof(moved, now_ms)
        return tuple(("Set-Cookie", line) for line in lines)
    headers = headers_after_end(rules, cookies)
    if new.subject is None:
        return headers
    challenge = seals.challenge(REGISTRATION, new_session_id(), new.session_id, now_ms)
    path = rules.settings.device_binding_path + "/registration"
    offer = f'(ES256);path="{path}";challenge="{challenge}"'
    return (*headers, (REGISTRATION_HEADER, offer))


def headers_after_end(rules: Rules, cookies: str) -> Headers:
    """A login or a logout deletes the keys and proofs of what was before."""
    if rules.seals is None:
        return ()
    return tuple(("Set-Cookie", line) for line in rules.seals.delete_all(cookies))
