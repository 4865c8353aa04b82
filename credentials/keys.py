"""Private keys: making, keeping and reading them, and the SSH form of public ones.

Files with private keys are readable by their owner only and appear whole or not at all.
"""

import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from credentials.errors import BadKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

RSA_BITS = 3072
"""Of the keys we make: 128 bits of strength, and every tool of the field reads RSA."""


LEAST_RSA_BITS = 2048
"""Of the keys that others bring to be certified."""


def new_rsa_key() -> rsa.RSAPrivateKey:
    """A key for a person or an authority: SFA tools know RSA only."""
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def new_ec_key() -> ec.EllipticCurvePrivateKey:
    """A key for a server: its handshakes cost a tenth of RSA's."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKey) -> bytes:
    """PKCS #8, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def openssh_pem(key: PrivateKey) -> bytes:
    """The form the `ssh` program reads, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def read_private_key(pem: bytes) -> PrivateKey:
    """An unencrypted private key, RSA or EC, in PEM. Raises BadKey."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise BadKey(f"not a private key that can be read: {e}") from e
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadKey("an RSA or EC private key is expected")
    return key


def ssh_public_key(key: PublicKey) -> str:
    """One line as in authorized_keys, without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def read_ssh_public_key(line: str) -> PublicKey:
    """The key of an OpenSSH public key line: EC, or RSA of 2048 bits and more. Raises BadKey."""
    try:
        key = serialization.load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm) as e:
        raise BadKey(f"not an OpenSSH public key: {e}") from e
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise BadKey("an RSA or ECDSA key is expected; other kinds can't be put into a certificate here")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA_BITS:
        raise BadKey(f"an RSA key of {key.key_size} bits is too short; {LEAST_RSA_BITS} bits or more are expected")
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, durably."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
