"""Sessions bound to a device: the proof found beside a token, and what a save does about it."""

from __future__ import annotations

from ..device.sealed import REGISTRATION, Seals
from ..revocation.base import Standing
from ..token.format import Claims
from .judging import NO_PROOF, Opened
from .steps import CompareAndRaise, Lookup, Steps
from .values import new_session_id

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
    if seals.find_key(cookies, session_id, now_ms) is not None:
        return opened.proving(NO_PROOF)
    return opened


def bind_steps(opened: Opened, standing: Standing) -> Steps[tuple[Opened, bool]]:
    """Bind a session to the key whose proof came with it, unless it is bound already.

    Returns:
        The token, without its proof if that is for another key; and whether it was bound just now.
    """
    if not opened.bound_to(standing):
        bound: int | None = yield CompareAndRaise(opened.device_scope, 0, value=opened.proven)
        if bound is not None:
            return opened, True
        standing = yield Lookup(opened.scopes, opened.claims.checkpoint)  # another was faster
    return (opened.proving(0) if opened.binds(standing) else opened), False


def headers_after_save(
    seals: Seals, before: Claims | None, saved: Opened, cookies: str, sent: Headers, now_ms: int
) -> Headers:
    """What the response carries for the binding, besides the session's own cookie.

    Args:
        before: what the session's token said before the save; None for a visitor.
        saved: the new token.
        cookies: the request's `Cookie` header.
        sent: what the response carries already, for an earlier save.
    """
    new = saved.claims
    if before is not None and before.session_id == new.session_id:
        return sent
    offered = any(name == REGISTRATION_HEADER for name, _ in sent)
    if before is not None and before.subject == new.subject and not offered:
        # An earlier save of this request may have moved it before.
        set_already = (line.partition(";")[0] for name, line in sent if name == "Set-Cookie")
        key = seals.find_key("; ".join([*set_already, cookies]), before.session_id, now_ms)
        if key is None or saved.proven <= 0:
            return sent
        moved = key._replace(session_id=new.session_id)
        lines = seals.set_key(moved, now_ms), seals.set_proof(moved, now_ms)
        return tuple(("Set-Cookie", line) for line in lines)
    headers = headers_after_end(seals, cookies)
    if new.subject is None:
        return headers
    challenge = seals.challenge(REGISTRATION, new_session_id(), new.session_id, now_ms)
    path = seals.settings.device_binding_path + "/registration"
    offer = f'(ES256);path="{path}";challenge="{challenge}"'
    return (*headers, (REGISTRATION_HEADER, offer))


def headers_after_end(seals: Seals, cookies: str) -> Headers:
    """A login or a logout deletes the keys and proofs of what was before."""
    return tuple(("Set-Cookie", line) for line in seals.delete_all(cookies))
