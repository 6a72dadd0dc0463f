"""A certificate authority of the tests' own, and a home in which Chromium trusts it.

Bound sessions need https with a certificate that the browser trusts:
`--ignore-certificate-errors` silently switches them off.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from duck_cookie_session.demo.certificate import make_certificates

FLAGS = (
    "--enable-features="
    "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting",
)
"""Switch bound sessions on, with keys in software: a test's machine has no security chip."""


@dataclass(frozen=True)
class Authority:
    """What was made.

    Attributes:
        certificate: of the authority, PEM.
        server: certificate and key of a server, in one file.
        home: of a browser that trusts it.
    """

    certificate: Path
    server: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of that browser."""
        return {**os.environ, "HOME": str(self.home)}


def make_authority(folder: Path, names: list[str]) -> Authority:
    """An authority, a server's certificate for these names, and a home that trusts it."""
    made = Authority(*make_certificates(folder, names), folder / "home")
    store = made.home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "tests", "-i", str(made.certificate)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *command], check=True)
    return made
