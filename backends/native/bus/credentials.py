"""Who we are on the bus: a folder with a certificate, two keys, and the roots of those we believe.

Two keys, because they answer two questions. TLS lets nobody but invited hosts reach the server's parser, and shows us
that it is the server; the nkey says which host this is, and what it may then send and read.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files of one user of the bus."""

    folder: Path

    @property
    def roots(self) -> Path:
        """PEM, who certifies the bus's servers."""
        return self.folder / "roots.pem"

    @property
    def certificate(self) -> Path:
        """PEM, our own."""
        return self.folder / "bus.pem"

    @property
    def key(self) -> Path:
        """PEM, the certificate's key."""
        return self.folder / "bus.key"

    @property
    def seed(self) -> Path:
        """The nkey's secret half."""
        return self.folder / "bus.seed"

    @property
    def missing(self) -> list[str]:
        """Names of the files that are not there."""
        files = (self.roots, self.certificate, self.key, self.seed)
        return [file.name for file in files if not file.is_file()]

    def tls(self) -> ssl.SSLContext:
        """For the client's side: the server must be certified by our roots, for the name it is called by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=str(self.roots))
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context
