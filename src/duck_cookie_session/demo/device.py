"""A browser without a window that keeps its session bound to a key (DBSC), for `demo --check`."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from .client import Answer, Browser

OFFER, CHALLENGE = "Secure-Session-Registration", "Secure-Session-Challenge"


def signed(
    private: ec.EllipticCurvePrivateKey,
    challenge: str,
    *,
    with_key: bool,
    typ: str = "dbsc+jwt",
    alg: str = "ES256",
) -> str:
    """The JWS that a browser makes: of a registration with its key, of a renewal without."""
    header: dict[str, object] = {"alg": alg, "typ": typ}
    if with_key:
        numbers = private.public_key().public_numbers()
        x, y = (_text(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        header["jwk"] = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    parts = (_text(json.dumps(part).encode()) for part in (header, {"jti": challenge}))
    text = ".".join(parts)
    r, s = decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class BindingBrowser(Browser):
    """A browser with a key of its own.

    Attributes:
        private: the key.
        instructions: what it was told at the registration; empty before.
    """

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    instructions: dict[str, object] = field(default_factory=dict)

    def register(self, port: int, login: Answer) -> int:
        """Take up the offer of a login's answer; the status of the answer, 0 without an offer."""
        found = re.search(r'path="([^"]+)";challenge="([^"]+)"', " ".join(login.all(OFFER)))
        if found is None:
            return 0
        answer = self._send(port, found[1], signed(self.private, found[2], with_key=True))
        if answer.status == 200:
            self.instructions = json.loads(answer.body)
        return answer.status

    def renew(self, port: int) -> tuple[int, int]:
        """Renew the proof; the statuses of the answers without a signature and with one."""
        path = str(self.instructions["refresh_url"])
        asked = self._send(port, path, None)
        challenge = re.search(r'"([^"]+)"', " ".join(asked.all(CHALLENGE)))
        if challenge is None:
            return asked.status, 0
        text = signed(self.private, challenge[1], with_key=False)
        return asked.status, self._send(port, path, text).status

    def _send(self, port: int, path: str, response: str | None) -> Answer:
        headers = {"Origin": self.origin(port), "Sec-Fetch-Site": "same-origin"}
        if self.instructions:
            headers["Sec-Secure-Session-Id"] = str(self.instructions["session_identifier"])
        if response is not None:
            headers["Secure-Session-Response"] = response
        return self.ask(port, "POST", path, headers, b"")
