"""A certificate that is made anew while the server runs."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from OpenSSL import SSL

from credentials import GID, URN, Issuer, self_signed_root
from credentials.keys import new_ec_key
from sfa_am.authority import Authority
from sfa_am.authority.keys import SERVER_FOR
from sfa_am.wire.tls import ClientCertificateTLS

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
HOSTS = ["localhost"]


def authority(root_for=20 * 365 * DAY, now=NOW):
    key = new_ec_key()
    return Authority(Issuer(self_signed_root(URN("plc", "authority", "sa"), key, lifetime=root_for, now=now), key))


def shown_by(tls, folder):
    """The certificate that a client of a real handshake sees."""
    ours, theirs = socket.socketpair()

    def serve():
        connection = tls.serverConnectionForTLS(None)
        over = SSL.Connection(connection.get_context(), ours)
        over.set_accept_state()
        over.do_handshake()
        over.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder / "am.gid", folder / "am.key")
    with context.wrap_socket(theirs) as client:
        der = client.getpeercert(binary_form=True)
        client.sendall(b"x")
    thread.join(timeout=10)
    ours.close()
    return GID.parse(der).fingerprint


def on_disk(folder):
    return GID.parse((folder / "am.gid").read_bytes()).fingerprint


@pytest.mark.parametrize(
    ("age", "is_renewed"),
    [(SERVER_FOR * 2 / 3 - DAY, False), (SERVER_FOR * 2 / 3 + DAY, True), (SERVER_FOR + DAY, True)],
)
def test_it_is_made_anew_in_the_last_third_of_its_life(tmp_path, age, is_renewed):
    ours = authority()
    ours.certify_server(tmp_path, HOSTS, now=NOW)
    before, key = on_disk(tmp_path), (tmp_path / "am.key").read_bytes()
    assert ours.renew_server(tmp_path, HOSTS, now=NOW + age) is is_renewed
    assert (on_disk(tmp_path) != before) is is_renewed
    assert (tmp_path / "am.key").read_bytes() == key
    assert ours.renew_server(tmp_path, HOSTS, now=NOW + age) is False


def test_one_that_ends_with_the_root_is_not_made_anew_again_and_again(tmp_path):
    ours = authority(root_for=10 * DAY)
    ours.certify_server(tmp_path, HOSTS, now=NOW)
    assert ours.renew_server(tmp_path, HOSTS, now=NOW + 9 * DAY) is False
    assert ours.renew_server(tmp_path, HOSTS, now=NOW + 11 * DAY) is False


def test_new_connections_are_shown_the_new_certificate_without_a_restart(tmp_path):
    ours = authority()
    ours.certify_server(tmp_path, HOSTS, now=NOW)
    tls = ClientCertificateTLS((tmp_path / "am.key", tmp_path / "am.gid"))
    first = on_disk(tmp_path)
    assert shown_by(tls, tmp_path) == first
    assert tls.reload() is False
    ours.certify_server(tmp_path, HOSTS, now=NOW)
    assert shown_by(tls, tmp_path) == first
    assert tls.reload() is True
    assert shown_by(tls, tmp_path) == on_disk(tmp_path) != first
