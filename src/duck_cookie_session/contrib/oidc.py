"""Logout at an identity provider: OpenID Connect Back-Channel Logout 1.0 (extra `oidc`).

    logout = LogoutReceiver("https://id.example", "shop", keys, connector)

At the callback of a login, `logout.remember(session, claims)` with the claims of the ID token. The
route that the provider is told of as `backchannel_logout_uri` hands the body of its POST to
`logout.receive()` and answers what that gives.

A logout token with `sid` ends the sessions of that session at the provider for good: a login whose
callback is still under way is refused with them. One with `sub` alone ends every session that this
user has from this provider now; a login made afterwards works. The `jti` is noted in the revocation
list once the revocation stands, and never before, so that a provider which repeats after a 503 is
heard; what comes again after that is refused. Of two copies at once both may find no note. Then one
of them revokes, and the other finds it done. Only a copy that asks the list after the revocation
and before the note revokes once more, which also ends what was begun in between.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from .._log import logger
from ..errors import InvalidArgument, InvalidSettings, LogoutReason, RevocationListUnavailable
from ..response import UNAVAILABLE_BODY, UNAVAILABLE_HEADERS
from ..revocation.base import Standing
from ..session.connector import SessionStorageConnector, checked_connector
from ..session.revoking import end_group_steps, note_revoked
from ..session.steps import CompareAndRaise, End, Lookup, Steps
from ..session.values import group_digest
from ..settings import MOST_GROUPS
from ._logout_token import Logout, LogoutRefused, judge, read_token, token_in, verify
from ._oidc_keys import ALGORITHMS, ProviderKeys

SID_KEY = "oidc_sid"
"""The key of the session for its session at the provider."""

SUB_KEY = "oidc_sub"
"""The key of the session for its user at the provider."""

_NOTED = "oidc_jti"  # in the list, the name of what is noted of a token; no session has such a key


class Session(Protocol):
    """What a session has to be able to do: every framework's is."""

    def __setitem__(self, key: str, value: Any, /) -> None:
        """Store a value."""

    def get(self, key: str, /) -> Any:
        """A value, or None."""

    def pop(self, key: str, default: Any, /) -> Any:
        """Take out a value."""


class LogoutAnswer(NamedTuple):
    """What the provider is to be answered.

    Attributes:
        status: 200, 400 or 503.
        headers: by name; always `Cache-Control: no-store`.
        body: text.
    """

    status: int
    headers: dict[str, str]
    body: str


class LogoutReceiver:
    """Carries out the logouts that an OpenID provider announces. Safe for many threads.

    Args:
        issuer: the provider, as `iss` of its tokens and its metadata name it.
        client_id: what this application is called there.
        keys: the provider's JWK Set, or a plain callable that fetches it: called in a thread of its
            own where a token's key is not known, at most once in 10 seconds, and once an hour.
        connector: whose sessions are ended. Its `group_keys` have "oidc_sid" and "oidc_sub". Its
            clock counts, and `clock_skew` is what the provider's may differ by.
        algorithms: those that may have signed a logout token.

    Raises:
        InvalidArgument: one of these can't be that.
        InvalidSettings: `group_keys` lacks a key; the message has the line to add.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        keys: object,
        connector: SessionStorageConnector,
        *,
        algorithms: Collection[str] = ("RS256", "ES256"),
    ) -> None:
        for name, value in (("issuer", issuer), ("client_id", client_id)):
            if not isinstance(value, str) or not value:
                raise InvalidArgument(f"{name} is {value!r}; it must be a text.")
        _check_group_keys(checked_connector(connector).settings.group_keys)
        self.issuer = issuer
        self.client_id = client_id
        self._connector = connector
        self._rules = connector.rules
        self._algorithms = _checked_algorithms(algorithms)
        self._keys = ProviderKeys(keys, self._now)

    def remember(self, session: Session, claims: Mapping[str, Any]) -> None:
        """Store what the provider will later name the session by; for the callback of a login.

        Those are two keys of 22 characters each, digests of the issuer and of `sid` or `sub`.

        Args:
            session: any framework's; where its login begins a new session, after that.
            claims: those of the verified ID token.

        Raises:
            InvalidArgument: they are another provider's, or have no `sub`.
        """
        if claims.get("iss") != self.issuer:
            raise InvalidArgument(
                f"The claims are of the issuer {claims.get('iss')!r}, not of {self.issuer!r}; hand "
                "those of the ID token to the receiver of its provider."
            )
        sub, sid = claims.get("sub"), claims.get("sid")
        if not isinstance(sub, str) or not sub or not isinstance(sid, str | None):
            raise InvalidArgument("The claims of an ID token have a text as `sub`, and as `sid`.")
        session[SUB_KEY] = self._value(sub)
        if sid:
            session[SID_KEY] = self._value(sid)
        else:
            session.pop(SID_KEY, None)

    def is_from(self, session: Session, iss: str | None, sid: str | None) -> bool:
        """Whether a session belongs to this session at the provider.

        For OpenID Connect Front-Channel Logout 1.0, which names both in the query.
        """
        return iss == self.issuer and bool(sid) and session.get(SID_KEY) == self._value(sid or "")

    def receive(self, body: bytes, content_type: str | None) -> LogoutAnswer:
        """Verify the logout token in a request, carry it out, and say what to answer.

        200 once the revocation is durable; 400 for a token that is not accepted, always the same,
        while the log has the reason; 503 where the list or the provider's keys can't be had.

        Args:
            body: of the POST, at most 32,768 bytes.
            content_type: its header.

        Never raises, whatever came.
        """
        return self._connector.run(self._receive_steps(body, content_type))

    async def areceive(self, body: bytes, content_type: str | None) -> LogoutAnswer:
        """`receive`, awaitable."""
        return await self._connector.arun(self._receive_steps(body, content_type))

    def _receive_steps(self, body: bytes, content_type: str | None) -> Steps[LogoutAnswer]:
        stats = self._rules.stats
        try:
            logout = yield from self._verify_steps(body, content_type)
            yield from self._revoke_steps(logout)
        except LogoutRefused as refused:
            stats.count_logout_refused(refused.reason)
            logger.info("Logout token of %s refused: %s", self.issuer, refused.reason.value)
            return _unavailable() if refused.reason is LogoutReason.KEYS_UNAVAILABLE else _refusal()
        except RevocationListUnavailable as error:
            stats.count("unreachable")
            logger.error("The revocation list is unreachable, answered 503: %s", error)
            return _unavailable()
        stats.count("provider_logouts")
        logger.info("Logout at %s carried out", self.issuer)
        return LogoutAnswer(200, {"Cache-Control": "no-store"}, "")

    def _verify_steps(self, body: bytes, content_type: str | None) -> Steps[Logout]:
        keys, settings = self._keys, self._rules.settings
        token = read_token(token_in(body, content_type), self._algorithms)
        if keys.stale:
            yield keys
        wrong = verify(token, keys.known)
        if wrong is LogoutReason.NO_KEY:
            yield keys
            wrong = verify(token, keys.known)
            if wrong is LogoutReason.NO_KEY and keys.failed:
                wrong = LogoutReason.KEYS_UNAVAILABLE
        if wrong is not None:
            raise LogoutRefused(wrong)
        # Once noted, an id is kept for `absolute_age + clock_skew`.
        return judge(
            token.claims,
            issuer=self.issuer,
            client_id=self.client_id,
            now=self._now(),
            leeway=settings.clock_skew,
            longest=settings.absolute_age,
        )

    def _revoke_steps(self, logout: Logout) -> Steps[None]:
        rules = self._rules
        by_sid = logout.sid is not None
        value = self._value(logout.sid or logout.sub or "")
        group = rules.group_scope(SID_KEY if by_sid else SUB_KEY, value)
        digest = group_digest(_NOTED, self._value(logout.token_id)) or b""
        note = rules.scopes.group(digest)
        standing: Standing = yield Lookup((group, note))
        if standing.epochs[1]:
            raise LogoutRefused(LogoutReason.REPEATED)
        if by_sid:
            yield from end_group_steps(rules, group)
        else:
            # Where it has risen since, everything issued before this token came is refused.
            raised: int | None = yield CompareAndRaise(group, standing.epochs[0])
            if raised is not None:
                note_revoked(rules, group)
        yield End(note)

    def _value(self, text: str) -> str:
        """What stands for a `sid`, a `sub` or a `jti` of this provider: 22 characters."""
        digest = hashlib.sha256()
        for part in (self.issuer, text):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
        return urlsafe_b64encode(digest.digest()[:16]).decode("ascii").rstrip("=")

    def _now(self) -> float:
        return self._rules.now_ms() / 1000


def _refusal() -> LogoutAnswer:
    """Section 2.8; one for all, since the reason is nobody's business but the log's."""
    headers = {"Cache-Control": "no-store", "Content-Type": "application/json"}
    error = {"error": "invalid_request", "error_description": "The logout token was not accepted."}
    return LogoutAnswer(400, headers, json.dumps(error))


def _unavailable() -> LogoutAnswer:
    return LogoutAnswer(503, dict(UNAVAILABLE_HEADERS), UNAVAILABLE_BODY)


def _check_group_keys(present: tuple[str, ...]) -> None:
    missing = [key for key in (SID_KEY, SUB_KEY) if key not in present]
    if not missing:
        return
    line = f"SESSION_GROUP_KEYS = {(*present, *missing)!r}"
    room = "" if len(present) + len(missing) <= MOST_GROUPS else f"; it has {MOST_GROUPS} at most"
    raise InvalidSettings(
        f"group_keys (SESSION_GROUP_KEYS) lacks {' and '.join(map(repr, missing))}, by which a "
        f"provider's logout finds its sessions. Set {line}{room}."
    )


def _checked_algorithms(given: Collection[str]) -> tuple[str, ...]:
    algorithms = (given,) if isinstance(given, str) else tuple(given)
    wrong = [one for one in algorithms if one not in ALGORITHMS]
    if wrong or not algorithms:
        what = f"has {wrong[0]!r}" if wrong else "is empty"
        raise InvalidArgument(f"algorithms {what}; allowed are {', '.join(ALGORITHMS)}.")
    return algorithms
