"""A certificate authority that lives as long as the demo, and a certificate that it signs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = datetime.timedelta(days=1)


def make_certificates(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Make an authority and a server's certificate, good from yesterday until tomorrow.

    The authority's private key is kept nowhere: nobody can have it sign anything else.

    Args:
        folder: where they are written, as PEM.
        names: host names of the server.

    Returns:
        The authority's certificate, which a browser is to trust; the server's with its key.
    """
    own, servers = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority, server = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(_pem(_certificate(own, own, [])))
    private = servers.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server.touch(0o600)
    server.write_bytes(private + _pem(_certificate(servers, own, names)))
    return authority, server


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(
    key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, names: Sequence[str]
) -> x509.Certificate:
    """Of a server with names, of the authority without."""
    now = datetime.datetime.now(datetime.UTC)
    subject = "server" if names else "authority"
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
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


def _name(subject: str) -> x509.Name:
    text = f"duck-cookie-session demo, {subject}"
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
