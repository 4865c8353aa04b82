"""What clients of the field do, each with a reason here: the very structs and bytes that they send.

How they behave was learnt by running them and by reading them: omni and its test tools (GENI-NSF/geni-tools), geni-lib,
`sfi` of SFAWrap 3.1, jFed's XML-RPC library. The mistakes at the end are those of the reference aggregate manager.
"""

import base64
import re
import socket
import ssl
import xmlrpc.client
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from clients.simulated_server import SimulatedServer
from clients.wire import Wire, code

REQUEST = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="one"/></rspec>'
RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
NOBODY = "urn:publicid:IDN+plc+slice+never-made"


def rspec(body, *, kind="request", namespace="http://www.geni.net/resources/rspec/3"):
    return f'<rspec xmlns="{namespace}" type="{kind}">{body}</rspec>'


def raw(wire, octets):
    """Send octets over TLS and give back all that is answered until the server closes."""
    with (
        socket.create_connection(("127.0.0.1", wire.port), timeout=20) as plain,
        wire.context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(octets)
        return b"".join(iter(lambda: secured.recv(65536), b""))


def post(body, *, path="/am/3", version="1.1", headers=""):
    """A request as an old HTTP library writes it, ending the connection."""
    return (
        f"POST {path} HTTP/{version}\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/xml\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def answer_of(response):
    head, _, body = response.partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0], head
    return xmlrpc.client.loads(body)[0][0]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of two nodes for these tests. It ends without having written a traceback."""
    with SimulatedServer(tmp_path_factory.mktemp("server"), offers=2) as running:
        yield running
    assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def new_slice(server):
    """Makes slices of alice's."""
    numbers = count(1)
    return lambda: server.slice(f"s{next(numbers)}", "alice")


@pytest.fixture
def wire(server):
    """Alice's calls of version 3."""
    return Wire(server)


@pytest.fixture
def wire_at(server):
    """Alice's calls at another path."""
    return lambda path: Wire(server, path=path)


@pytest.fixture
def life(wire, new_slice):
    """A slice with one sliver that is provisioned, and the answer of Provision."""
    slice_ = new_slice()
    users = [{"urn": "urn:publicid:IDN+plc+user+alice", "keys": [wire.public_key]}]
    assert code(wire("Allocate", slice_.urn, slice_.credentials, REQUEST, {})) == 0
    answer = wire("Provision", [slice_.urn], slice_.credentials, {**RSPEC, "geni_users": users})
    assert code(answer) == 0
    return slice_


# All clients


@pytest.mark.parametrize("version", [2, 3])
def test_the_version_is_a_number_and_a_textual_key_of_the_versions(wire_at, version):
    answer = wire_at(f"/am/{version}")("GetVersion")
    assert answer["geni_api"] == answer["value"]["geni_api"] == version
    assert answer["value"]["geni_api_versions"][str(version)].endswith(f"/am/{version}")


@pytest.mark.parametrize("path", ["", "/", "/RPC2", "/am/", "/am/3", "/am/2"])
def test_an_address_may_lack_what_old_tools_leave_out(wire_at, path):
    assert code(wire_at(path)("GetVersion")) == 0


def test_a_new_connection_for_every_call_and_many_at_once(server, wire):
    def ask(_):
        return code(Wire(server)("GetVersion", {}))

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(ask, range(96))) == {0}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_taken_up_again(wire, version):
    wire.context.minimum_version = wire.context.maximum_version = version

    def connect(session=None):
        plain = socket.create_connection(("127.0.0.1", wire.port), timeout=20)
        with wire.context.wrap_socket(plain, server_hostname="localhost", session=session) as secured:
            body = xmlrpc.client.dumps((), "GetVersion").encode()
            secured.sendall(post(body))
            while secured.recv(65536):
                pass
            return secured.session, secured.session_reused

    session, _ = connect()
    assert connect(session)[1]


def test_a_client_that_knows_rsa_alone_is_served(wire):
    wire.context.maximum_version = ssl.TLSVersion.TLSv1_2
    wire.context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:AES256-SHA256")
    assert code(answer_of(raw(wire, post(xmlrpc.client.dumps((), "GetVersion").encode())))) == 0


@pytest.mark.parametrize("octets", [b"POST /RPC2 HTTP/1.0\r\n", b"GET / HTTP/1.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n"])
@pytest.mark.parametrize("port", ["am_port", "registry_port"])
def test_plain_http_on_a_port_of_tls_is_told_why_not(server, octets, port):
    with socket.create_connection(("127.0.0.1", getattr(server, port)), timeout=20) as plain:
        plain.sendall(octets + b"x" * 10_000)
        response = b"".join(iter(lambda: plain.recv(65536), b""))
    head, _, sentence = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert (sentence.count(b"\n"), b"https://" in sentence) == (1, True)


def test_python_s_own_client_shows_that_it_is_an_address_problem(server):
    proxy = xmlrpc.client.ServerProxy(f"http://localhost:{server.am_port}/")
    with pytest.raises(xmlrpc.client.ProtocolError) as refused:
        proxy.GetVersion()
    assert refused.value.errcode == 400


def test_http_1_0_and_a_body_in_chunks_and_one_that_asks_first(wire):
    body = xmlrpc.client.dumps((), "GetVersion").encode()
    assert code(answer_of(raw(wire, post(body, version="1.0")))) == 0
    chunked = (
        b"POST /am/3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
        + b"0\r\n\r\n"
    )
    response = raw(wire, chunked)
    assert response.startswith(b"HTTP/1.1 200 ")
    asked = raw(wire, post(body, headers="Expect: 100-continue\r\n"))
    assert asked.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def test_text_without_a_type_as_java_clients_write_it(wire, life):
    credential = life.credentials[0]["geni_value"].replace("&", "&amp;").replace("<", "&lt;")
    body = f"""<?xml version="1.0" encoding="UTF-8"?><methodCall><methodName>Status</methodName><params>
        <param><value><array><data><value>{life.urn}</value></data></array></value></param>
        <param><value><array><data><value><struct>
          <member><name>geni_type</name><value>geni_sfa</value></member>
          <member><name>geni_version</name><value>3</value></member>
          <member><name>geni_value</name><value>{credential}</value></member>
        </struct></value></data></array></value></param>
        <param><value><struct></struct></value></param></params></methodCall>"""
    assert code(answer_of(raw(wire, post(body.encode())))) == 0


# omni and its test tools


def test_single_allocation_arrives_as_a_number(wire):
    response = raw(wire, post(xmlrpc.client.dumps((), "GetVersion").encode()))
    assert re.search(rb"<name>geni_single_allocation</name>\s*<value><int>0</int></value>", response)


def test_all_that_tools_compare_is_ascii(wire, life):
    refused = wire(
        "Allocate", life.urn, life.credentials, rspec('<node client_id="zwölf µ"/><node client_id="ü"/>'), {}
    )
    status = wire("Status", [life.urn], life.credentials, {})["value"]
    assert refused["output"].isascii()
    assert all(text.isascii() for one in status["geni_slivers"] for text in one.values())


@pytest.mark.parametrize(
    ("method", "arguments", "expected"),
    [
        ("PerformOperationalAction", ("geni_fly", {}), 13),
        ("PerformOperationalAction", ("", {}), 13),
        ("Renew", ("the day after", {}), 1),
        ("Renew", ("", {}), 1),
        ("Status", (5,), 1),
        ("Describe", ({},), 1),
    ],
)
def test_a_code_answers_where_others_break(wire, life, method, arguments, expected):
    answer = wire(method, [life.urn], life.credentials, *arguments)
    assert (code(answer), answer["geni_api"]) == (expected, 3)
    assert answer["output"]


def test_a_slice_that_was_never_made_is_answered_with_a_code(wire, life):
    assert code(wire("Status", [NOBODY], life.credentials, {})) == 3


def test_too_few_and_too_many_arguments_are_answered_with_a_code(wire, life):
    for sent in ((), ([life.urn],), ([life.urn], life.credentials, {}, {}, {})):
        assert code(wire("Status", *sent)) == 1


@pytest.mark.parametrize("compressed", [True, 1, "True"])
def test_the_advertisement_as_omni_asks_for_it(wire, life, compressed):
    options = {
        **RSPEC,
        "geni_available": False,
        "geni_compressed": compressed,
        "geni_arbitrary_option": "x",
        "debug": 1,
    }
    answer = wire("ListResources", life.credentials, options)
    advertisement = zlib.decompress(base64.b64decode(answer["value"])).decode()
    assert advertisement.count("<node ") == advertisement.count('<available now="') == 2


def test_every_sliver_of_status_has_a_textual_error(wire, life):
    slivers = wire("Status", [life.urn], life.credentials, {})["value"]["geni_slivers"]
    assert slivers
    assert all(one["geni_error"] == "" for one in slivers)


def test_a_credential_that_omni_labels_unknown_is_refused_with_the_types_that_are_read(wire, life):
    labelled = [{**one, "geni_type": "geni_unknown"} for one in life.credentials]
    answer = wire("Describe", [life.urn], labelled, RSPEC)
    assert code(answer) == 1
    assert "geni_sfa 3" in answer["output"]
    # Beside one that can be read it does no harm.
    assert code(wire("Describe", [life.urn], [*labelled, *life.credentials], RSPEC)) == 0


def test_a_slice_without_slivers_is_described_as_empty(wire, wire_at, new_slice):
    slice_ = new_slice()
    described = wire("Describe", [slice_.urn], slice_.credentials, RSPEC)
    assert (code(described), described["value"]["geni_slivers"]) == (0, [])
    bare = [slice_.credentials[0]["geni_value"]]
    listed = wire_at("/am/2")("ListResources", bare, {**RSPEC, "geni_slice_urn": slice_.urn})
    assert (code(listed), listed["value"].count("<node")) == (0, 0)
    assert code(wire("Status", [slice_.urn], slice_.credentials, {})) == 12


def test_version_2_is_sent_bare_credentials_and_its_own_options(wire_at, new_slice):
    slice_, v2 = new_slice(), wire_at("/am/2")
    bare = [slice_.credentials[0]["geni_value"]]
    created = v2("CreateSliver", slice_.urn, bare, REQUEST, [], {"call_id": "a:b", "geni_speaking_for": ""})
    assert code(created) == 0
    assert 'type="manifest"' in created["value"]
    assert code(v2("DeleteSliver", slice_.urn, bare, {})) == 0


# geni-lib


@pytest.mark.parametrize("version", ["3", 3, "2", 2, 3.0])
@pytest.mark.parametrize("as_octets", [True, False])
def test_a_credential_as_text_or_as_octets_with_any_writing_of_its_version(wire, life, version, as_octets):
    value = life.credentials[0]["geni_value"]
    sent = {"geni_type": "geni_sfa", "geni_version": version, "geni_value": value.encode() if as_octets else value}
    assert code(wire("Status", [life.urn], [sent], {})) == 0


# sfi of SFAWrap 3.1


def test_sfi_shuts_down_with_two_arguments(server, wire, new_slice):
    slice_ = new_slice()
    wire("Allocate", slice_.urn, slice_.credentials, REQUEST, {})
    answer = wire("Shutdown", slice_.urn, slice_.credentials)
    assert (code(answer), answer["value"]) == (0, True)


def test_sfi_asks_with_lower_case_names_lists_and_a_call_id(wire, life):
    version = {
        "type": "geni",
        "version": "3",
        "schema": "http://www.geni.net/resources/rspec/3/ad.xsd",
        "namespace": "http://www.geni.net/resources/rspec/3",
        "extensions": ["http://www.protogeni.net/resources/rspec/ext/flack/1"],
    }
    options = {"call_id": "1700000000.1:1", "cached": True, "info": "x", "list_leases": "resources"}
    answer = wire("ListResources", life.credentials, {**options, "geni_rspec_version": version})
    assert code(answer) == 0
    assert "<node " in answer["value"]


def test_sfi_allocates_with_users_of_two_kinds(wire, new_slice):
    slice_ = new_slice()
    key = wire.public_key
    people = {"sfa_users": [{"person_id": 7, "keys": [key]}], "geni_users": [{"urn": "urn:x", "keys": [key]}]}
    assert code(wire("Allocate", slice_.urn, slice_.credentials, REQUEST, {"call_id": "1:1", **people})) == 0


def test_sfi_sends_what_its_user_typed_as_a_time(wire, life):
    for typed in ("+5d", "2015-04-31", "2027-01-01"):
        answer = wire("Renew", [life.urn], life.credentials, typed, {"call_id": "1:1"})
        assert code(answer) == 1
        assert "expiration_time" in answer["output"]


def test_certificates_in_credentials_are_tidy(server, life):
    """SFAWrap takes the text between the tags as it is, and its library stops at blanks."""
    texts = [life.credentials[0]["geni_value"], server.session("alice").user_credential()]
    found = [one for text in texts for one in re.findall(r"<X509Certificate>(.*?)</X509Certificate>", text, re.DOTALL)]
    assert found
    for one in found:
        assert one.strip("\n") == one.strip()
        assert all(line == line.strip() for line in one.splitlines())
        assert not one.endswith((" ", "\n"))


# Mistakes of the reference aggregate manager


def test_strangers_can_not_tell_which_slices_there_are(server, life):
    operator = Wire(server, "operator")
    mine = server.slice("mine-alone").credentials

    def refused(urn):
        answer = operator("Status", [urn], mine, {})
        return code(answer), re.sub(r"slice\+[a-z0-9-]+|\[request .*", "", answer["output"])

    assert refused(life.urn) == refused(NOBODY)
    assert refused(life.urn)[0] == 3


def test_the_advertisement_is_not_for_callers_without_a_credential(wire):
    assert code(wire("ListResources", [], RSPEC)) == 3


def test_a_component_id_is_a_wish_that_is_kept_or_refused(wire, new_slice):
    slice_ = new_slice()
    on = "urn:publicid:IDN+plc+node+node2"
    answer = wire("Allocate", slice_.urn, slice_.credentials, rspec(f'<node client_id="a" component_id="{on}"/>'), {})
    assert f'component_id="{on}"' in answer["value"]["geni_rspec"]
    nowhere = rspec('<node client_id="b" component_id="urn:publicid:IDN+plc+node+node99"/>')
    answer = wire("Allocate", slice_.urn, slice_.credentials, nowhere, {})
    assert code(answer) != 0
    assert "node99" in answer["output"]


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (rspec('<node client_id="a"><sliver_type name="mainframe"/></node>'), "mainframe"),
        (rspec('<node client_id="a" component_manager_id="urn:publicid:IDN+far+authority+cm"/>'), "far"),
        (rspec('<node client_id="twin"/><node client_id="twin"/>'), "twin"),
        (rspec('<node client_id="a"/>', kind="manifest"), "manifest"),
        (rspec('<node client_id="a"/>', namespace="http://www.geni.net/resources/rspec/4"), "rspec/4"),
        (rspec(""), "node"),
        ("", "rspec"),
        ("<rspec", "XML"),
    ],
)
def test_a_request_that_means_nothing_here_is_refused_by_name(wire, new_slice, document, named):
    slice_ = new_slice()
    answer = wire("Allocate", slice_.urn, slice_.credentials, document, {})
    assert code(answer) not in (0, 5)
    assert named.lower() in answer["output"].lower()
    assert code(wire("Status", [slice_.urn], slice_.credentials, {})) == 12  # and nothing was taken
