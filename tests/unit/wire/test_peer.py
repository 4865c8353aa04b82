"""Who is on the other side of a connection, over real TLS without a network: also when a session is taken up again."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Federation
from OpenSSL import SSL

from credentials import URN, Issuer
from credentials.keys import new_ec_key, private_pem
from sfa_am.wire.peer import gid_of
from sfa_am.wire.tls import ClientCertificateTLS


@pytest.fixture(scope="module")
def site():
    """A sub-authority; its certificates are good today, as the handshake has no other clock."""
    fed, key, now = Federation("plc", keys=new_ec_key), new_ec_key(), datetime.now(UTC)
    urn = URN("plc:site", "authority", "sa")
    gid = fed.issuer.issue_gid(urn, key.public_key(), lifetime=timedelta(days=3650), now=now, is_authority=True)
    return Issuer(gid, key)


class Tool:
    """A client with a certificate of `site`, and a server to talk to."""

    def __init__(self, site, folder, version):
        key = new_ec_key()
        self.gid = site.issue_gid(
            URN("plc:site", "tool", "t"), key.public_key(), lifetime=timedelta(days=9), now=datetime.now(UTC)
        )
        (folder / "key.pem").write_bytes(private_pem(key))
        (folder / "chain.pem").write_text(self.gid.pem)
        (folder / "leaf.pem").write_text(self.gid.leaf_pem)
        self.folder, self.version = folder, version
        self.server = ClientCertificateTLS((folder / "key.pem", folder / "chain.pem"))
        self.with_chain, self.alone = self.context("chain.pem"), self.context("leaf.pem")

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, self.version
        context.load_cert_chain(self.folder / name, self.folder / "key.pem")
        return context

    def connect(self, context, session=None):
        """(whom the server sees, the client's session, whether it was taken up again)"""
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, session=session)
        server = self.server.serverConnectionForTLS(None)
        server.set_accept_state()

        def step(act):
            with suppress(ssl.SSLWantReadError, SSL.WantReadError):
                act()
            if to_server.pending:
                server.bio_write(to_server.read())
            with suppress(SSL.WantReadError):
                to_client.write(server.bio_read(1 << 16))

        for _ in range(4):
            step(client.do_handshake)
            step(server.do_handshake)
        step(lambda: server.send(b"x"))
        assert client.read(1) == b"x"
        return gid_of(server), client.session, client.session_reused


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def tool(site, tmp_path, request):
    return Tool(site, tmp_path, request.param)


def test_the_chain_that_a_client_sends_comes_with_its_certificate(tool):
    seen, _, _ = tool.connect(tool.with_chain)
    assert [one.fingerprint for one in seen.certificates] == [one.fingerprint for one in tool.gid.certificates]


def test_a_session_that_is_taken_up_again_has_the_chain_of_its_beginning(tool):
    _, session, _ = tool.connect(tool.with_chain)
    seen, _, is_resumed = tool.connect(tool.with_chain, session)
    assert is_resumed
    assert len(seen.certificates) == 3


def test_a_client_that_sends_no_chain_has_none(tool):
    seen, session, _ = tool.connect(tool.alone)
    assert seen.fingerprint == tool.gid.fingerprint
    assert len(seen.certificates) == 1
    assert len(tool.connect(tool.alone, session)[0].certificates) == 1
    assert len(tool.connect(tool.with_chain)[0].certificates) == 3
