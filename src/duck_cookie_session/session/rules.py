"""What may happen to a session: opened, judged, saved, superseded, ended.

Whatever has to ask the revocation list is written as steps (`steps.py`), so that plain and awaited
calls share one order, and no lock is held while a token is sealed or opened.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from .._log import logger
from ..errors import (
    RevocationListUnavailable,
    SessionExpired,
    SessionRevoked,
    SessionTooLarge,
    TokenRefused,
)
from ..revocation.base import Scopes
from ..settings import SessionSettings
from ..token.format import Claims, issued_at, open_token, seal_token
from ..token.keys import KeyRing
from ..token.payload import key_sizes, unpack
from .judging import Opened, Refusal, Write, judge
from .stats import Stats
from .steps import Steps, ask
from .token_cache import TokenCache
from .values import MAX_TIME, Expiry, subject_text

REISSUE_AFTER = 5 * 60
"""Seconds after which a token that an old secret sealed is due for re-issue."""

QUIET_AFTER = 30
"""Seconds for which a request with the cookie of an ended or superseded session sends none."""

_NEVER = 2**63


class Lifecycle:
    """The rules for the sessions of one application. Holds no connection; thread-safe.

    Args:
        settings: the application's.
        clock: seconds since 1970, `time.time`.
        stats: where things are counted.
    """

    def __init__(self, settings: SessionSettings, clock: Callable[[], float], stats: Stats) -> None:
        self.settings = settings
        self.scopes: Scopes = Scopes(settings)
        self.stats = stats
        self.cache: TokenCache[Opened] = TokenCache(settings.token_cache_size)
        self._clock = clock
        self._ring = KeyRing.of(settings)
        self._absolute_age = math.floor(settings.absolute_age * 1000)
        self.default_expiry: Expiry = Expiry.of(settings.cookie_age)
        self.everything_seen: int | None = None  # what stood for everything when last asked
        self._warned_at = -math.inf

    def now(self) -> int:
        """The node's clock in milliseconds since 1970."""
        return int(self._clock() * 1000)

    def subject_of(self, data: dict[Any, Any]) -> str | None:
        """The subject that stands in a session's data."""
        key = self.settings.subject_key
        return None if key is None else subject_text(dict.get(data, key))

    def open(self, token: object) -> Opened | Refusal:
        """Open a token and check its expiry; revocation is not looked at."""
        if not isinstance(token, str):
            return Refusal("malformed")
        opened = self.cache.get(token)
        if opened is None:
            try:
                claims, data, number = open_token(self._ring, token)
            except TokenRefused as refused:
                return Refusal(refused.reason)
            scopes = self._scopes(claims.session_id, claims.subject)
            opened = self._keep(token, claims, data, number, scopes)
        else:
            self.stats.count_cached()
        if self._clock() * 1000 >= opened.deadline:
            self.cache.discard(token)
            return Refusal("expired" if self.now() >= opened.claims.expires else "too old")
        return opened

    def session_id_in(self, token: str) -> bytes | None:
        """The session id in a token that one of our keys made, expired or not; None if none did."""
        try:
            return open_token(self._ring, token)[0].session_id
        except TokenRefused:
            return None

    def load_steps(self, token: object, *, fresh: bool = False) -> Steps[Opened | Refusal]:
        """Open a token and ask the list whether it still stands.

        Args:
            fresh: do not let the list reuse an older answer.
        """
        opened = self.open(token)
        if isinstance(opened, Refusal):
            return self.refuse(opened)
        return (yield from self.check_steps(opened, fresh=fresh))

    def check_steps(self, opened: Opened, *, fresh: bool = False) -> Steps[Opened | Refusal]:
        """Ask the list whether an opened token still stands."""
        try:
            reason = self.judged(opened, (yield ask("lookup", opened.scopes, fresh=fresh)))
            if reason == "all revoked" and not fresh:
                # A reused answer may be older than the token: nothing is refused on its word.
                reason = self.judged(opened, (yield ask("lookup", opened.scopes, fresh=True)))
        except RevocationListUnavailable:
            self.unreachable()
            return opened
        if reason is None:
            self.stats.count_read()
            return opened
        self.cache.discard(opened.token)
        quiet_until = 0
        if reason in ("ended", "superseded"):
            quiet_until = yield from self._quiet_steps(opened)
        return self.refuse(Refusal(reason, quiet_until), opened)

    def _quiet_steps(self, opened: Opened) -> Steps[int]:
        try:
            age = yield ask("age", opened.scopes[1])
        except RevocationListUnavailable:
            age = 0.0  # taken as ended just now: no cookie goes out, and nothing is lost
        if age is None or age >= QUIET_AFTER:
            return 0
        return self.now() + int((QUIET_AFTER - age) * 1000)

    def judged(self, opened: Opened, epochs: Sequence[int]) -> str | None:
        """`judge`, and remember what stands for everything."""
        self.everything_seen = epochs[0]
        return judge(opened.claims, epochs)

    def save_steps(self, base: Opened | None, write: Write) -> Steps[Opened]:
        """Seal a new token, after the loaded one was judged by what stands now.

        Args:
            base: the loaded token; None begins a session.

        Raises:
            SessionRevoked, SessionExpired, SessionTooLarge, RevocationListUnavailable.
        """
        now = self.now()  # before the list is asked: a save that stalls must not outlive an entry
        moves = base is not None and (write.cycle or write.subject != base.claims.subject)
        goes_on = base if not moves else None
        session_id = goes_on.claims.session_id if goes_on else secrets.token_bytes(16)
        scopes = goes_on.scopes if goes_on else self._scopes(session_id, write.subject)
        epochs = yield from self._stands(base, scopes, write, moves=moves)
        created = now - now % 1000  # the claims hold whole seconds
        if base is not None:
            self._judge_base(base, epochs, now, renewed=write.expiry is not None)
            if write.subject is None or write.subject == base.claims.subject:
                created = base.claims.created
        expiry, browser_length = self._attributes(base, write)
        claims = Claims(
            session_id,
            created,
            self._capped(expiry, created, now),
            expiry.lifetime,
            browser_length,
            epochs[1] if goes_on else 0,
            epochs[-1] if len(scopes) > 2 else 0,
            epochs[0],
            write.subject,
        )
        token = seal_token(
            self._ring, claims, write.packed, now // 1000, deflate=self.settings.compress
        )
        size = len(self.settings.cookie_name) + len(token)
        if size > self.settings.max_cookie_bytes:
            heaviest = key_sizes(unpack(write.packed))[:5]
            raise SessionTooLarge(size, self.settings.max_cookie_bytes, heaviest)
        if base is not None and moves:
            ended = yield ask("compare_and_raise", base.scopes[1], epochs[1], last=True)
            if ended is None:
                raise self.revoked("ended", base)
            self.stats.count("revoked")
        self.stats.count("issued")
        if base is not None and base.data == write.packed and not moves:
            self.stats.count("reissued")
        return self._keep(token, claims, write.packed, 0, scopes)

    def supersede_steps(self, base: Opened) -> Steps[Opened]:
        """Refuse every token of the session issued so far; of two at once, one wins."""
        epochs = yield ask("lookup", base.scopes)
        self._refuse_revoked(self.judged(base, epochs), base)
        raised = yield ask("compare_and_raise", base.scopes[1], epochs[1])
        if raised is None:
            raise self.revoked("superseded", base)
        self.stats.count("revoked")
        return base._replace(claims=base.claims._replace(session_epoch=raised))

    def end_steps(self, scope: bytes) -> Steps[None]:
        """End one session for good."""
        yield ask("end", scope)
        self.stats.count("revoked")

    def raise_steps(self, scope: bytes) -> Steps[int]:
        """Refuse every token of a subject, or all tokens, issued so far."""
        epoch: int = yield ask("raise_epoch", scope)
        self.stats.count("revoked")
        return epoch

    def delete_others_steps(self, base: Opened) -> Steps[Opened]:
        """Revoke every other session of the subject; the session itself adopts the new epoch.

        It is judged first. Where it is itself revoked by then, the revocation of the others
        stands all the same, and SessionRevoked is raised.
        """
        scope = base.scopes[2]
        while True:
            epochs = yield ask("lookup", base.scopes)
            reason = self.judged(base, epochs)
            if reason is not None:
                yield from self.raise_steps(scope)
                raise self.revoked(reason, base)
            raised = yield ask("compare_and_raise", scope, epochs[2])
            if raised is not None:
                self.stats.count("revoked")
                return base._replace(claims=base.claims._replace(subject_epoch=raised))

    def due_for_reissue(self, opened: Opened) -> bool:
        """Past half of its lifetime, or sealed under an old secret and older than 5 minutes."""
        return self._clock() * 1000 > opened.renew_at

    def expires(self, base: Opened | None, expiry: Expiry | None) -> int:
        """When a session saved now would expire, milliseconds since 1970."""
        now = self.now()
        created = base.claims.created if base else now
        return self._capped(expiry or self.default_expiry, created, now)

    def _capped(self, expiry: Expiry, created: int, now: int) -> int:
        expires = now + expiry.lifetime if expiry.lifetime else max(expiry.until, now)
        return min(expires, created + self._absolute_age, MAX_TIME)

    def refuse(self, refusal: Refusal, opened: Opened | None = None) -> Refusal:
        """Count and log a refusal: its reason and the start of the session id, nothing else."""
        self.stats.count_refused(refusal.reason)
        shown = opened.claims.id_text[:6] + "..." if opened else "unknown"
        logger.info("Session refused: %s (session id %s)", refusal.reason, shown)
        return refusal

    def unreachable(self) -> None:
        """Within `except RevocationListUnavailable`: serve without the check, or raise on."""
        self.stats.count("unreachable")
        if self.settings.on_unreachable == "refuse":
            raise
        now = self._clock()
        if not 0 <= now - self._warned_at < 1:
            self._warned_at = now
            logger.warning("Revocation list unreachable: sessions are served unchecked")

    def _scopes(self, session_id: bytes, subject: str | None) -> tuple[bytes, ...]:
        scopes = (self.scopes.everything, self.scopes.session(session_id))
        return scopes if subject is None else (*scopes, self.scopes.subject(subject))

    def _keep(
        self, token: str, claims: Claims, data: bytes, number: int, scopes: tuple[bytes, ...]
    ) -> Opened:
        last = claims.created + self._absolute_age
        renew_at = _NEVER
        if claims.lifetime and claims.expires < last:  # else a re-issue would not gain anything
            renew_at = claims.expires - claims.lifetime // 2
        if number > 0:
            renew_at = min(renew_at, (issued_at(token) + REISSUE_AFTER) * 1000)
        opened = Opened(token, claims, data, number, scopes, min(claims.expires, last), renew_at)
        self.cache.put(token, opened)
        return opened

    def _stands(
        self, base: Opened | None, scopes: tuple[bytes, ...], write: Write, *, moves: bool
    ) -> Steps[Sequence[int]]:
        """What stands now for all that a save touches: one atomic read of up to four scopes.

        Returns:
            Epochs of everything, the session and its subject, of the loaded token if there is
            one; the epoch of the subject that the new token has, if it has one, comes last.
        """
        asked = base.scopes if base else scopes
        if base is not None and scopes[2:] != base.scopes[2:]:
            asked = (*asked, *scopes[2:])
        try:
            epochs: Sequence[int] = yield ask("lookup", asked)
        except RevocationListUnavailable:
            # Epochs that stood earlier are sound: a token that carries them is refused once the
            # list is back if anything was revoked since. An id can't be revoked unasked.
            if write.owed and not moves:
                self.stats.count("unreachable")  # but judged by the revocation of this request
            else:
                self.unreachable()
            if moves or write.optional or (base is None and self.everything_seen is None):
                raise
            if base is None:
                return (self.everything_seen or 0, 0, 0)[: len(scopes)]
            claims = base.claims
            seen = (claims.everything_epoch, claims.session_epoch, claims.subject_epoch)
            return seen[: len(scopes)]
        self.everything_seen = epochs[0]
        return epochs

    def _judge_base(self, base: Opened, epochs: Sequence[int], now: int, *, renewed: bool) -> None:
        self._refuse_revoked(judge(base.claims, epochs[: len(base.scopes)]), base)
        if now >= base.claims.created + self._absolute_age:
            raise SessionExpired(
                "The session is past its absolute age and can't be saved; log in again."
            )
        if now >= base.claims.expires and not renewed:
            raise SessionExpired("The session has expired; call set_expiry() first to renew it.")

    def _attributes(self, base: Opened | None, write: Write) -> tuple[Expiry, bool]:
        expiry, browser_length = write.expiry, write.browser_length
        if expiry is None:
            expiry = self.default_expiry
            if base is not None:
                expiry = Expiry(base.claims.lifetime, base.claims.expires)
        if browser_length is None:
            browser_length = self.settings.expire_at_browser_close
            if base is not None:
                browser_length = base.claims.browser_length
        return expiry, browser_length

    def _refuse_revoked(self, reason: str | None, base: Opened) -> None:
        if reason is not None:
            raise self.revoked(reason, base)

    def revoked(self, reason: str, base: Opened | None = None) -> SessionRevoked:
        """The error that a revoked session is answered with, counted and logged."""
        self.refuse(Refusal(reason), base)
        return SessionRevoked(
            f"The session was revoked ({reason}) while this request was under way; nothing was "
            "saved. Load the session anew."
        )
