"""TLS in front of a server of the tests, with a certificate of the test's own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificate:
    """One that signs itself; `path` holds it, and beside it its key.

    Args:
        path: where it is written, as PEM.
        address: whose it is.
        names: names of the same host.
    """

    def __init__(self, path: Path, address: str = "127.0.0.1", names: Sequence[str] = ()) -> None:
        self.path = path
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "list.test")])
        now = datetime.datetime.now(datetime.UTC)
        hosts: list[x509.GeneralName] = [x509.DNSName(one) for one in names]
        hosts.append(x509.IPAddress(ipaddress.ip_address(address)))
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        path.write_bytes(
            made.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


class Terminator:
    """Takes TLS connections and passes on what they carry to a plain port of this machine.

    Args:
        port: the plain one.
        certificate: what it shows.

    Attributes:
        port: where it listens.
        served: how many connections got through the handshake.
    """

    def __init__(self, port: int, certificate: Certificate) -> None:
        self._target = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.path)
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self.served = 0
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._server = self._loop.run_until_complete(starting)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop, with every connection."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for _ in range(5):  # an aborted connection is closed in a later round of the loop
            await asyncio.sleep(0)

    async def _serve(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.served += 1
        try:
            await self._between(from_client, to_client)
        finally:
            to_client.close()
            self._connections.discard(task)

    async def _between(self, from_client: StreamReader, to_client: StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        passing = [
            asyncio.create_task(_pass_on(from_client, to_server)),
            asyncio.create_task(_pass_on(from_server, to_client)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in passing:
                one.cancel()
            to_server.close()
            await asyncio.gather(*passing, return_exceptions=True)


async def _pass_on(source: StreamReader, target: StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()
