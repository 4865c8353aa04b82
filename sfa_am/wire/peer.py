"""Who is on the other side of a TLS connection: the certificate it proved, with the chain it sent.

A tool that speaks for users must be trusted itself, so the certificates between its own and a root matter. They come in
a full handshake only: a session that is taken up again has the tool's own certificate and no other, so chains are kept.
"""

from collections import OrderedDict
from typing import Any

from OpenSSL import crypto

from credentials import GID, CredentialError
from credentials.gid import LONGEST_CHAIN

_MOST_KEPT = 1024
_LARGEST_KEPT = 16 * 1024
"""Chains, and bytes of one: anybody can send us some. The longest seen in the field has four of 2 KiB."""

_kept: OrderedDict[bytes, tuple[tuple[bytes, ...], GID]] = OrderedDict()
"""Certificate in DER -> all that came with it last time, and what that says. For the reactor's thread alone."""


def gid_of(connection: Any) -> GID:
    """The certificate that the other side of a pyOpenSSL connection proved, not yet believed, with its chain.

    Raises CredentialError when it can't be read as one.
    """
    leaf = _der(connection.get_peer_certificate())  # never None: the handshake insists on one
    sent = (leaf, *map(_der, connection.get_peer_cert_chain() or ()))[:LONGEST_CHAIN]
    known = _kept.get(leaf)
    if known is None or (len(sent) > 1 and sent != known[0]):
        known = sent, _read(sent)
    if sum(map(len, known[0])) <= _LARGEST_KEPT:
        _kept[leaf] = known
        _kept.move_to_end(leaf)
    if len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)
    return known[1]


def _read(sent: tuple[bytes, ...]) -> GID:
    own = GID.parse(sent[0])
    try:
        return GID([GID.parse(der).leaf for der in sent])
    except CredentialError:
        return own  # what can't be read among the others is of no use; without it the caller may be known all the same


def _der(certificate: Any) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
