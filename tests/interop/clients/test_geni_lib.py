"""geni-lib 0.9.9.4 as its users run it: its builder of requests, its contexts, its calls, its readers of answers.

It has four calls of version 3 and leaves the rest to its users; those go over its own transport here.
"""

import base64
import sys
import time
import xmlrpc.client
import zlib
from datetime import UTC, datetime, timedelta
from importlib import metadata, util
from pathlib import Path
from types import SimpleNamespace

import pytest
from interop.clients.conftest import VERSION, code, public_key

if util.find_spec("geni") is None or util.find_spec("six") is None:
    pytest.skip("needs geni-lib and six (make setup-dev installs them)", allow_module_level=True)
if util.find_spec("pkg_resources") is None:
    # It asks this module for its own version, which setuptools has given up in the meantime, and for nothing else.
    sys.modules["pkg_resources"] = SimpleNamespace(require=lambda name: [metadata.distribution(name)])

from geni.aggregate.apis import AllocateError, AMAPIv3, ListResourcesError, SliverStatusError
from geni.aggregate.context import Context
from geni.aggregate.frameworks import Framework
from geni.aggregate.opengeni import OGCompute
from geni.aggregate.user import User
from geni.minigcf import amapi3
from geni.minigcf.util import _rpcpost
from geni.rspec import pg, pgad, pgmanifest

# Unless told otherwise it doesn't check the server's certificate, and its own library complains.
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


def request_of(*names, manager=None):
    """A request by geni-lib's builder: nodes on a LAN."""
    request = pg.Request()
    nodes = [pg.Node(name, "container") for name in names]
    for node in nodes:
        node.component_manager_id = manager
        node.exclusive = False
        request.addResource(node)
    if len(nodes) > 1:
        lan = pg.LAN("lan")
        for number, node in enumerate(nodes, start=1):
            interface = node.addInterface("if0")
            interface.addAddress(pg.IPv4Address(f"10.7.0.{number}", "255.255.255.0"))
            lan.addInterface(interface)
        request.addResource(lan)
    return request


@pytest.fixture
def alice(server, new_slice, tmp_path):
    """Alice with a slice of hers and a context that finds its credential where geni-lib keeps them."""
    slice_ = new_slice()
    session = server.session("alice")
    framework = Framework("plc")
    framework.cert, framework.key, framework.project = str(session.gid), str(session.folder.key), "lab"
    context = Context()
    context.cf = framework
    context.datadir = str(tmp_path / "geni")
    user = User()
    user.name, user.urn = "alice", "urn:publicid:IDN+plc+user+alice"
    key = tmp_path / "id.pub"
    key.write_text(public_key(session.folder.key))
    user.addKey(str(key))
    context.addUser(user)
    (tmp_path / "geni" / "plc-alice-usercred.xml").write_text(session.user_credential())
    (tmp_path / "geni" / f"plc-lab-{slice_.name}-scred.xml").write_text(slice_.credentials[0]["geni_value"])
    users = [{"urn": user.urn, "keys": [key.read_text()]}]
    return SimpleNamespace(context=context, slice=slice_, name=slice_.name, users=users)


# Version 3


@pytest.fixture
def v3(server, alice):
    """Calls of version 3 that geni-lib has no function for, over its transport, with credentials as it sends them."""

    def call(method, *arguments, urns=None):
        info = alice.context.getSliceInfo(alice.name)
        value = Path(info.path).read_bytes()  # octets, which its marshaller sends as base64
        credential = {"geni_value": value, "geni_type": info.type, "geni_version": info.version}
        first = () if method == "ListResources" else (urns or [info.urn],)
        sent = xmlrpc.client.dumps((*first, [credential], *arguments), methodname=method)
        framework = alice.context.cf
        return _rpcpost(server.url(3), sent, (framework.cert, framework.key), str(server.session("alice").folder.roots))

    return call


def test_a_life_in_version_3(server, alice, v3):
    url, rspec = server.url(3), request_of("left", "right")

    advertisement = pgad.Advertisement(xml=v3("ListResources", {"geni_rspec_version": VERSION})["value"])
    assert [node.name for node in advertisement.nodes] == ["node1", "node2"]
    assert all(node.available for node in advertisement.nodes)

    allocated = AMAPIv3.allocate(alice.context, url, alice.name, rspec.toXMLString(ucode=True))["value"]
    assert {one["geni_allocation_status"] for one in allocated["geni_slivers"]} == {"geni_allocated"}

    options = {"geni_rspec_version": VERSION, "geni_users": alice.users}
    provisioned = AMAPIv3.provision(alice.context, url, alice.name, options=options)["value"]
    manifest = pgmanifest.Manifest(xml=provisioned["geni_rspec"])
    assert sorted(node.name for node in manifest.nodes) == ["left", "right"]
    assert [link.client_id for link in manifest.links] == ["lan"]

    server_side = _wait_for(lambda: v3("Status", {})["value"]["geni_slivers"], "geni_ready")
    assert len(server_side) == 3
    described = v3("Describe", {"geni_rspec_version": VERSION, "geni_compressed": True})["value"]
    manifest = pgmanifest.Manifest(xml=zlib.decompress(base64.b64decode(described["geni_rspec"])).decode())
    assert {login.username for node in manifest.nodes for login in node.logins} == {"alice"}

    later = (datetime.now(UTC) + timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    renewed = v3("Renew", later, {})["value"]
    assert {one["geni_expires"] for one in renewed} == {later}

    nodes = [node.sliver_id for node in manifest.nodes]
    stopped = AMAPIv3.poa(alice.context, url, alice.name, "geni_stop", urns=nodes)
    assert {one["geni_sliver_urn"] for one in stopped} == set(nodes)
    _wait_for(lambda: v3("Status", {}, urns=nodes)["value"]["geni_slivers"], "geni_notready")

    gone = AMAPIv3.delete(alice.context, url, alice.name, [alice.slice.urn])["value"]
    assert {one["geni_allocation_status"] for one in gone} == {"geni_unallocated"}
    assert code(v3("Status", {})) == 12


def test_a_refusal_is_raised_with_its_sentence(server, alice):
    with pytest.raises(AllocateError, match="mainframe"):
        AMAPIv3.allocate(
            alice.context,
            server.url(3),
            alice.name,
            request_of("vast")
            .toXMLString(ucode=True)
            .replace('<sliver_type name="container"/>', '<sliver_type name="mainframe"/>'),
        )


def test_its_get_version_of_version_3_does_not_make_a_call_at_all(server, alice):
    """It hands the options themselves to the marshaller, which takes a list of arguments only: nothing reaches us."""
    framework = alice.context.cf
    with pytest.raises(AssertionError):
        amapi3.getversion(server.url(3), False, framework.cert, framework.key)


def test_it_may_check_our_certificate_by_host_name(server, alice):
    framework, roots = alice.context.cf, str(server.session("alice").folder.roots)
    sent = xmlrpc.client.dumps((), "GetVersion")
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{server.am_port}/am/3"
        assert code(_rpcpost(url, sent, (framework.cert, framework.key), roots)) == 0


# Version 2


@pytest.fixture
def aggregate(server):
    return OGCompute("plc", None, url=server.url(2))


def test_a_life_in_version_2(aggregate, alice):
    context, name = alice.context, alice.name
    version = aggregate.getversion(context)
    assert (version["geni_api"], version["geni_api_versions"]["2"]) == (2, aggregate.url)

    advertisement = aggregate.listresources(context)
    assert {image.name for image in advertisement.images}
    empty = aggregate.listresources(context, name)
    assert list(empty.nodes) == []

    manifest = aggregate.createsliver(context, name, request_of("left", "right"))
    assert sorted(node.name for node in manifest.nodes) == ["left", "right"]
    _wait_for(lambda: [aggregate.sliverstatus(context, name)], "ready", key="geni_status")
    status = aggregate.sliverstatus(context, name)
    assert {one["geni_client_id"] for one in status["geni_resources"]} == {"left", "right", "lan"}

    assert aggregate.renewsliver(context, name, datetime.now(UTC) + timedelta(days=8)) is True
    manifest = aggregate.listresources(context, name)
    assert {login.username for node in manifest.nodes for login in node.logins} == {"alice"}

    aggregate.deletesliver(context, name)
    with pytest.raises(SliverStatusError):
        aggregate.sliverstatus(context, name)


def test_credentials_of_somebody_else_are_refused_with_a_sentence(aggregate, server, alice, tmp_path):
    operator = server.session()
    alice.context.cf.cert, alice.context.cf.key = str(operator.gid), str(operator.folder.key)
    with pytest.raises(ListResourcesError, match="issued to"):
        aggregate.listresources(alice.context)


def _wait_for(ask, state, *, key="geni_operational_status"):
    deadline = time.monotonic() + 30
    while True:
        found = ask()
        if {one[key] for one in found} == {state}:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
