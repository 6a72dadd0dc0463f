"""The key ring: secrets to Fernet keys, newest first.

Each secret goes through HKDF-SHA256 (RFC 5869) without salt, 32 bytes out, with this info:

    field("duck-cookie-session") field("1") field(cookie name) field(audience)

where field(x) is the length of x in UTF-8 as four bytes, big end first, followed by x; "1" is the
version of the token format. The 32 bytes are a Fernet key: 16 to sign, 16 to encrypt. So a token
made for one cookie name or audience is not accepted under another, even with the same secret.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..settings import SessionSettings, secret_bytes
from .claims import FORMAT_VERSION

LIBRARY = b"duck-cookie-session"


def _info(application: bytes) -> bytes:
    fields = (LIBRARY, b"%d" % FORMAT_VERSION)
    return b"".join(len(part).to_bytes(4, "big") + part for part in fields) + application


def derive_key(secret: str | bytes, application: bytes) -> bytes:
    """The Fernet key of one secret for one application, as 44 URL-safe base64 characters.

    Args:
        secret: at least 32 bytes; text counts as UTF-8.
        application: `SessionSettings.application`.
    """
    hkdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_info(application))
    return base64.urlsafe_b64encode(hkdf.derive(secret_bytes(secret)))


class KeyRing:
    """The keys of one application. The first encrypts, all decrypt. Immutable, thread-safe.

    Args:
        secrets: newest first.
        application: `SessionSettings.application`.
    """

    __slots__ = ("_fernets",)

    def __init__(self, secrets: Iterable[str | bytes], application: bytes) -> None:
        self._fernets = tuple(Fernet(derive_key(secret, application)) for secret in secrets)
        # cryptography sets itself up at its first use, under a lock that a fork in that moment
        # would leave locked in the child for good: so it is used once before anybody can fork.
        for fernet in self._fernets[:1]:
            fernet.decrypt(fernet.encrypt(b""))

    @classmethod
    def of(cls, settings: SessionSettings) -> KeyRing:
        """The key ring that the settings describe."""
        return cls(settings.secret_keys, settings.application)

    def encrypt(self, data: bytes, at: int) -> bytes:
        """A Fernet token under the newest key.

        Args:
            at: seconds since 1970; Fernet shows them to whoever holds the token.
        """
        return self._fernets[0].encrypt_at_time(data, at)

    def decrypt(self, token: bytes) -> tuple[bytes, int] | None:
        """What a Fernet token holds and the number of the key that opened it, 0 the newest.

        None where no key does. Fernet's own time limit is not used: the claims hold the expiry.
        """
        for number, fernet in enumerate(self._fernets):
            try:
                return fernet.decrypt(token), number
            except InvalidToken:
                continue
        return None
