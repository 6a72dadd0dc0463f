"""A certificate authority of the tests' own, and a home in which Chromium trusts it.

Bound sessions need https with a certificate that the browser trusts:
`--ignore-certificate-errors` silently switches them off.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
    own, servers = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Tests", own, own, [])
    leaf = _certificate("Server", servers, own, names)
    made = Authority(folder / "authority.pem", folder / "server.pem", folder / "home")
    made.certificate.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    private = servers.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made.server.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    store = made.home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for command in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "tests", "-i", str(made.certificate)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *command], check=True)
    return made


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    names: list[str],
) -> x509.Certificate:
    """Of a server with names, of the authority without."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tests")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
    else:
        usage = dict.fromkeys(("digital_signature", "content_commitment"), False)
        usage |= dict.fromkeys(("key_encipherment", "data_encipherment"), False)
        usage |= dict.fromkeys(("key_agreement", "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    return builder.sign(signer, hashes.SHA256())
