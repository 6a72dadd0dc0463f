"""The keys of an identity provider: given once, or asked for again when one is not known."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from .._forks import watch_forks
from .._log import logger
from ..errors import InvalidArgument
from ..revocation.base import RevocationList

ASK_AGAIN = 10
"""Seconds that pass at least before a provider is asked for its keys again, whoever sends what."""

KEEP = 3_600
"""Seconds after which keys are asked for again, so that one that was withdrawn stops counting."""

_RSA_2048 = 342  # characters of a modulus of 2,048 bits, the least that RFC 7518 section 3.3 allows
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ALGORITHMS = (*RSA_ALGORITHMS, *_CURVES.values())
"""Those whose key is the provider's alone: never "none", and no HMAC, whose key is shared."""


class ProviderKey(NamedTuple):
    """One public key of a provider.

    Attributes:
        key_id: its `kid`; None without one.
        algorithms: what it may be used for.
        public: the key.
    """

    key_id: str | None
    algorithms: tuple[str, ...]
    public: RSAKey | ECKey

    def fits(self, algorithm: str, key_id: str | None) -> bool:
        """Whether it may have made a token that names these."""
        return algorithm in self.algorithms and key_id in (None, self.key_id)


def keys_of(jwks: object) -> tuple[ProviderKey, ...]:
    """The keys of a JWK Set (RFC 7517 section 5) that can have signed a token; others are ignored.

    Raises:
        InvalidArgument: it is no JWK Set, or has no such key.
    """
    listed = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(listed, list):
        raise InvalidArgument(
            f"The keys of the provider are of type {type(jwks).__name__}; they must be a JWK Set, "
            'a dict with a list under "keys", as the provider publishes it under its jwks_uri.'
        )
    found = [key for one in listed if isinstance(one, Mapping) and (key := _key_of(one))]
    if not found:
        raise InvalidArgument(
            f"None of the {len(listed)} keys of the provider is for signatures, and an RSA key of "
            "2,048 bits or more or one on P-256, P-384 or P-521."
        )
    return tuple(found)


def _key_of(jwk: Mapping[str, Any]) -> ProviderKey | None:
    key_id, named = jwk.get("kid"), jwk.get("alg")
    if jwk.get("use", "sig") != "sig" or not isinstance(key_id, str | None):
        return None
    try:
        # Its public part alone, whatever else stands there.
        if jwk["kty"] == "RSA" and len(jwk["n"]) >= _RSA_2048:
            public: RSAKey | ECKey = RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
            algorithms: tuple[str, ...] = RSA_ALGORITHMS
        elif jwk["kty"] == "EC":
            algorithms = (_CURVES[jwk["crv"]],)
            point = {name: jwk[name] for name in ("kty", "crv", "x", "y")}
            public = ECKey.import_key(point)
        else:
            return None
        public.get_op_key("verify")
    except (JoseError, KeyError, TypeError, ValueError, UnsupportedAlgorithm):
        return None
    if named is not None:
        algorithms = tuple(one for one in algorithms if one == named)
    return ProviderKey(key_id, algorithms, public) if algorithms else None


class ProviderKeys:
    """The keys of one provider. Safe for many threads, event loops and forks.

    Args:
        given: a JWK Set, or a callable that fetches it. It is called in a thread of its own, when a
            token comes whose key is not known, at most once in `ASK_AGAIN` seconds.
        now: seconds since 1970.
        wait: seconds that a request waits for them.

    Raises:
        InvalidArgument: it is neither.
    """

    def __init__(self, given: object, now: Callable[[], float], wait: float = 10) -> None:
        if inspect.iscoroutinefunction(given):
            raise InvalidArgument(
                "keys is a coroutine function; give a plain one, which is called in a thread."
            )
        self.known: tuple[ProviderKey, ...] = () if callable(given) else keys_of(given)
        self.failed = False
        """Whether they could not be had when they were last asked for."""
        self._fetch: Callable[[], object] | None = given if callable(given) else None
        self._now = now
        self._wait = wait
        self._asked_at: float | None = None
        self._lock = threading.Lock()
        self._under_way: Future[None] | None = None
        self._newest: Future[None] | None = None  # under way or not
        self._pid = os.getpid()
        watch_forks(self)

    @property
    def stale(self) -> bool:
        """Whether they are to be asked for before they count: never yet, or long ago."""
        return self._fetch is not None and self._older_than(ASK_AGAIN if self.failed else KEEP)

    def ask(self, revocations: RevocationList) -> None:
        """Ask for the keys, if that is due, and wait until they have come."""
        asked = self._asked()
        if asked is not None:
            try:
                asked.result(self._wait)
            except TimeoutError:
                self._give_up(asked)

    async def aask(self, revocations: RevocationList) -> None:
        """`ask`, awaitable."""
        asked = self._asked()
        if asked is not None:
            try:
                await asyncio.wait_for(asyncio.wrap_future(asked), self._wait)
            except TimeoutError:
                self._give_up(asked)

    def before_fork(self) -> None:
        """Hold everybody off."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Go on, in parent and child."""
        self._lock.release()

    def _asked(self) -> Future[None] | None:
        """What is under way, or is begun now; None where it is too early to ask again."""
        with self._lock:
            if self._pid != os.getpid():  # forked: no thread will bring what is under way
                self._pid, self._under_way, self._asked_at = os.getpid(), None, None
            if self._under_way is None and self._fetch and self._older_than(ASK_AGAIN):
                self._asked_at = self._now()
                self._under_way = self._newest = asked = Future[None]()
                asked.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
                bringing = threading.Thread(
                    target=self._bring, args=(self._fetch, asked), daemon=True
                )
                try:
                    bringing.start()
                except RuntimeError as error:  # no more threads
                    logger.warning("The provider's keys can't be asked for: %s", error)
                    self._under_way, self.failed = None, True
            return self._under_way

    def _bring(self, fetch: Callable[[], object], asked: Future[None]) -> None:
        found: tuple[ProviderKey, ...] = ()
        try:
            found = keys_of(fetch())
        except Exception as error:  # noqa: BLE001  # the application's own: whatever it raises
            logger.warning("The provider's keys can't be had: %s: %s", type(error).__name__, error)
        with self._lock:
            if self._newest is asked:  # else it was given up, and asked again since
                self.known, self.failed = found or self.known, not found
                self._under_way = None
        asked.set_result(None)

    def _give_up(self, asked: Future[None]) -> None:
        logger.warning("The provider's keys have not come within %s seconds", self._wait)
        with self._lock:
            if self._under_way is asked:
                self._under_way = None  # or one that hangs would be waited for ever after
                self.failed = True

    def _older_than(self, seconds: float) -> bool:
        asked_at = self._asked_at
        return asked_at is None or not 0 <= self._now() - asked_at < seconds
