"""TLS for the doors: version 1.2 or newer, a client certificate from everybody.

The handshake proves that the caller holds the key of the certificate it shows, and no more. Whether to believe the
certificate is decided per call by `credentials`, for three reasons: certificates of the field break strict X.509
checks (missing extensions, SHA-1 roots), a refusal can then be a sentence instead of a broken connection, and the
registry must talk to people who come with a self-signed certificate to fetch their first GID.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

_OP_NO_RENEGOTIATION = 1 << 30
"""OpenSSL's number: pyOpenSSL names it in newer releases only."""


@implementer(IOpenSSLServerConnectionCreator)
class ClientCertificateTLS:
    """Makes the server side of connections.

    Tools of this field open a new connection for every call, so sessions can be resumed, by ticket and by cache
    (Twisted's own `CertificateOptions` switches both off).
    """

    def __init__(self, *identities: tuple[Path, Path]) -> None:
        """identities: PEM files of the server's key and of its chain, leaf first; one for each kind of key.

        The client's abilities choose; where it has a choice, elliptic curves are cheaper for us.
        """
        self._identities = identities
        self._shown = self._on_disk()
        self._context = _context(identities)

    def reload(self) -> bool:
        """Show the certificates that are in the files now to connections from here on. Returns whether they changed.

        Sessions of before are not resumed: clients make a full handshake once. Safe to call from any thread.
        """
        shown = self._on_disk()
        if shown == self._shown:
            return False
        self._context = _context(self._identities)
        self._shown = shown
        return True

    def _on_disk(self) -> list[bytes]:
        return [chain.read_bytes() for _, chain in self._identities]

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802 - Twisted's name
        """A new connection for Twisted's TLS protocol."""
        return SSL.Connection(self._context, None)


def _context(identities: Sequence[tuple[Path, Path]]) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    for key, chain in identities:
        context.use_certificate_chain_file(str(chain))
        context.use_privatekey_file(str(key))
        context.check_privatekey()
    context.set_options(SSL.OP_NO_COMPRESSION | _OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _any_certificate)
    # Resuming a session with a client certificate needs an id, and one that no other server shares.
    context.set_session_id(secrets.token_bytes(16))
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
    return context


def _any_certificate(*_: object) -> bool:
    return True
