"""What is underneath is named in nothing that anybody is told, whatever they send: every byte of it is searched.

SFA_HIDDEN_EXAMPLES=20000 sends more, and other things each time.
"""

import os
import random
import socket
import xmlrpc.client

import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from system.conftest import serving
from system.listening import NEVER, RSPEC, Listener, Talk, names_of_host
from system.server import RunningServer

from bench.barrage import Barrage
from sfi_tool.identity import as_struct
from sfi_tool.rspec_commands import EXAMPLE

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(300)]

EXAMPLES = int(os.environ.get("SFA_HIDDEN_EXAMPLES", "0"))
ALICE = "urn:publicid:IDN+plc+user+alice"
BODY_LIMIT = 20480 * 1024
"""Bytes: the server's default."""


@pytest.fixture(scope="module")
def server(images):
    """One that waits for nobody for long."""
    hurry = {"server.headers_seconds": "1", "server.body_seconds": "2", "server.idle_seconds": "60"}
    with serving(lambda home: RunningServer(home, images, **hurry)) as running:
        yield running


@pytest.fixture(scope="module")
def listener(server):
    """Alice's."""
    return Listener(server.session("alice"), names_of_host(server.backend, server.place.addresses))


@pytest.fixture(scope="module")
def operator(server, listener):
    return Listener(server.session(), listener.secrets)


@pytest.fixture(scope="module")
def talk(server, listener):
    """A slice with slivers in it."""
    made = Talk(listener, server, server.add_slice("any", "alice"))
    made.v2("CreateSliver", EXAMPLE, made.users, {})
    server.wait_for(lambda: made.states() == {"geni_ready"})
    yield made
    made.v3("Delete", {})
    server.wait_for(lambda: server.left() == [])


def test_damaged_credentials(server, listener, talk):
    whole = talk.slice.credential
    others = server.session().user_credential()
    bad = ["", "<", "<a/>", others, whole[:-20], whole.replace("<owner_gid>", "<owner_gid>x"), "x" * 1000]
    bad += [whole.replace("</privilege>", "<x/></privilege>", 1), whole.replace("2", "3"), "<!DOCTYPE a>" + whole]
    bad += [whole.replace("MII", "MIJ"), whole.replace("<expires>2", "<expires>1"), whole.replace("rsa-sha", "md5-sha")]
    for document in (*bad, *(whole.replace(f"<{tag}", "<x") for tag in ("serial", "signatures", "Signature", "type"))):
        for path, credential in (("/am/3", as_struct(document)), ("/am/2", document)):
            listener.call(server.am_port, path, "ListResources", [credential], RSPEC)
        listener.call(server.am_port, "/am/3", "Status", [talk.slice.urn], [as_struct(document)], {})
        abac = {"geni_type": "geni_abac", "geni_version": "1", "geni_value": document}
        speaking = {"geni_speaking_for": ALICE}
        listener.call(server.am_port, "/am/3", "Status", [talk.slice.urn], [abac, as_struct(whole)], speaking)
        listener.call(server.registry_port, "/", "Resolve", ["plc.alice"], [document])
        listener.call(server.registry_port, "/sa", "lookup", "SLICE", [abac], {"speaking_for": ALICE})
    assert listener.heard["code 3"] > 10


def test_all_methods_of_the_authority_with_what_fits_and_what_does_not(server, listener, operator, talk):
    rng = random.Random(EXAMPLES or 1)  # noqa: S311 - repeatable is what matters
    for heard in (listener, operator):
        credential, certificate = heard.session.user_credential(), heard.session.gid.read_text()
        for path, sent in (
            ("/", calls_of_registry(credential, certificate)),
            *((door, calls_of_clearinghouse(talk)) for door in ("/sr", "/ma", "/sa")),
        ):
            for method in methods_of(heard, server.registry_port, path):
                for arguments in rng.sample(sent, min(EXAMPLES or 20, len(sent))):
                    heard.call(server.registry_port, path, method, *arguments)
        assert heard.heard["value"] > 50
        assert len(heard.heard) > 4, heard.heard


def calls_of_clearinghouse(talk):
    """Arguments that fit some method each."""
    slice_urn, project, key = talk.slice.urn, "urn:publicid:IDN+plc+project+p", talk.users[0]["keys"][0]
    fields = (
        {"SLICE_NAME": "new", "SLICE_PROJECT_URN": project},
        {"PROJECT_NAME": "p"},
        {"PROJECT_NAME": "P P"},
        {"KEY_MEMBER": ALICE, "KEY_PUBLIC": key},
        {"KEY_MEMBER": ALICE, "KEY_PUBLIC": "ssh-rsa AAAA", "KEY_PRIVATE": "x"},
        {"SLICE_EXPIRATION": "2999-01-01", "MEMBER_FIRSTNAME": "A", "PROJECT_DESCRIPTION": "d"},
        {"SLIVER_INFO_URN": "x"},
        "nothing",
    )
    matches = ({}, {"match": {"NO_SUCH": 1}}, {"match": {"SLICE_EXPIRED": "?"}}, {"filter": ["NO"]}, {"filter": 5})
    member = {"SLICE_MEMBER": ALICE, "SLICE_ROLE": "KING", "PROJECT_MEMBER": ALICE, "PROJECT_ROLE": "LEAD"}
    options = [{"fields": one} for one in fields] + [*matches, {"members_to_add": [member]}, {"members_to_remove": 1}]
    kinds = ("SLICE", "PROJECT", "MEMBER", "KEY", "SLIVER_INFO", "SERVICE", "CHAIR")
    sent = [(), ([], {}), ({},), (slice_urn,), (ALICE,), ("2999",), (1, 2, 3, 4, 5, 6), ([slice_urn, ALICE],)]
    for one in options:
        sent += [([], one), *((name, [], one) for name in (ALICE, slice_urn, project, *kinds))]
        sent += [(kind, name, [], one) for kind in kinds for name in (ALICE, slice_urn, project, "x")]
    return sent


def calls_of_registry(credential, certificate):
    """Likewise."""
    records = ({"hrn": "plc.x", "type": "user", "email": "e@x", "keys": ["ssh-rsa AAAA"]}, {"hrn": "plc.s.x"}, {}, 5)
    records += ({"hrn": "plc.n1", "type": "node", "hostname": "n"}, {"hrn": "plc.x", "type": "throne"})
    names = ("plc", "plc.alice", "plc.any", "nobody.here", "urn:publicid:IDN+plc+tree+x", "..", "*", 7, ["plc"])
    sent = [(), ([credential],), (credential,), (1, 2, 3, 4, 5), ([certificate],), *((one,) for one in names)]
    for name in names:
        sent += [(name, [credential]), ([name], [credential]), ([credential], name, "slice")]
        sent += [(name, [credential], kind) for kind in ("node", "x")]
        sent += [(certificate, name, "user"), ("x", name, "user"), ([credential], name, certificate)]
    return sent + [(record, [credential]) for record in records]


def methods_of(listener, port, path):
    """All that a door knows, as it says itself; what would end the slice that others are about to use is left out."""
    fault = listener.call(port, path, "NoSuchMethod")
    return [name for name in fault.faultString.rpartition("known are ")[2].split(", ") if name != "DeleteSlice"]


# Whatever comes in


def anything():
    simple = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False)
    simple |= st.sampled_from(["", "geni_sfa", NEVER, "<rspec/>", "2030-01-01T00:00:00Z", "plc.alice", "\u2028\xe9"])
    simple |= st.text("abcxyz<>&;:/+. 019\n\xe9\u2028", max_size=30)
    simple |= st.sampled_from([xmlrpc.client.DateTime("20300101T00:00:00"), xmlrpc.client.Binary(b"\xff\x00abc")])
    names = "geni_type geni_version geni_value type version urn keys geni_users geni_end_time geni_rspec_version x"
    words = st.sampled_from([*names.split(), "geni_speaking_for", "geni_best_effort", "geni_compressed", "match"])
    return st.recursive(
        simple, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
    )


@st.composite
def damaged(draw, text):
    """With pieces cut out, doubled, or put in."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text)))
        length = draw(st.integers(1, 60))
        match draw(st.sampled_from(["cut", "double", "markup", "digit"])):
            case "cut":
                text = text[:place] + text[place + length :]
            case "double":
                text = text[:place] + text[place : place + length] + text[place:]
            case "markup":
                text = text[:place] + draw(st.sampled_from(["<", ">", "&", '"', "<a/>", "]]>", "\x7f"])) + text[place:]
            case _:
                text = text[:place] + draw(st.sampled_from(["0", "-1", "9" * 20, "x"])) + text[place + 1 :]
    return text


@pytest.fixture(scope="module")
def targets(server, talk):
    """A call of each method as it should be, by port, path and method; the slice has slivers in it."""
    urn, v3, v2 = talk.slice.urn, talk.slice.credentials, [talk.slice.credential]
    user = talk.slice.session.user_credential()
    people = {**RSPEC, "geni_users": talk.users}
    am, books = server.am_port, server.registry_port
    return [
        (am, "/am/3", "GetVersion", ()),
        (am, "/am/3", "ListResources", (v3, RSPEC)),
        (am, "/am/3", "Allocate", (urn, v3, EXAMPLE, {"geni_end_time": "2030-01-01T00:00:00Z"})),
        (am, "/am/3", "Provision", ([urn], v3, people)),
        (am, "/am/3", "Describe", ([urn], v3, RSPEC)),
        (am, "/am/3", "Status", ([urn], v3, {})),
        (am, "/am/3", "Renew", ([urn], v3, "2030-01-01T00:00:00Z", {"geni_extend_alap": True})),
        (am, "/am/3", "PerformOperationalAction", ([urn], v3, "geni_start", people)),
        (am, "/am/3", "Update", ([urn], v3, EXAMPLE, {"sfa_dry_run": True})),
        (am, "/am/3", "Cancel", ([urn], v3, {})),
        (am, "/am/3", "Delete", (["urn:publicid:IDN+plc+sliver+0"], v3, {})),
        (am, "/am/3", "Shutdown", (NEVER, v3, {})),
        (am, "/am/2", "CreateSliver", (urn, v2, EXAMPLE, talk.users, {})),
        (am, "/am/2", "SliverStatus", (urn, v2, {})),
        (am, "/am/2", "RenewSliver", (urn, v2, "2030-01-01T00:00:00Z", {})),
        (am, "/am/2", "ListResources", (v2, {**RSPEC, "geni_slice_urn": urn})),
        (am, "/", "Status", ([urn], v3, {})),
        (books, "/", "GetCredential", ([user], "plc.any", "slice")),
        (books, "/", "Resolve", (["plc.any", "plc.alice"], [user], {"details": True})),
        (books, "/", "List", ("plc", [user], {"recursive": True})),
        (books, "/", "Register", ({"hrn": "plc.y", "type": "user", "email": "e@x"}, [user])),
        (books, "/", "Update", ({"hrn": "plc.any", "type": "slice", "reg-researchers": ["plc.alice"]}, [user])),
        (books, "/", "CreateGid", ([user], "plc.alice")),
        (books, "/ma", "lookup", ("MEMBER", [], {"match": {"MEMBER_URN": ALICE}})),
        (books, "/ma", "create", ("KEY", [], {"fields": {"KEY_PUBLIC": "ssh-rsa AAAA"}})),
        (books, "/sa", "create", ("SLICE", [], {"fields": {"SLICE_NAME": "any"}})),
        (books, "/sa", "update", ("SLICE", urn, [], {"fields": {"SLICE_EXPIRATION": "2030-01-01"}})),
        (books, "/sa", "modify_membership", ("SLICE", urn, [], {"members_to_change": [{"SLICE_MEMBER": "x"}]})),
        (books, "/sr", "lookup_authorities_for_urns", ([urn],)),
        (am, "/nodes", "Status", ()),
    ]


@settings(
    max_examples=EXAMPLES or 600,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_arguments_of_any_type_and_number(listener, targets, data):
    port, path, method, good = data.draw(st.sampled_from(targets))
    sent = list(good)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(sent)))
        match data.draw(st.sampled_from(["instead", "inside", "without", "more"])):
            case "inside" if place < len(sent):
                sent[place] = data.draw(changed_inside(sent[place]))
            case "without" if place < len(sent):
                del sent[place]
            case "more":
                sent.insert(place, data.draw(anything()))
            case _:
                sent[place : place + 1] = [data.draw(anything())]
    listener.call(port, path, method, *sent)


@st.composite
def changed_inside(draw, value):
    """A value with one thing in it changed, as deep as it goes."""
    if isinstance(value, str):
        return draw(damaged(value) | anything())
    if isinstance(value, list) and value:
        place = draw(st.integers(0, len(value) - 1))
        return [draw(changed_inside(one)) if n == place else one for n, one in enumerate(value)]
    if isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(changed_inside(value[name]))}
    return draw(anything())


# What is not XML-RPC at all


@pytest.mark.parametrize("port", ["am_port", "registry_port"])
def test_what_is_no_call(server, listener, port):
    number = getattr(server, port)
    user = as_struct(listener.session.user_credential())
    barrage = Barrage(number, listener.tls, slice_urn=NEVER, credentials=[user], limit=BODY_LIMIT, source="127.0.0.3")
    for shot in barrage.fire(min(EXAMPLES, 2000) or 150, seed=EXAMPLES or 1):
        listener.search(shot.answer, about=shot.kind)
    for kind in (barrage.nested, barrage.crowded, barrage.compressed_bomb, barrage.oversize):
        listener.search(kind(random.Random(2)), about=kind.__name__)  # noqa: S311 - repeatable is what matters
    for verb in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "POST"):
        for path in ("/", "/am", "/am/3", "/am/9", "/nodes", "/crl.pem", "/sa", "/nowhere", "/am/3/../..", "/%00", "*"):
            listener.request(number, verb, path, b"x" if verb == "POST" else b"")
    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"POST /am/3 HTTP/1.0\r\n", b"\x00\x01", b"SSH-2.0-x\r\n"):
        listener.search(barrage.plain(octets), about=repr(octets))


def test_the_certificates_that_are_shown(server, listener):
    for port in (server.am_port, server.registry_port):
        with (
            socket.create_connection(("localhost", port)) as plain,
            listener.tls.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))
        names = [certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()]
        names += [f"{extension.value!r}" for extension in certificate.extensions if "Name" in extension.oid._name]
        assert not [s for s in listener.secrets if any(s in name for name in names)]
