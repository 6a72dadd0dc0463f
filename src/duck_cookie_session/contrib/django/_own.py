"""What these sessions can do and Django's can't, under the names used with every framework."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any

from ...session.ending import (
    adelete_other_sessions,
    asupersede,
    delete_other_sessions,
    supersede,
)
from ...session.freshness import authenticated_at, is_fresh, reauthenticate
from ...session.planning import session_id_text
from ...session.request import RequestSession


class OwnCalls(ABC):
    """The calls that Django's sessions don't have."""

    _request: RequestSession

    @abstractmethod
    def _get_session(self, no_load: bool = False) -> dict[Any, Any]:
        """What the session holds, loaded if that was not done yet."""

    @abstractmethod
    async def _aget_session(self, no_load: bool = False) -> dict[Any, Any]:
        """`_get_session`, awaitable."""

    @property
    def session_id(self) -> str | None:
        """The session id; after a login or cycle_key() the new one. None for a visitor."""
        return session_id_text(self._request, self._get_session())

    @property
    def authenticated_at(self) -> datetime | None:
        """When the user last proved who they are, aware; None where nobody is logged in."""
        return authenticated_at(self._request, self._get_session())

    def is_fresh(self, seconds: float) -> bool:
        """Whether the user proved who they are less than `seconds` ago."""
        return is_fresh(self._request, self._get_session(), seconds)

    def reauthenticated(self) -> None:
        """Note that the user has just given the password again; the session gets a new id."""
        reauthenticate(self._request, self._get_session())
        self._request.accessed = self._request.written = True

    def supersede(self) -> None:
        """Refuse, at once, every token of this session issued so far; the response has a new one.

        Raises:
            SessionRevoked: another request won, or the session was revoked.
            SessionTooLarge, RevocationListUnavailable: nothing was changed.
            SessionError: the response has started.
        """
        supersede(self._request, self._get_session())

    async def asupersede(self) -> None:
        """`supersede`, awaitable."""
        await asupersede(self._request, await self._aget_session())

    def delete_other_sessions(self) -> None:
        """Revoke every other session of this subject; what a password change calls.

        Raises:
            SessionError: nobody is logged in, or the response has started.
            SessionRevoked: the session was itself revoked; the revocation of the others stands.
            RevocationListUnavailable: the others may live on; call it again.
        """
        delete_other_sessions(self._request, self._get_session())

    async def adelete_other_sessions(self) -> None:
        """`delete_other_sessions`, awaitable."""
        await adelete_other_sessions(self._request, await self._aget_session())

    @property
    def device_bound(self) -> bool:
        """Whether it is bound to a device, a proof of whose key came with this request."""
        return self._request.device_bound(self._get_session())
