"""Saving: what a plan says is carried out for a request."""

from __future__ import annotations

from dataclasses import replace

from .._log import logger
from ..errors import (
    InvalidArgument,
    Reason,
    RevocationListUnavailable,
    SessionRevoked,
    SessionSerializationError,
    SessionTooLarge,
)
from .judging import Opened, Refusal
from .overlay import Data
from .plan import Need, Plan
from .planning import make_plan
from .request import RequestSession
from .revoking import end_steps, judge_steps
from .rules import Rules
from .sealing import seal_at_once, seal_steps
from .steps import Steps
from .values import new_session_id


def pending_steps(request: RequestSession) -> Steps[None]:
    """Revocations that a plain call could not carry out; what fails stays for another try.

    Raises:
        SessionRevoked: the session itself was revoked by then; all of them are carried out.
    """
    revoked: SessionRevoked | None = None
    while request.pending:
        try:
            yield from request.pending[0]()
        except SessionRevoked as error:
            revoked = error
        request.pending = request.pending[1:]
    if revoked is not None:
        raise revoked


def save_steps(request: RequestSession, data: Data) -> Steps[None]:
    """Save because that was asked for, whether or not anything changed."""
    if request.pending:
        yield from pending_steps(request)
    try:
        plan = make_plan(request, data, asked=True)
    except (SessionSerializationError, InvalidArgument):
        yield from _reissue_owed_steps(request)
        raise
    if plan.need is Need.NOTHING:
        logger.info("A request with the cookie of an ended session was not saved.")
    yield from plan_steps(request, data, plan)


def save_at_once(request: RequestSession, plan: Plan) -> bool:
    """Carry out the usual plan without steps; False: it was left to `plan_steps`."""
    base, revocations = request.base, request.connector.revocations
    if (
        not revocations.local
        or plan.need is Need.DELETE
        or (base is None and request.found is not None)
    ):
        return False
    with request.lock:
        saved = seal_at_once(request.rules, revocations, base, plan)
        if saved is not None:
            request.take(saved)
    return saved is not None


def plan_steps(request: RequestSession, data: Data, plan: Plan) -> Steps[None]:
    """Carry out a plan."""
    base, rules = request.base, request.rules
    try:
        if plan.need is Need.DELETE:
            if base is not None:  # emptied; else ended by a call, which judged nothing
                yield from _drop_loaded_steps(rules, base, plan)
            request.delete_cookie(data)
        elif plan.need is not Need.NOTHING:
            saved = yield from seal_steps(rules, base, plan)
            if plan.subject is not None and isinstance(request.found, Refusal):
                yield from _end_unproven_steps(rules, request.found)
            request.take(saved)
    except SessionTooLarge:
        yield from _reissue_owed_steps(request)
        raise
    except SessionRevoked as error:
        yield from _refused_steps(request, base, plan, error)
        raise
    except RevocationListUnavailable:
        if plan.need is not Need.REISSUE:
            raise  # but a read never fails for a re-issue


def _refused_steps(
    request: RequestSession, base: Opened | None, plan: Plan, error: SessionRevoked
) -> Steps[None]:
    """What is left of a session whose save was refused."""
    if request.base is base:  # else another task has saved it meanwhile
        request.outgoing = None  # what an earlier save gave is revoked as well
    if error.reason is Reason.GROUP_REVOKED and base is not None and plan.groups != base.groups:
        yield from _reissue_owed_steps(request)  # only a group that it was to join has ended


def _end_unproven_steps(rules: Rules, refused: Refusal) -> Steps[None]:
    """An owner who lost the device's key logs out, by a login, whoever has the cookie."""
    if refused.reason is Reason.UNPROVEN and refused.session_id:
        yield from end_steps(rules, refused.session_id)


def _drop_loaded_steps(rules: Rules, base: Opened, plan: Plan) -> Steps[None]:
    """End a session that was emptied, unless that comes too late.

    Judged first: the cookie of a login made beside this request must not be deleted.
    """
    try:
        yield from judge_steps(rules, base)
    except RevocationListUnavailable as error:
        rules.unreachable(error)
    if plan.ends_loaded:
        yield from end_steps(rules, base.claims.session_id)


def drop_steps(request: RequestSession, data: Data) -> Steps[None]:
    """What a request that failed still has to do: its revocations, but none of its changes."""
    if request.loaded:
        yield from pending_steps(request)
        if request.ended:
            request.delete_cookie(data)
        yield from _reissue_owed_steps(request)


def save_as_new_steps(request: RequestSession, data: Data) -> Steps[None]:
    """Save the contents as another session; the loaded one lives on."""
    plan = make_plan(request, data, asked=True)
    if plan.need is Need.NOTHING and isinstance(request.found, Refusal):  # ended moments ago
        raise request.rules.revoked(request.found.reason, request.found.session_id)
    yield from plan_steps(
        request, data, replace(plan, session_id=new_session_id(), ends_loaded=False)
    )


def _reissue_owed_steps(request: RequestSession) -> Steps[None]:
    """Data as loaded under a live token, where a revocation of ours killed the browser's."""
    base = request.base
    if request.owed and base is not None:
        subject, session_id = base.claims.subject, base.claims.session_id
        owed = Plan(Need.TOKEN, base.data, subject, session_id, base.groups, owed=True)
        request.take((yield from seal_steps(request.rules, base, owed)), settles=False)
