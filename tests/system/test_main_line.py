"""The thin line that everything hangs on: a request, containers, SSH; and that no crash breaks it."""

import http.client
import socket
import ssl
import subprocess
import time
import xmlrpc.client
from datetime import UTC, datetime, timedelta

import pytest
from system.conftest import run_over_ssh
from system.server import RunningServer, allocate, provision, states

from rspec import read_manifest
from sfi_tool.aggregate_commands import RSPEC_VERSION
from sfi_tool.identity import as_struct
from sfi_tool.rspec_commands import EXAMPLE
from sfi_tool.servers import Refusal

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(300)]


def slice_of(server, name):
    return server.add_slice(name, "alice")


def ready(slice_):
    return set(states(slice_).values()) == {"geni_ready"}


def test_two_containers_and_a_link_can_be_logged_in_to(server, shared_reference):
    from lxml import etree

    s = slice_of(server, "main")
    allocate(s, EXAMPLE)
    provision(s)
    server.wait_for(lambda: ready(s))
    manifest = s.describe()["geni_rspec"]
    schema = etree.XMLSchema(etree.parse(str(shared_reference / "schemas" / "rspec-v3" / "manifest.xsd")))
    schema.assertValid(etree.fromstring(manifest.encode()))
    for node, peer in zip(read_manifest(manifest).nodes, ("10.0.1.2", "10.0.1.1"), strict=True):
        done = run_over_ssh(s.session.folder.key, node.logins[0], f"hostname; ping -c 1 -W 2 {peer}")
        assert done.stdout.startswith(f"{node.client_id}\n"), done.stderr
        assert "1 received" in done.stdout
    s.call("Delete", {})
    server.wait_for(lambda: server.left() == [])
    assert server.used() == 0


def test_the_advertisement_is_valid(server, shared_reference):
    from lxml import etree

    session = server.session("alice")
    text = session.aggregate.call_am(
        "ListResources", [as_struct(session.user_credential())], {"geni_rspec_version": RSPEC_VERSION}
    )
    schema = etree.XMLSchema(etree.parse(str(shared_reference / "schemas" / "rspec-v3" / "ad.xsd")))
    schema.assertValid(etree.fromstring(text.encode()))
    assert "<available now=" in text


def test_sfi_walks_the_whole_way(server, tmp_path):
    slice_of(server, "walk")
    request = tmp_path / "request.xml"
    request.write_text(server.sfi("alice", "rspec").stdout)
    for arguments, says in (
        (("create", "walk", request), "ready"),
        (("status", "walk"), "provisioned"),
        (("ssh", "walk", "left", "hostname"), "left"),
        (("action", "walk", "restart", "left"), "ready_busy"),
        (("status", "walk", "--wait"), "ready"),
        (("renew", "walk", "+1d"), "provisioned"),
        (("describe", "walk"), 'type="manifest"'),
        (("resources",), "container-small"),
        (("list",), "plc.alice"),
        (("show", "walk"), "plc.alice"),
        (("delete", "walk"), "Deleted 3 slivers"),
    ):
        done = server.sfi("alice", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        assert says in done.stdout, f"{arguments}: {done.stdout}"
    refused = server.sfi("alice", "status", "walk")
    assert refused.returncode == 1
    assert "code 12" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_user_fetches_their_own_certificate_and_nobody_elses(server):
    session = server.session("alice")
    session.folder.gid.unlink()
    session.fetch_gid()
    with pytest.raises(Refusal, match="not registered here with the key"):
        session.registry.call("GetSelfCredential", session.folder.gid.read_text(), "plc.operator", "user")
    operator = server.session()
    with pytest.raises(Refusal, match="not the certificate that this connection"):
        session.registry.call("GetSelfCredential", operator.folder.gid.read_text(), "plc.operator", "user")


def test_an_ordinary_user_registers_nobody_and_sees_no_foreign_slice(server):
    server.add_user("mallory")
    mallory = server.session("mallory")
    slice_of(server, "private")
    own = as_struct(mallory.user_credential())
    for call in (
        lambda: mallory.credential("plc", "authority"),
        lambda: mallory.credential("plc.private", "slice"),
        lambda: mallory.credential("plc.alice", "user"),
        lambda: mallory.registry.call("Register", {"hrn": "plc.eve", "type": "user", "email": "e@x"}, [own]),
        lambda: mallory.registry.call("Update", {"hrn": "plc.mallory", "type": "user", "role": "pi"}, [own]),
        lambda: mallory.registry.call("Update", {"hrn": "plc.alice", "type": "user", "email": "m@x"}, [own]),
        lambda: mallory.registry.call("Remove", "plc.alice", [own], "user"),
    ):
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.code == 3, caught.value


# Bad input, as bytes and as values


def connection(server, session=None):
    session = session or server.session("alice")
    context = ssl.create_default_context(cafile=str(session.folder.roots))
    context.load_cert_chain(str(session.gid), str(session.folder.key))
    return http.client.HTTPSConnection("localhost", server.am_port, context=context, timeout=30)


def post(server, body, headers=None):
    link = connection(server)
    link.request("POST", "/am/3", body, headers or {"Content-Type": "text/xml"})
    answer = link.getresponse()
    content = answer.read()
    link.close()
    return answer.status, content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"<methodCall>",
        b"<methodCall><methodName>A</methodName><params><param><value><int>x</int></value></param></params></methodCall>",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><methodCall><methodName>&b;</methodName></methodCall>',
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><methodCall>&b;</methodCall>',
        b"\xff\xfe\x00\x00",
        b"<methodCall><methodName>NoSuchMethod</methodName></methodCall>",
    ],
)
def test_malformed_calls_are_faults_without_a_traceback(server, body):
    status, content = post(server, body)
    assert status == 200
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(content)
    assert b"Traceback" not in content
    assert b"File " not in content
    assert caught.value.faultCode < 0


def test_bodies_past_the_limit_are_refused_whether_they_say_so_or_not(server):
    status, _ = post(server, b"", {"Content-Length": str(10**9)})
    assert status == 413
    link = connection(server)
    link.putrequest("POST", "/am/3")
    link.putheader("Transfer-Encoding", "chunked")
    link.endheaders()
    try:
        for _ in range(40):
            link.send(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
        status = link.getresponse().status
    except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
        status = 413  # it hung up while we were still talking
    assert status == 413
    link.close()
    assert server.session("alice").aggregate.call_am("GetVersion")["geni_api"] == 3


def greet(context, port):
    """One HTTP exchange, which must fail."""
    with (
        socket.create_connection(("localhost", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return link.recv(1)


def test_without_a_certificate_there_is_no_conversation(server):
    context = ssl.create_default_context(cafile=str(server.session("alice").folder.roots))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greet(context, server.am_port)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("version", "spoken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_tls_is_spoken_from_version_1_2_on(server, version, spoken):
    folder = server.session("alice").folder
    done = subprocess.run(
        [
            *("openssl", "s_client", "-connect", f"localhost:{server.am_port}", version),
            *("-cipher", "ALL:@SECLEVEL=0", "-cert", folder.gid, "-key", folder.key, "-CAfile", folder.roots),
        ],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ("Verify return code: 0 (ok)" in done.stdout and "Cipher is (NONE)" not in done.stdout) is spoken


def test_one_connection_serves_many_calls(server):
    link = connection(server)
    for _ in range(3):
        link.request("POST", "/am/3", xmlrpc.client.dumps((), "GetVersion"), {"Content-Type": "text/xml"})
        answer = link.getresponse()
        assert b"geni_api_versions" in answer.read()
    assert link.sock is not None
    link.close()


def call_of(server, method, *arguments):
    return server.session("alice").aggregate.call(method, *arguments)


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("Allocate", (), 1),
        ("Allocate", (1, 2, 3, 4), 1),
        ("Status", ("a", "b", "c", "d", "e"), 1),
        ("Describe", (["urn:publicid:IDN+plc+slice+x"], [], {}), 1),
        ("ListResources", ([], {"geni_rspec_version": {"type": "ProtoGENI", "version": "2"}}), 4),
        ("ListResources", ([], {"geni_rspec_version": {"type": "GENI", "version": "3"}}), 3),
        ("Status", (["urn:publicid:IDN+plc+slice+x"], ["<nonsense/>"], {}), 3),
        ("Status", (["urn:publicid:IDN+plc+slice+x"], [{"geni_type": "geni_unknown", "geni_value": "x"}], {}), 1),
        ("Shutdown", ("urn:publicid:IDN+plc+user+alice", [], {}), 1),
    ],
)
def test_wrong_arguments_get_the_specifications_code_and_a_sentence(server, method, arguments, code):
    answer = call_of(server, method, *arguments)
    assert answer["code"]["geni_code"] == code, answer
    assert answer["geni_api"] == 3
    assert len(answer["output"]) > 20
    assert answer["output"].isascii()
    assert "[request " in answer["output"]


def test_a_time_without_zone_or_in_the_past_is_refused_with_a_sentence(server):
    s = slice_of(server, "times")
    allocate(s, EXAMPLE)
    for end, says in (
        ("2030-01-01T00:00:00", "no time zone"),
        ("2001-01-01T00:00:00Z", "past"),
        ("soon", "not a time"),
    ):
        with pytest.raises(Refusal, match=says) as caught:
            s.call("Renew", end, {})
        assert caught.value.code == 1
    far = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(Refusal) as caught:
        s.call("Renew", far, {})
    assert caught.value.code == 7
    assert datetime.fromisoformat(caught.value.value) < datetime.fromisoformat(far)
    s.call("Delete", {})


def test_ten_thousand_nodes_are_refused_and_the_server_goes_on(server):
    s = slice_of(server, "huge")
    nodes = "".join(f'<node client_id="n{i}"/>' for i in range(10_000))
    with pytest.raises(Refusal) as caught:
        allocate(s, f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{nodes}</rspec>')
    assert caught.value.code == 6
    assert s.session.aggregate.call_am("GetVersion")["geni_api"] == 3


def test_a_request_number_leads_from_the_reply_to_the_log(server):
    answer = call_of(server, "Status", ["urn:publicid:IDN+plc+slice+x"], ["<nonsense/>"], {})
    number = answer["output"].rpartition("[request ")[2].rstrip("]")
    assert f'"request": "{number}"' in server.log.read_text()


def test_a_second_server_says_what_is_in_its_way(server, images, tmp_path):
    same_folder = server.sfa_am_fails("serve")
    assert "is in use by another server" in same_folder
    other = RunningServer(tmp_path, images, **{"server.am_port": str(server.am_port)})
    assert f"can't listen on 127.0.0.1 port {server.am_port}" in other.sfa_am_fails("serve")
    other.remove()


# Crashes


@pytest.fixture(scope="module")
def mortal_server(images):
    """A server that tests kill, one after the other."""
    import shutil
    import tempfile
    from pathlib import Path

    from backends.native.cleanup import leftovers

    home = Path(tempfile.mkdtemp(prefix="sfa-am-test-"))
    running = RunningServer(home, images)
    try:
        running.start()
        running.add_user("alice")
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.kill()
        running.remove()
        left = leftovers(running.backend, slivers_only=False)
        shutil.rmtree(home)
    assert left == []


@pytest.fixture
def own_server(mortal_server):
    """It, running; what a test made there must be gone when it ends."""
    if not mortal_server.is_listening():  # a test failed after it had killed it
        mortal_server.start()
    return mortal_server


@pytest.mark.parametrize("after", [0.0, 0.03, 0.06, 0.1, 0.15, 0.25])
def test_killed_during_provision_the_aggregate_finishes_what_it_had_promised(own_server, after):
    s = own_server.add_slice(name := f"making{1000 * after:.0f}", "alice")
    allocate(s, EXAMPLE)
    provision(s)
    time.sleep(after)
    own_server.kill()
    own_server.start()
    s = type(s)(own_server.session("alice"), name)
    own_server.wait_for(lambda: ready(s))
    for node in read_manifest(s.describe()["geni_rspec"]).nodes:
        assert run_over_ssh(s.session.folder.key, node.logins[0], "hostname").stdout == f"{node.client_id}\n"
    s.call("Delete", {})
    own_server.wait_for(lambda: own_server.left() == [] and own_server.used() == 0)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_killed_during_delete_the_aggregate_cleans_up(own_server, after):
    s = own_server.add_slice(f"deleting{1000 * after:.0f}", "alice")
    allocate(s, EXAMPLE)
    provision(s)
    own_server.wait_for(lambda: ready(s))
    s.call("Delete", {})
    time.sleep(after)
    own_server.kill()
    own_server.start()
    own_server.wait_for(lambda: own_server.left() == [] and own_server.used() == 0)


def test_slivers_go_on_while_the_server_is_dead_and_are_adopted_after(own_server):
    s = own_server.add_slice("alive", "alice")
    allocate(s, EXAMPLE)
    provision(s)
    own_server.wait_for(lambda: ready(s))
    login = read_manifest(s.describe()["geni_rspec"]).nodes[0].logins[0]
    since = run_over_ssh(s.session.folder.key, login, "stat -c %Y /proc/1").stdout
    own_server.kill()
    assert run_over_ssh(s.session.folder.key, login, "stat -c %Y /proc/1").stdout == since != ""
    own_server.start()
    s = type(s)(own_server.session("alice"), "alive")
    assert ready(s)
    assert run_over_ssh(s.session.folder.key, login, "stat -c %Y /proc/1").stdout == since
    s.call("Delete", {})
    own_server.wait_for(lambda: own_server.left() == [])


def test_a_machine_that_a_researcher_halts_comes_back(own_server):
    s = own_server.add_slice("halt", "alice")
    allocate(s, EXAMPLE)
    provision(s)
    own_server.wait_for(lambda: ready(s))
    login = read_manifest(s.describe()["geni_rspec"]).nodes[0].logins[0]
    since = run_over_ssh(s.session.folder.key, login, "stat -c %Y /proc/1").stdout
    run_over_ssh(s.session.folder.key, login, "sudo kill -USR1 1")

    def came_back():
        now = run_over_ssh(s.session.folder.key, login, "stat -c %Y /proc/1").stdout
        return now not in ("", since)

    own_server.wait_for(came_back)
    own_server.wait_for(lambda: ready(s))
    s.call("Delete", {})
    own_server.wait_for(lambda: own_server.left() == [])


def test_leases_end_by_themselves(images, own_server):
    s = own_server.add_slice("lease", "alice")
    allocate(s, EXAMPLE)
    provision(s)
    own_server.wait_for(lambda: ready(s))
    soon = (datetime.now(UTC) + timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    s.call("Renew", soon, {})
    own_server.wait_for(lambda: own_server.left() == [] and own_server.used() == 0)
    with pytest.raises(Refusal) as caught:
        s.call("Status", {})
    assert caught.value.code == 12
