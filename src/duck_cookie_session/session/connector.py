"""SessionStorageConnector: sessions in, tokens out, over one revocation list."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import InvalidArgument, RevocationListUnavailable
from ..revocation.base import RevocationList
from ..settings import SessionSettings
from ..token.format import ID_CHARACTERS, id_to_text
from ..token.payload import pack
from .duck import duck_session_settings
from .judging import Opened, Refusal
from .plan import Need, Plan
from .revoking import (
    delete_subject_steps,
    end_group_steps,
    end_steps,
    raise_steps,
    session_id_of,
)
from .rules import Rules
from .sealing import seal_at_once, seal_steps
from .stats import Counts, Stats
from .steps import Result, Steps, arun, run
from .storage import StorageClass, build_list, refuse_second
from .values import Expiry, new_session_id

_open: weakref.WeakSet[SessionStorageConnector] = weakref.WeakSet()  # those not closed yet
_build_lock = threading.RLock()


def checked_settings(given: object) -> SessionSettings:
    """The settings, or InvalidArgument where they are something else."""
    if not isinstance(given, SessionSettings):
        raise InvalidArgument(f"settings is of type {type(given).__name__}, not SessionSettings.")
    return given


def checked_connector(given: object) -> SessionStorageConnector:
    """The connector, or InvalidArgument where it is something else."""
    if not isinstance(given, SessionStorageConnector):
        raise InvalidArgument(
            f"connector is of type {type(given).__name__}, not a SessionStorageConnector."
        )
    return given


class SessionStorageConnector:
    """Stores sessions in tokens and keeps the revocation list. Safe for many threads.

    Args:
        session_storage_cls: a class or callable that gives a revocation list: called without an
            argument, or with `settings.session_dir` if it needs one. It may give one object to
            several connectors.
        settings: the application's; None reads those of Duck.
        clock: seconds since 1970.
        on_event: as the setting, which None takes.

    Raises:
        NonPersistentStorageError: a connector over another non-persistent list is open.
        InvalidArgument: `settings` is not a SessionSettings, or `clock` can't be called.
        InvalidSettings: the storage is not a revocation list, or needs a folder and has none; or
            `on_event` can't be called.
    """

    settings: SessionSettings
    revocations: RevocationList

    def __new__(
        cls,
        session_storage_cls: StorageClass,
        *,
        settings: SessionSettings | None = None,
        clock: Callable[[], float] = time.time,
        on_event: Callable[..., object] | None = None,
    ) -> SessionStorageConnector:
        """Build the list and refuse a second one that would not see the first's revocations."""
        settings = duck_session_settings() if settings is None else checked_settings(settings)
        self = super().__new__(cls)
        with _build_lock:
            self.settings = settings
            self.revocations = revocations = build_list(session_storage_cls, settings)
            refuse_second(revocations, (other.revocations for other in _open))
            _open.add(self)
        return self

    def __init__(
        self,
        session_storage_cls: StorageClass,
        *,
        settings: SessionSettings | None = None,
        clock: Callable[[], float] = time.time,
        on_event: Callable[..., object] | None = None,
    ) -> None:
        self._stats = Stats(self.revocations.timings)
        self.rules: Rules = Rules(self.settings, clock, self._stats, on_event)
        self.revocations.bind(self.settings)

    # The interface of Duck's connector.

    def set_session(
        self, session_id: str | None, data: dict[Any, Any], expiry: float | None = None
    ) -> str:
        """Save a session and give its new token.

        Args:
            session_id: a live token goes on, with its id and created-at; anything else begins a
                new session under a fresh id.
            data: what the session holds from now on.
            expiry: lifetime in seconds, renewed at each save; None for `cookie_age`.

        Raises:
            SessionRevoked: the token was revoked.
            SessionTooLarge, SessionSerializationError, InvalidArgument, RevocationListUnavailable.
        """
        lifetime = self.rules.default_expiry if expiry is None else Expiry.of(expiry)
        return self._save(self._base(session_id), data, lifetime)

    def get_session(self, session_id: str | None) -> dict[Any, Any] | None:
        """The data of a live token, a fresh dict each time; None for anything else.

        Raises:
            RevocationListUnavailable: nothing else, whatever is given.
        """
        loaded = self.load(session_id)
        return self.rules.unpacked(loaded) if isinstance(loaded, Opened) else None

    def update_session(self, session_id: str | None, data: dict[Any, Any]) -> str:
        """Merge data into a session and give its new token; its lifetime or fixed expiry stays.

        Raises:
            as `set_session`.
        """
        base = self._base(session_id)
        merged = (base and self.rules.unpacked(base)) or {}
        merged.update(_checked(data))
        return self._save(base, merged, None)

    def delete_session(self, session_id: str | None) -> None:
        """Revoke one session for good, with every token of it; durable when this returns.

        Args:
            session_id: any token of it, or its session id (22 characters). Other text, and None,
                is left alone: there is nothing to revoke.

        Raises:
            InvalidArgument: it is neither text nor None.
            RevocationListUnavailable: nothing was revoked.
        """
        found = self.session_id_of(session_id)
        if found is not None:
            self.run(end_steps(self.rules, found))

    def delete_subject(self, subject: object) -> None:
        """Log a subject out everywhere: every token issued to it so far is refused.

        A login made afterwards works at once. Durable when this returns.

        Args:
            subject: str, int or UUID.

        Raises:
            InvalidArgument: another type.
            RevocationListUnavailable: nothing was revoked.
        """
        self.run(delete_subject_steps(self.rules, subject))

    def delete_group(self, name: str, value: object) -> None:
        """End every session of a group: every token issued in it so far is refused.

        A login made afterwards works at once. Durable when this returns.

        Args:
            name: one of `group_keys`.
            value: str, int or UUID.

        Raises:
            InvalidArgument: a name that `group_keys` does not have, or a value of another type.
            RevocationListUnavailable: nothing was revoked.
        """
        self.run(raise_steps(self.rules, self.rules.group_scope(name, value)))

    def end_group(self, name: str, value: object) -> None:
        """End a group for good: sessions that join it later are refused too.

        For names that are never used again, such as the id of a session at an identity provider.

        Raises:
            as `delete_group`.
        """
        self.run(end_group_steps(self.rules, self.rules.group_scope(name, value)))

    def clear_all_sessions(self) -> None:
        """Refuse every token issued so far; durable when this returns.

        Raises:
            RevocationListUnavailable, SessionError: nothing was revoked.
        """
        self.run(raise_steps(self.rules, self.rules.scopes.everything))

    @staticmethod
    def generate_session_id() -> str:
        """A new session id: 128 random bits as 22 URL-safe characters."""
        return id_to_text(new_session_id())

    def save(self) -> None:
        """Purge the list of what has expired, and flush it."""
        self.revocations.purge()
        self.revocations.save()

    def close(self) -> None:
        """Let go of the list's files and connections. Idempotent."""
        with _build_lock:
            _open.discard(self)
        self.rules.cache.clear()
        self.revocations.close()

    @property
    def is_open(self) -> bool:
        """Whether `close()` has not been called yet."""
        return self in _open

    # Beyond it: awaitable twins, and what the engine and the adapters use.

    async def adelete_session(self, session_id: str | None) -> None:
        """`delete_session`, awaitable."""
        found = self.session_id_of(session_id)
        if found is not None:
            await self.arun(end_steps(self.rules, found))

    async def adelete_subject(self, subject: object) -> None:
        """`delete_subject`, awaitable."""
        await self.arun(delete_subject_steps(self.rules, subject))

    async def adelete_group(self, name: str, value: object) -> None:
        """`delete_group`, awaitable."""
        await self.arun(raise_steps(self.rules, self.rules.group_scope(name, value)))

    async def aend_group(self, name: str, value: object) -> None:
        """`end_group`, awaitable."""
        await self.arun(end_group_steps(self.rules, self.rules.group_scope(name, value)))

    async def aclear_all_sessions(self) -> None:
        """`clear_all_sessions`, awaitable."""
        await self.arun(raise_steps(self.rules, self.rules.scopes.everything))

    def stats(self) -> Counts:
        """Counters since the connector was made, by name; some by reason, or by seconds."""
        return self._stats.as_dict()

    def load(self, token: object, cookies: str = "") -> Opened | Refusal:
        """Open a token, beside the proof in `cookies` (a `Cookie` header), and ask the list.

        Raises:
            RevocationListUnavailable: under `on_unreachable="refuse"`.
        """
        rules = self.rules
        opened = rules.open(token, cookies)
        del token  # error reports show local variables
        if isinstance(opened, Refusal):
            return rules.refuse(opened)
        # The usual case at once; anything out of the ordinary is left to the steps.
        try:
            standing = self.revocations.lookup(
                opened.scopes, checkpoint=opened.claims.checkpoint, fresh=False
            )
        except RevocationListUnavailable as error:
            return rules.unasked(opened, error)
        if standing.epochs == opened.epochs and rules.judge(opened, standing) is None:
            self._stats.count_read()
            return opened
        return self.run(rules.check_steps(opened))

    async def aload(self, token: object, cookies: str = "") -> Opened | Refusal:
        """`load`, awaitable."""
        steps = self.load_steps(token, cookies=cookies)
        del token  # error reports show local variables
        return await self.arun(steps)

    def load_steps(
        self, token: object, *, fresh: bool = False, cookies: str = ""
    ) -> Steps[Opened | Refusal]:
        """Open a token and ask the list, for no older answer if `fresh`, whether it stands."""
        opened = self.rules.open(token, cookies)
        del token  # error reports show local variables
        if isinstance(opened, Refusal):
            return self.rules.refuse(opened)
        return (yield from self.rules.check_steps(opened, fresh=fresh))

    def exists_steps(self, token: str | None, cookies: str = "") -> Steps[bool]:
        """Whether a token is live; the list itself is asked."""
        live = token and (yield from self.load_steps(token, fresh=True, cookies=cookies))
        return isinstance(live, Opened)

    def run(self, steps: Steps[Result]) -> Result:
        """Carry out steps on this connector's list."""
        return run(self.revocations, steps)

    async def arun(self, steps: Steps[Result]) -> Result:
        """`run`, awaitable."""
        return await arun(self.revocations, steps)

    def session_id_of(self, token_or_id: object) -> bytes | None:
        """The 16 bytes of the session id that a token (expired ones too) or an id speaks of.

        Raises:
            InvalidArgument: it is neither text nor None.
        """
        return session_id_of(self.rules, token_or_id)

    def _base(self, token: object) -> Opened | None:
        if not isinstance(token, str) or len(token) <= ID_CHARACTERS:  # nothing, or a session id
            return None
        opened = self.rules.open(token)
        return opened if isinstance(opened, Opened) else None

    def _save(self, base: Opened | None, data: dict[Any, Any], expiry: Expiry | None) -> str:
        packed, subject = pack(_checked(data)), self.rules.subject_of(data)
        if base is not None and base.claims.subject == subject:
            session_id = base.claims.session_id
        else:
            session_id = new_session_id()
        groups = self.rules.groups_of(data)
        plan = Plan(Need.TOKEN, packed, subject, session_id, groups, expiry)
        saved = None
        if self.revocations.local:
            saved = seal_at_once(self.rules, self.revocations, base, plan)
        return (saved or self.run(seal_steps(self.rules, base, plan))).token


def _checked(data: object) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise InvalidArgument(f"Session data must be a dict, not of type {type(data).__name__}.")
    return dict(data)
