"""Calls to servers of others: whom we believe, how long we wait, how much we read."""

import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from xmlrpc.client import Fault, dumps

import pytest
from conftest import Federation

from credentials import URN, Issuer, self_signed_root
from credentials.keys import new_ec_key, private_pem
from sfa_am.authority import Authority
from sfa_am.errors import BadArgs, Unavailable
from sfa_am.wire import outgoing
from sfa_am.wire.outgoing import Own, address_of

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Peer:
    """A root, and files for servers that it certified."""

    def __init__(self, folder, hosts=("127.0.0.1",)):
        folder.mkdir()
        key = new_ec_key()
        self.root = self_signed_root(URN("peer", "authority", "sa"), key, lifetime=DAY, now=NOW)
        authority = Authority(Issuer(self.root, key))
        authority.certify_server(folder, list(hosts), now=NOW)
        self.own = Own(key=folder / "am.key", chain=folder / "am.gid")
        (folder / "root.key").write_bytes(private_pem(key))
        (folder / "root.gid").write_text(self.root.pem)
        self.as_root = Own(key=folder / "root.key", chain=folder / "root.gid")


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    return Peer(tmp_path_factory.mktemp("keys") / "peer")


@contextmanager
def answering(*pieces, shown=None, pause=0.0, seen=None):
    """A server that answers each connection with these pieces of bytes, with pauses between; yields its URL."""
    context = None
    if shown is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.chain, shown.key)
    stopped = threading.Event()

    def answer(connection):
        with connection:
            connection.settimeout(5)
            stream = context.wrap_socket(connection, server_side=True) if context else connection
            with stream:
                request = _whole(stream)
                if seen is not None:
                    seen.append(request)
                for piece in pieces:
                    stream.sendall(piece)
                    stopped.wait(pause)

    def serve():
        while not stopped.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                answer(connection)
            except OSError:
                continue

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        try:
            yield f"{'https' if shown else 'http'}://127.0.0.1:{port}/crl.pem"
        finally:
            stopped.set()
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=10)


def _whole(stream):
    """A request with its body: a server that hangs up on a part of it resets the connection."""
    received = stream.recv(65536)
    while b"\r\n\r\n" in received:
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if len(body) >= (int(length[1]) if length else 0):
            break
        received += stream.recv(65536)
    return received


def http(body, status=b"200 OK", headers=b""):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


def xmlrpc(value):
    return http(dumps((value,), methodresponse=True).encode())


def get(url, peer, **more):
    return outgoing.get(url, own=peer.own, roots=[peer.root], **more)


def test_what_is_there_is_had_over_tls_and_without(peer):
    for shown in (peer.own, None):
        with answering(http(b"a list"), shown=shown) as url:
            assert get(url, peer) == b"a list"


def test_the_path_and_the_query_are_asked_for(peer):
    seen = []
    with answering(http(b""), seen=seen) as url:
        get(f"{url}?full=1", peer)
    assert seen[0].startswith(b"GET /crl.pem?full=1 HTTP/1.1\r\n")


def test_a_server_of_another_root_is_not_believed(peer, tmp_path):
    other = Peer(tmp_path / "other")
    with (
        answering(http(b"a list"), shown=other.own) as url,
        pytest.raises(Unavailable, match="is not who it should be"),
    ):
        get(url, peer)


def test_a_server_for_another_host_is_not_believed(peer, tmp_path):
    elsewhere = Peer(tmp_path / "other", hosts=["am.example.org"])
    with (
        answering(http(b"a list"), shown=elsewhere.own) as url,
        pytest.raises(Unavailable, match="a certificate for another host"),
    ):
        get(url, elsewhere)


def test_a_user_of_the_root_is_not_taken_for_its_server(peer, tmp_path):
    fed = Federation("peer", keys=new_ec_key)
    fed.issuer = Issuer(self_signed_root(fed.root.urn, fed.root_key, lifetime=DAY, now=NOW), fed.root_key)
    user = fed.issuer.issue_gid(URN("peer", "user", "eve"), fed.root_key.public_key(), lifetime=DAY, now=NOW)
    (tmp_path / "eve.key").write_bytes(private_pem(fed.root_key))
    (tmp_path / "eve.gid").write_text(user.pem)
    eve = Own(key=tmp_path / "eve.key", chain=tmp_path / "eve.gid")
    with answering(http(b"a list"), shown=eve) as url, pytest.raises(Unavailable):
        outgoing.get(url, own=peer.own, roots=[fed.issuer.gid])


def test_the_certificate_of_the_authority_itself_names_no_host_and_will_do(peer):
    with answering(http(b"a list"), shown=peer.as_root) as url:
        assert get(url, peer) == b"a list"


def test_calls_are_answered_and_faults_told(peer):
    with answering(xmlrpc({"hrn": "peer"}), shown=peer.own) as url:
        assert outgoing.call(url, "GetVersion", own=peer.own, roots=[peer.root]) == {"hrn": "peer"}
    fault = http(dumps(Fault(3, "no \x9b2J such thing")).encode())
    with (
        answering(fault, shown=peer.own) as url,
        pytest.raises(Unavailable, match=r"refused GetVersion: no .*such thing \(fault 3\)") as caught,
    ):
        outgoing.call(url, "GetVersion", own=peer.own, roots=[peer.root])
    assert str(caught.value).isprintable()


def test_only_who_says_so_calls_anybody(peer, tmp_path):
    other = Peer(tmp_path / "other")
    with answering(xmlrpc(["root"]), shown=other.own) as url:
        assert outgoing.call_anybody(url, "get_trusted_certs", own=peer.own) == ["root"]
        with pytest.raises(Unavailable, match="is not who it should be"):
            outgoing.call(url, "get_trusted_certs", own=peer.own, roots=[peer.root])


@pytest.mark.parametrize(
    "body",
    [b"", b"<html/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><methodResponse/>", dumps((1,), "call").encode(), b"\xff" * 99],
)
def test_what_is_no_answer_is_refused(peer, body):
    with answering(http(body), shown=peer.own) as url, pytest.raises(Unavailable, match="what is not XML-RPC"):
        outgoing.call(url, "GetVersion", own=peer.own, roots=[peer.root])


def test_the_chain_that_a_server_shows_is_had_without_believing_it(peer):
    with answering(shown=peer.own) as url:
        chain = outgoing.shown_chain(url, own=peer.own)
    assert [str(chain), str(chain.issuer)] == ["urn:publicid:IDN+peer+authority+am", str(peer.root)]


def test_no_chain_is_had_of_what_speaks_no_tls(peer):
    with answering(b"SSH-2.0-OpenSSH\r\n" * 10) as url, pytest.raises(Unavailable, match="does not speak TLS"):
        outgoing.shown_chain(url.replace("http:", "https:"), own=peer.own)


@pytest.mark.parametrize("is_tls", [True, False])
def test_a_peer_that_sends_a_byte_at_a_time_does_not_hold_us(peer, is_tls):
    slowly = [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 100]
    begin = time.monotonic()
    with (
        answering(*slowly, shown=peer.own if is_tls else None, pause=0.2) as url,
        pytest.raises(Unavailable, match=r"gave no whole answer within 0\.6 seconds"),
    ):
        get(url, peer, seconds=0.6)
    assert time.monotonic() - begin < 5


def test_a_peer_that_never_speaks_does_not_hold_us(peer):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="within"):
            get(url, peer, seconds=0.3)
        with pytest.raises(Unavailable, match="does not speak TLS"):
            outgoing.shown_chain(url, own=peer.own, seconds=0.3)


def test_no_more_is_read_than_can_be_meant(peer):
    large = b"x" * (outgoing.LARGEST + 1)
    with answering(http(large)) as url, pytest.raises(Unavailable, match="sends more than"):
        get(url, peer)


def test_half_an_answer_is_none(peer):
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") as url, pytest.raises(Unavailable):
        get(url, peer)


def test_nobody_is_followed_elsewhere(peer):
    moved = http(b"", status=b"302 Found", headers=b"Location: file:///etc/passwd\r\n")
    with answering(moved) as url, pytest.raises(Unavailable, match="answered 302; it leads to file:///etc/passwd"):
        get(url, peer)


def test_where_nobody_listens_is_told(peer):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unavailable, match="can't be reached"):
        get(f"https://127.0.0.1:{port}/", peer)


@pytest.mark.parametrize(
    "url",
    ["", "am.example.org", "ftp://a/", "file:///etc/passwd", "https://", "https://a:x/", "https://a/ b", "https://[/"],
)
def test_what_can_not_be_called_is_refused(url):
    with pytest.raises(BadArgs, match="not a URL"):
        address_of(url)


def test_calls_without_tls_are_refused(peer):
    with pytest.raises(BadArgs, match="begins with https"):
        outgoing.call("http://127.0.0.1:1/", "GetVersion", own=peer.own, roots=[])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a", "https://a:443/"),
        ("http://a:8080/x", "http://a:8080/x"),
        ("https://[::1]:12345/", "https://[::1]:12345/"),
    ],
)
def test_addresses_are_shown_whole(url, shown):
    assert address_of(url).url == shown
