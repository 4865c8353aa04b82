"""TLS for the doors: version 1.2 or newer, a client certificate from everybody.

The handshake proves that the caller holds the key of the certificate it shows, and no more. Whether to believe the
certificate is decided per call by `credentials`, for three reasons: certificates of the field break strict X.509
checks (missing extensions, SHA-1 roots), a refusal can then be a sentence instead of a broken connection, and the
registry must talk to people who come with a self-signed certificate to fetch their first GID.
"""

import secrets
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

    def __init__(self, *, key: Path, chain: Path) -> None:
        """key, chain: PEM files of the server; the chain is leaf first."""
        self._key, self._chain = key, chain
        self._shown = chain.read_bytes()
        self._context = _context(key, chain)

    def reload(self) -> bool:
        """Show the certificate that is in the file now to connections from here on. Returns whether it is another.

        Sessions of before are not resumed: clients make a full handshake once. Safe to call from any thread.
        """
        shown = self._chain.read_bytes()
        if shown == self._shown:
            return False
        self._context = _context(self._key, self._chain)
        self._shown = shown
        return True

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802 - Twisted's name
        """A new connection for Twisted's TLS protocol."""
        return SSL.Connection(self._context, None)


def _context(key: Path, chain: Path) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
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
