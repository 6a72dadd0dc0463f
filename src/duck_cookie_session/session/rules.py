"""The rules for the sessions of one application: which tokens are good, and for how long."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .._checks import check_callable
from .._cookie import set_cookie
from .._log import logger
from ..device.sealed import Seals
from ..errors import (
    InvalidArgument,
    Reason,
    RevocationListUnavailable,
    SessionRevoked,
    SessionSerializationError,
    TokenRefused,
)
from ..revocation.base import Scopes, Standing
from ..settings import SessionSettings
from ..token.claims import MAX_TIME, Claims
from ..token.format import issued_at, open_token
from ..token.keys import KeyRing
from ..token.payload import unpack
from .binding import beside, bind_steps
from .events import Events
from .judging import (
    Opened,
    Refusal,
    epochs_of,
    judge_epochs,
    judge_history,
    quiet_ms,
    witness_of,
)
from .stats import Stats
from .steps import Lookup, RaiseIfForgotten, Steps
from .token_cache import TokenCache
from .values import Expiry, group_digest, shown, subject_text

REISSUE_AFTER = 5 * 60
"""Seconds after which a token that an old secret sealed is due for re-issue."""

_NEVER = 2**63
_AGAIN_US = 3_600_000_000  # within an hour: a second loss that soon looks like a copy in use
_COPY = (
    " This comes within an hour of another such loss, or of a logout of everybody. Is a copy of "
    "this list in use beside it, with the same secret? Then run `duck-cookie-session new-birth` on "
    "the copy."
)
_KEPT_BESIDE = 1_500  # bytes that a kept token takes besides its text and its data
_KEPT_EACH = 4_096  # bytes for each token that may be kept, on average


class Rules:
    """The rules for the sessions of one application. Holds no connection; thread-safe.

    Args:
        settings: the application's.
        clock: seconds since 1970, `time.time`.
        stats: where things are counted.
        on_event: called with each event; None takes the setting.

    Raises:
        InvalidArgument, InvalidSettings: `clock` or `on_event` can't be called.
    """

    def __init__(
        self,
        settings: SessionSettings,
        clock: Callable[[], float],
        stats: Stats,
        on_event: Callable[..., object] | None = None,
    ) -> None:
        self.settings = settings
        self.scopes: Scopes = Scopes(settings)
        self.stats = stats
        size = settings.token_cache_size
        self.cache: TokenCache[Opened] = TokenCache(size, size * _KEPT_EACH)
        self.ring: KeyRing = KeyRing.of(settings)
        self.seals: Seals | None = Seals(settings) if settings.device_binding == "offer" else None
        self.subject_key: str | None = settings.subject_key
        self.group_keys: tuple[str, ...] = settings.group_keys
        self.default_expiry: Expiry = Expiry.of(settings.cookie_age)
        # What the cookie's line takes beside the token.
        self.line_bytes: int = len(set_cookie(settings, "-", math.ceil(settings.absolute_age))) - 1
        self.last_standing: Standing | None = None  # what stood when the list was last asked
        self._clock = clock
        if not callable(clock):
            raise InvalidArgument(f"clock is of type {type(clock).__name__}; it must be callable.")
        on_event = settings.on_event if on_event is None else check_callable("on_event", on_event)
        self.events: Events | None = None if on_event is None else Events(on_event, self.now_ms)
        self._absolute_age_ms = math.floor(settings.absolute_age * 1000)
        self._retention_us = int((settings.absolute_age + settings.clock_skew) * 1_000_000)
        self._judges_history = settings.on_lost == "refuse"
        self._warned_at = -math.inf

    def now_ms(self) -> int:
        """The node's clock in milliseconds since 1970."""
        return int(self._clock() * 1000)

    def subject_of(self, data: dict[Any, Any]) -> str | None:
        """The subject that stands in a session's data.

        Raises:
            InvalidArgument: it is neither str, int nor UUID.
        """
        key = self.subject_key
        value = None if key is None else dict.get(data, key)
        return None if value is None else subject_text(value)

    def groups_of(self, data: dict[Any, Any]) -> tuple[bytes, ...]:
        """The digests of the groups that stand in a session's data, each once, in order.

        Raises:
            InvalidArgument: a value is neither str, int nor UUID.
        """
        found = {group_digest(key, dict.get(data, key)) for key in self.group_keys}
        return tuple(sorted(digest for digest in found if digest is not None))

    def scopes_of(
        self, session_id: bytes, subject: str | None, groups: tuple[bytes, ...] = ()
    ) -> tuple[bytes, ...]:
        """What a token is judged by: everything, its session, subject, groups and device."""
        scopes: tuple[bytes, ...] = (self.scopes.everything, self.scopes.session(session_id))
        if subject is not None:
            scopes = (*scopes, self.scopes.subject(subject))
        if groups:
            scopes = (*scopes, *map(self.scopes.group, groups))
        return scopes if self.seals is None else (*scopes, self.scopes.device(session_id))

    def group_scope(self, name: str, value: object) -> bytes:
        """The scope of a group, or InvalidArgument."""
        if name not in self.group_keys:
            named = ", ".join(map(repr, self.group_keys)) or "none"
            raise InvalidArgument(
                f"There is no group key {name!r}; group_keys (SESSION_GROUP_KEYS) has {named}."
            )
        digest = group_digest(name, value)
        if digest is None:
            raise InvalidArgument("The value of a group is None; give a str, an int or a UUID.")
        return self.scopes.group(digest)

    # Opening and judging a token.

    def open(self, token: object, cookies: str = "") -> Opened | Refusal:
        """Open a token and check its expiry; revocation is not looked at.

        A proof of its device may stand in `cookies`, the `Cookie` header that it came in.
        """
        if not isinstance(token, str):
            return Refusal(Reason.MALFORMED)
        opened = self.cache.get(token)
        if opened is None:
            try:
                claims, data, key_number = open_token(self.ring, token)
            except TokenRefused as refused:
                return Refusal(refused.reason)
            groups = tuple([digest for digest, _ in claims.groups])
            scopes = self.scopes_of(claims.session_id, claims.subject, groups)
            opened = self.keep(token, claims, data, scopes, epochs_of(claims), key_number)
        else:
            self.stats.count_cached()
        now_ms = self._clock() * 1000
        if now_ms >= opened.deadline_ms:
            self.cache.discard(token)
            claims = opened.claims
            reason = Reason.EXPIRED if now_ms >= claims.expires_ms else Reason.TOO_OLD
            return Refusal(reason, claims.session_id)
        return opened if self.seals is None else beside(self.seals, opened, cookies, int(now_ms))

    def keep(
        self,
        token: str,
        claims: Claims,
        data: bytes,
        scopes: tuple[bytes, ...],
        epochs: tuple[int, ...],
        key_number: int = 0,
    ) -> Opened:
        """Remember a token that was opened or sealed.

        Args:
            scopes, epochs: what it is judged by, and what it carries for each. What is given
                for its device is not kept: each request brings a proof of its own.
            key_number: number of the secret that sealed it, 0 the newest.
        """
        last_ms = claims.created_ms + self._absolute_age_ms
        expires_ms = claims.expires_ms
        renew_at_ms = _NEVER
        if claims.lifetime_ms and expires_ms < last_ms:  # else a re-issue would gain nothing
            renew_at_ms = expires_ms - claims.lifetime_ms // 2
        if key_number > 0:
            renew_at_ms = min(renew_at_ms, (issued_at(token) + REISSUE_AFTER) * 1000)
        deadline_ms = expires_ms if expires_ms < last_ms else last_ms
        bindable = self.seals is not None
        if bindable:
            epochs = (*epochs[: len(scopes) - 1], 0)
        opened = Opened(token, claims, data, scopes, epochs, deadline_ms, renew_at_ms, bindable)
        self.cache.put(token, opened, len(token) + len(data) + _KEPT_BESIDE)
        return opened

    def judge(self, opened: Opened, standing: Standing) -> Reason | None:
        """What refuses a token by what stands now; None: nothing."""
        self.last_standing = standing
        claims, known = opened.claims, standing.asked_reach
        if (
            standing.epochs == opened.epochs
            and standing.birth == claims.birth
            and known is not None
            and claims.reach <= known
        ):
            return None  # the usual case: nothing was revoked since it was sealed
        if self._judges_history:
            history = judge_history(opened, standing, self._retention_us)
            if history is not None:
                return history
        return judge_epochs(opened, standing)

    def check_steps(self, opened: Opened, *, fresh: bool = False) -> Steps[Opened | Refusal]:
        """Ask the list whether an opened token still stands.

        Args:
            fresh: do not let the list reuse an older answer.
        """
        checkpoint = opened.claims.checkpoint
        try:
            standing: Standing = yield Lookup(opened.scopes, checkpoint, fresh)
            reason = self.judge(opened, standing)
            if reason is not None and not fresh:
                # A reused answer may be older than the token: nothing is refused on its word.
                standing = yield Lookup(opened.scopes, checkpoint)
                reason = self.judge(opened, standing)
            if reason is Reason.FORGOTTEN:
                yield from self.forgotten_steps(opened)
            if reason is None and opened.binds(standing):
                opened, bound = yield from bind_steps(opened, standing)
                if bound:
                    self._note_bound(opened)
        except RevocationListUnavailable as error:
            return self.unasked(opened, error)
        if reason is None:
            self.stats.count_read()
            return opened
        self.cache.discard(opened.token)
        quiet_until_ms = 0
        if reason in (Reason.ENDED, Reason.SUPERSEDED):
            left_ms = quiet_ms(opened, standing)
            quiet_until_ms = self.now_ms() + left_ms if left_ms else 0
        return self.refuse(Refusal(reason, opened.claims.session_id, quiet_until_ms))

    def forgotten_steps(self, opened: Opened) -> Steps[None]:
        """A token proves that the list forgot: refuse everything issued so far."""
        raised: int | None = yield RaiseIfForgotten(
            self.scopes.everything, witness_of(opened.claims)
        )
        if raised is None:
            return
        self.stats.count("forgotten")
        if self.events is not None:
            self.events.rolled_back()
        standing = self.last_standing  # what the token was judged by
        again = standing is not None and standing.made[0] > standing.now - _AGAIN_US
        logger.error(
            "The revocation list has gone back in time: a cookie speaks of revocations that "
            "it does not know, as after a backup was put back or a replica that lagged became "
            "the primary. Every session issued so far is refused.%s",
            _COPY if again else "",
        )

    def refuse(self, refusal: Refusal) -> Refusal:
        """Count and log a refusal: its reason and the start of the session id, nothing else."""
        self.stats.count_refused(refusal.reason)
        if self.events is not None:
            self.events.refused(refusal.reason, refusal.session_id)
        logger.info(
            "Session refused: %s (session id %s)", refusal.reason.value, shown(refusal.session_id)
        )
        return refusal

    def revoked(self, reason: Reason, session_id: bytes | None) -> SessionRevoked:
        """The error for saving a session that was revoked; also counts and logs it."""
        self.refuse(Refusal(reason, session_id))
        return SessionRevoked(
            f"The session was revoked ({reason.value}) while this request was under way; nothing "
            "was saved. Load the session again.",
            reason,
        )

    def revoked_steps(self, reason: Reason, base: Opened) -> Steps[SessionRevoked]:
        """The error for a loaded token that was just judged; also does what its reason asks for."""
        if reason is Reason.FORGOTTEN:
            yield from self.forgotten_steps(base)
        return self.revoked(reason, base.claims.session_id)

    def _note_bound(self, opened: Opened) -> None:
        self.stats.count("bound")
        if self.events is not None:
            self.events.bound(opened.claims)

    def unreachable(self, error: RevocationListUnavailable) -> None:
        """The list did not answer: raise that on, or serve without the check.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        self.stats.count("unreachable")
        if self.settings.on_unreachable == "refuse":
            raise error
        now = self._clock()
        if not 0 <= now - self._warned_at < 1:
            self._warned_at = now
            logger.warning("Revocation list unreachable: sessions are served unchecked")

    def unpacked(self, opened: Opened) -> dict[Any, Any] | None:
        """The data of an opened token, a fresh dict; None where our key sealed foreign bytes."""
        try:
            return unpack(opened.data)
        except SessionSerializationError:
            self.refuse(Refusal(Reason.MALFORMED, opened.claims.session_id))
            return None

    def unasked(self, opened: Opened, error: RevocationListUnavailable) -> Opened | Refusal:
        """A token while the list does not answer; with the key of a device it needs a proof."""
        self.unreachable(error)
        if opened.proven < 0:
            return self.refuse(Refusal(Reason.UNPROVEN, opened.claims.session_id))
        return opened

    # Time.

    def due_for_reissue(self, opened: Opened) -> bool:
        """Past half of its lifetime, or sealed under an old secret and older than 5 minutes."""
        return self._clock() * 1000 > opened.renew_at_ms

    def max_age(self, opened: Opened) -> int | None:
        """Seconds for the cookie's Max-Age; None for one that ends with the browser."""
        if opened.claims.browser_length:
            return None
        left_ms = opened.claims.expires_ms - int(self._clock() * 1000)
        return -(-left_ms // 1000) if left_ms > 0 else 0

    def past_absolute_age(self, opened: Opened, now_ms: int) -> bool:
        """Whether nothing may extend the session any more."""
        return now_ms >= opened.claims.created_ms + self._absolute_age_ms

    def expires_ms(self, expiry: Expiry, created_ms: int, now_ms: int) -> int:
        """When a session that is saved now expires."""
        expires_ms = now_ms + expiry.lifetime_ms if expiry.lifetime_ms else expiry.until_ms
        return min(max(expires_ms, now_ms), created_ms + self._absolute_age_ms, MAX_TIME)
