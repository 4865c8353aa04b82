"""How this host joins: it makes its keys, asks with its invitation, and keeps what it is answered.

Nothing is sent before the server has proved that it holds the key whose fingerprint is in the token. Interrupted
anywhere, it may be asked to join again with the same token: the keys are there, and the server knows them.
"""

import hashlib
import http.client
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from backends import enrolment
from backends.enrolment import Admission, Application, Refusal, Token
from backends.native.node.home import Home

SECONDS = 30.0
"""For the whole question and its answer."""


class Refused(Exception):
    """This host can't join; the sentence says why."""


def join(token: Token, home: Home, *, bus: str | None = None, seconds: float = SECONDS) -> Admission:
    """Join with an invitation. bus: URLs to use in place of those that the server tells.

    Raises Refused, NotJoined (a folder that can't be used).
    """
    home.make()
    if home.has_joined:
        name = home.membership().name
        raise Refused(
            f"this host has joined as {name} already; to join anew, stop sfa-node and move {home.settings_file} away "
            "first: slivers that are here are removed then"
        )
    application = Application(secret=token.secret, nkey=home.nkey())
    admission = _ask(token, application, home, seconds)
    key = x509.load_pem_x509_certificate(admission.certificate.encode()).public_key()
    if key != home.key().public_key():
        raise Refused("the server's answer is for another host's key; tell its operator")
    home.keep(admission, bus=bus)
    return admission


def _ask(token: Token, application: Application, home: Home, seconds: float) -> Admission:
    address = urlsplit(token.url)
    host, port = address.hostname or "", address.port or 443
    try:
        stream = socket.create_connection((host, port), timeout=seconds)
    except (OSError, UnicodeError) as e:
        raise Refused(f"{token.url} can't be reached: {e}") from e
    # A deadline for the whole: a timeout is for each read, and a server that sends a byte now and then never meets it.
    with stream, stream.dup() as handle:
        end = threading.Timer(seconds, _hang_up, [handle])
        end.daemon = True
        end.start()
        try:
            with _over_tls(stream, host, home) as connection:
                _must_be(connection, token)
                return _answer(connection, address.path, host, application)
        except (OSError, http.client.HTTPException, ValueError) as e:
            raise Refused(f"{token.url} gave no answer that can be used: {e}") from e
        finally:
            end.cancel()


def _over_tls(stream: socket.socket, host: str, home: Home) -> ssl.SSLSocket:
    """A connection that proves our key. Whom it leads to is checked by `_must_be`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = home.folder / "joining.pem"
    home.write(shown, _self_signed(home.key()))
    try:
        context.load_cert_chain(str(shown), str(home.credentials.key))
    finally:
        shown.unlink()
    return context.wrap_socket(stream, server_hostname=host)


def _must_be(connection: ssl.SSLSocket, token: Token) -> None:
    """Raises Refused: the server holds another key than the one it was promised to hold."""
    certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if hashlib.sha256(key).hexdigest() != token.fingerprint:
        raise Refused(
            f"whoever answers at {token.url} is not the server that invited this host: its key has another "
            "fingerprint. Nothing was sent to it"
        )


def _answer(connection: ssl.SSLSocket, path: str, host: str, application: Application) -> Admission:
    asking = http.client.HTTPConnection(host)
    asking.sock = connection
    headers = {"Content-Type": "application/json", "Connection": "close"}
    asking.request("POST", f"{path.rstrip('/')}/{enrolment.PATH}", enrolment.write(application), headers)
    response = asking.getresponse()
    content = response.read(enrolment.LARGEST + 1)
    if len(content) > enrolment.LARGEST:
        raise ValueError(f"more than {enrolment.LARGEST} bytes")
    if response.status == http.HTTPStatus.OK:
        return enrolment.read(Admission, content)
    if response.getheader("content-type", "").startswith("application/json"):
        raise Refused(enrolment.read(Refusal, content).refusal)
    raise Refused(f"the server answered {response.status}; is it an aggregate manager that takes hosts?")


def _self_signed(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate that says nothing: TLS shows keys in no other way."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a host that wants to join")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _hang_up(handle: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        handle.shutdown(socket.SHUT_RDWR)
