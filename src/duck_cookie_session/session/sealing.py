"""Sealing: the loaded token judged by what stands now, and a new one made under that."""

from __future__ import annotations

from dataclasses import replace

from ..errors import Reason, RevocationListUnavailable, SessionExpired, SessionTooLarge
from ..revocation.base import LAST_EPOCH, RevocationList, Standing
from ..token.format import Claims, seal_token
from ..token.payload import key_sizes, unpack
from .judging import Opened
from .plan import Need, Plan
from .revoking import claim_steps, note_ended, note_revoked
from .rules import Rules
from .steps import CompareAndRaise, End, Lookup, Steps
from .values import Expiry

_NUMBERS_CHARACTERS = 64
"""More than epoch, checkpoint and reach add to a token: 21 bytes, in blocks of 16, as Base64."""

_TOO_OLD = "The session is past its absolute age and can't be saved; log in again."


def seal_steps(rules: Rules, base: Opened | None, plan: Plan) -> Steps[Opened]:
    """Seal a new token, after the loaded one was judged by what stands now.

    Args:
        base: the loaded token; None begins a session.
        plan: what is to be sealed.

    Raises:
        SessionRevoked, SessionExpired, SessionTooLarge, RevocationListUnavailable.
    """
    # Read before the list is asked: a save that stalls must not outlive the entry against it.
    now_ms = rules.now_ms()
    moves = base is not None and plan.session_id != base.claims.session_id
    regroups = (
        base is not None
        and not moves
        and bool(plan.groups or base.claims.groups)  # most sessions are in none
        and plan.groups != base.groups
    )
    if base is not None and not moves and not regroups:
        scopes = asked = base.scopes
    else:
        scopes, asked = _scopes(rules, base, plan)
    try:
        if plan.unanswered is not None:
            raise plan.unanswered
        standing: Standing = yield Lookup(asked, base.claims.checkpoint if base is not None else 0)
    except RevocationListUnavailable as error:
        standing = _unasked(rules, base, plan, asked, error)
    else:
        rules.last_standing = standing
        reason = None if base is None else rules.judge(base, standing)
        if reason is Reason.TOO_OLD:
            raise SessionExpired(_TOO_OLD)  # the list no longer knows its checkpoint
        if base is not None and reason is not None:
            raise (yield from rules.revoked_steps(reason, base))
    epochs = _epochs(standing, asked, scopes) if asked is not scopes else standing.epochs
    claims = _claims(rules, base, plan, epochs, standing, now_ms)
    if base is not None and regroups:
        # Earlier tokens of the session would not be ended with its new groups.
        _sealed(rules, replace(claims, session_epoch=LAST_EPOCH), plan, now_ms)  # does it fit?
        standing = yield from _supersede_steps(rules, base, asked, standing)
        epochs = _epochs(standing, asked, scopes)
        claims = _claims(rules, base, plan, epochs, standing, now_ms)
    token = _sealed(rules, claims, plan, now_ms)
    if base is not None and (moves or claims.expires_ms <= now_ms):
        yield from _end_loaded_steps(rules, base, plan, standing)
    return _issued(rules, base, plan, rules.keep(token, claims, plan.packed, scopes, epochs))


def seal_at_once(
    rules: Rules, revocations: RevocationList, base: Opened | None, plan: Plan
) -> Opened | None:
    """The usual save without steps: a session begins or goes on, and the list is here.

    It does what `seal_steps` does there. Anything out of the ordinary is left to the steps, and
    None is given.
    """
    if plan.groups:
        return None
    if base is None:
        scopes, asked = _scopes(rules, None, plan)
        checkpoint = 0
    else:
        claims = base.claims
        if plan.session_id != claims.session_id or claims.groups:
            return None
        scopes = asked = base.scopes
        checkpoint = claims.checkpoint
    now_ms = rules.now_ms()
    try:
        standing = revocations.lookup(asked, checkpoint=checkpoint)
        if base is None:
            rules.last_standing = standing
            epochs = _epochs(standing, asked, scopes)
        elif rules.judge(base, standing) is None:
            epochs = standing.epochs
        else:
            return None
        claims = _claims(rules, base, plan, epochs, standing, now_ms)
        if base is not None and claims.expires_ms <= now_ms:
            return None
        token = _sealed(rules, claims, plan, now_ms)
    except RevocationListUnavailable as error:
        plan.unanswered = error  # it may have taken long
        return None
    except (SessionExpired, SessionTooLarge):
        return None
    return _issued(rules, base, plan, rules.keep(token, claims, plan.packed, scopes, epochs))


def _issued(rules: Rules, base: Opened | None, plan: Plan, saved: Opened) -> Opened:
    """Count and tell of a new token."""
    rules.stats.count_issued()
    if base is not None and plan.packed == base.data and plan.session_id == base.claims.session_id:
        rules.stats.count("reissued")
    if rules.events is not None:
        rules.events.saved(saved.claims, None if base is None else base.claims)
    if base is not None and base.bindable and base.claims.subject == saved.claims.subject:
        return saved.proving(base.proven)
    return saved


def refuse_without_room(rules: Rules, base: Opened) -> None:
    """Refuse to supersede a session that leaves no room for what a token carries from then on.

    Raises:
        SessionTooLarge: the browser would be left with a cookie that is refused.
    """
    limit = rules.settings.max_cookie_bytes
    if len(base.token) + rules.line_bytes + _NUMBERS_CHARACTERS > limit:
        named = LAST_EPOCH if base.claims.birth else 0
        claims = replace(base.claims, session_epoch=LAST_EPOCH, checkpoint=named, reach=named)
        _sealed(rules, claims, Plan(Need.TOKEN, base.data), rules.now_ms())


def _supersede_steps(
    rules: Rules, base: Opened, asked: tuple[bytes, ...], standing: Standing
) -> Steps[Standing]:
    """Refuse every earlier token of the session; what stands then.

    Asked for anew, so that the new token carries a reach that covers this raise.
    """
    base = yield from claim_steps(rules, base, standing)
    note_revoked(rules, base.session_scope, base.claims.subject, base.claims.session_id)
    try:
        after: Standing = yield Lookup(asked, base.claims.checkpoint)
    except RevocationListUnavailable:  # the browser needs another token all the same
        return replace(
            standing, epochs=(standing.epochs[0], base.claims.session_epoch, *standing.epochs[2:])
        )
    reason = rules.judge(base, after)
    if reason is not None:
        raise (yield from rules.revoked_steps(reason, base))
    return after


def _epochs(
    standing: Standing, asked: tuple[bytes, ...], scopes: tuple[bytes, ...]
) -> tuple[int, ...]:
    """What stands for those scopes; a new id was not asked for, and stands at 0."""
    stands = dict(zip(asked, standing.epochs, strict=True))
    return tuple([stands.get(scope, 0) for scope in scopes])


def _sealed(rules: Rules, claims: Claims, plan: Plan, now_ms: int) -> str:
    """The token, or SessionTooLarge."""
    token = seal_token(
        rules.ring, claims, plan.packed, now_ms // 1000, deflate=rules.settings.compress
    )
    size = len(token) + rules.line_bytes
    if size > rules.settings.max_cookie_bytes:
        heaviest = key_sizes(unpack(plan.packed))[:5]
        raise SessionTooLarge(size, rules.settings.max_cookie_bytes, heaviest)
    return token


def _end_loaded_steps(rules: Rules, base: Opened, plan: Plan, standing: Standing) -> Steps[None]:
    """Revoke the id that the new token replaces, or that expires with it.

    Args:
        standing: what the loaded session was judged by.
    """
    scope = base.session_scope
    moves = plan.session_id != base.claims.session_id
    if base.bindable and moves and plan.subject == base.claims.subject:
        yield from _rebind_steps(rules, base, standing, plan.session_id)
    if not moves:
        yield End(scope)  # it expires now: no earlier copy may outlive it
    elif plan.ends_loaded:
        ended: int | None = yield CompareAndRaise(scope, standing.epochs[1], last=True)
        if ended is None:
            raise rules.revoked(Reason.ENDED, base.claims.session_id)
    else:
        return
    note_ended(rules, base.claims.session_id, base.claims.subject)


def _rebind_steps(rules: Rules, base: Opened, standing: Standing, new_id: bytes) -> Steps[None]:
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


def _scopes(
    rules: Rules, base: Opened | None, plan: Plan
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """What the new token will be judged by, and what the list is asked for now."""
    scopes = rules.scopes_of(plan.session_id, plan.subject, plan.groups)
    # Nobody knows a new id yet, so it need not be asked for: what stands for it is 0.
    new = tuple([scope for scope in scopes if scope[-16:] != plan.session_id])
    if base is None:
        return scopes, new
    return scopes, (*base.scopes, *(scope for scope in new if scope not in base.scopes))


def _claims(
    rules: Rules,
    base: Opened | None,
    plan: Plan,
    epochs: tuple[int, ...],
    standing: Standing,
    now_ms: int,
) -> Claims:
    """What the new token says.

    Args:
        epochs: what stands for everything, its session, its subject if it has one, its groups.

    Raises:
        SessionExpired: the loaded one has expired.
        SessionRevoked: one of the session's groups has ended.
    """
    created_ms = now_ms - now_ms % 1000  # the claims hold whole seconds
    expiry, browser_length = plan.expiry, plan.browser_length
    authenticated_ms = plan.authenticated_ms
    if base is not None:
        old = base.claims
        if now_ms >= base.deadline_ms:
            _refuse_expired(rules, base, now_ms, renewed=expiry is not None)
        if plan.subject is None or plan.subject == old.subject:
            created_ms = old.created_ms
            if authenticated_ms is None:
                authenticated_ms = old.authenticated_ms
        if expiry is None:
            expiry = Expiry(old.lifetime_ms, old.expires_ms)
        if browser_length is None:
            browser_length = old.browser_length
    if expiry is None:
        expiry = rules.default_expiry
    if browser_length is None:
        browser_length = rules.settings.expire_at_browser_close
    return Claims(
        plan.session_id,
        created_ms,
        rules.expires_ms(expiry, created_ms, now_ms),
        expiry.lifetime_ms,
        browser_length,
        standing.birth,
        standing.checkpoint if standing.reach else 0,
        standing.reach,
        epochs[1],
        epochs[2] if plan.subject is not None else 0,
        epochs[0],
        plan.subject,
        _groups(rules, plan, epochs) if plan.groups else (),
        None if authenticated_ms == created_ms else authenticated_ms,
    )


def _groups(rules: Rules, plan: Plan, epochs: tuple[int, ...]) -> tuple[tuple[bytes, int], ...]:
    """The session's groups, or SessionRevoked where one of them has been ended for good."""
    first = 2 if plan.subject is None else 3
    groups = tuple(zip(plan.groups, epochs[first : first + len(plan.groups)], strict=True))
    if any(epoch == LAST_EPOCH for _, epoch in groups):
        raise rules.revoked(Reason.GROUP_REVOKED, plan.session_id)
    return groups


def _unasked(
    rules: Rules,
    base: Opened | None,
    plan: Plan,
    asked: tuple[bytes, ...],
    error: RevocationListUnavailable,
) -> Standing:
    """What a save goes by while the list does not answer, where it may go on at all.

    Epochs that stood earlier are sound: a token that carries them is refused once the list is
    back if anything was revoked since. An id can't be revoked unasked.
    """
    changes = base is not None and (
        plan.session_id != base.claims.session_id or plan.groups != base.groups
    )
    if plan.owed and not changes:  # judged by the revocation that this request has just made
        rules.stats.count("unreachable")
    else:
        rules.unreachable(error)
    last = rules.last_standing
    if changes or plan.need is Need.REISSUE or (base is None and last is None):
        raise error
    if base is not None:
        claims = base.claims
        history = claims.birth, claims.checkpoint, claims.reach, claims.reach
        return Standing(base.epochs, (), 0, *history)
    if last is None:
        raise error
    epochs = (last.epochs[0], *(0 for _ in asked[1:]))
    return replace(last, epochs=epochs)


def _refuse_expired(rules: Rules, base: Opened, now_ms: int, *, renewed: bool) -> None:
    if rules.past_absolute_age(base, now_ms):
        raise SessionExpired(_TOO_OLD)
    if now_ms >= base.claims.expires_ms and not renewed:
        raise SessionExpired("The session has expired; call set_expiry() first to renew it.")
