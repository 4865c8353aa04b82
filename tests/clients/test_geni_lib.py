"""geni-lib, a client that somebody else wrote: both versions of the AM API and the clearinghouse, as it calls them.

Its Python 3 side is broken in places of its own (it writes text into binary files when it fetches credentials, and
calls GetVersion of version 3 with something that is no list of arguments); those are done for it here.
"""

import sys
import types
import uuid
import xmlrpc.client
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from rspec import read_manifest


@pytest.fixture(scope="module")
def geni(tmp_path_factory):
    """The library, which wants to know its own version from a module that setuptools no longer brings."""
    patch = pytest.MonkeyPatch()
    known = types.SimpleNamespace(version=version("geni-lib"))
    patch.setitem(sys.modules, "pkg_resources", types.SimpleNamespace(require=lambda name: [known]))
    patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    import geni.aggregate.apis
    import geni.aggregate.context
    import geni.aggregate.core
    import geni.aggregate.frameworks
    import geni.aggregate.user
    import geni.minigcf.amapi3
    import geni.minigcf.chapi2
    import geni.minigcf.util
    import geni.rspec.pg
    import geni.rspec.pgad

    yield geni
    patch.undo()


@pytest.fixture(scope="module")
def federation(server, operator, alice, geni, tmp_path_factory):
    """A context of geni-lib's for alice, with our clearinghouse as its framework and a project that she leads."""
    base = f"https://localhost:{server.registry_port}"

    class Ours(geni.aggregate.frameworks.CHAPI2):
        def __init__(self, folder, name):
            super().__init__("ours")
            self._sa, self._ma, self._ch = f"{base}/sa", f"{base}/ma", f"{base}/sr"
            self.key, self.cert = str(folder / f"{name}.key"), str(folder / f"{name}.gid")

        def projectNameToURN(self, name):  # noqa: N802 - geni-lib's name
            return f"urn:publicid:IDN+plc+project+{name}"

        def sliceNameToURN(self, name, project=None):  # noqa: N802 - geni-lib's name
            return f"urn:publicid:IDN+plc:{project or self.project}+slice+{name}"

    def context(folder, name):
        made = geni.aggregate.context.Context()
        made.datadir = str(tmp_path_factory.mktemp(f"geni-{name}"))
        made.cf = Ours(folder, name)
        made.project = "lab"
        user = geni.aggregate.user.User()
        user.name, user.urn = name, f"urn:publicid:IDN+plc+user+{name}"
        key = tmp_path_factory.mktemp("keys") / f"{name}.pub"
        key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRoZSBwdWJsaWMga2V5IG9mIGEgdGVzdCBvbmx5ISEh")
        user.addKey(str(key))
        made.addUser(user)
        Path(made.datadir, f"ours-{name}-usercred.xml").write_text(made.cf.getUserCredentials(user.urn))
        return made

    boss = context(operator.folder, "operator")
    boss.cf.createProject(boss, "lab", datetime.now(UTC) + timedelta(days=30), "a project")
    mine = context(alice.folder, "alice")
    member = types.SimpleNamespace(urn="urn:publicid:IDN+plc+user+alice")
    boss.cf.addProjectMembers(boss, [member], "MEMBER")
    return mine


@pytest.fixture
def slice_name(federation):
    """A slice that alice has made, with its credential where geni-lib looks for it."""
    name = f"s{uuid.uuid4().hex[:8]}"
    federation.cf.createSlice(federation, name, desc="a slice")
    Path(federation.datadir, f"ours-lab-{name}-scred.xml").write_text(
        federation.cf.getSliceCredentials(federation, name)
    )
    return name


@pytest.fixture
def request_rspec(geni):
    request = geni.rspec.pg.Request()
    nodes = []
    for name in ("left", "right"):
        node = geni.rspec.pg.Node(name, "container")
        node.exclusive = False
        nodes.append(node)
        request.addResource(node)
    link = geni.rspec.pg.Link("cable")
    for node in nodes:
        link.addInterface(node.addInterface("if0"))
    request.addResource(link)
    return request


def wait_until(ready):
    deadline = datetime.now(UTC) + timedelta(seconds=30)
    while not ready():
        assert datetime.now(UTC) < deadline


def am(geni, server, number):
    url = f"https://localhost:{server.am_port}/am/{number}"
    return geni.aggregate.core.AM("ours", url, f"amapiv{number}", "exogeni")


# Version 2


def test_version_2(geni, server, federation, slice_name, request_rspec):
    ours = am(geni, server, 2)
    about = ours.getversion(federation)
    assert about["geni_api"] == 2
    assert set(about["geni_api_versions"]) == {"2", "3"}
    advertisement = ours.listresources(federation)
    assert [node.component_id for node in advertisement.nodes] == ["urn:publicid:IDN+plc+node+node1"]
    ours.createsliver(federation, slice_name, request_rspec)
    wait_until(lambda: ours.sliverstatus(federation, slice_name)["geni_status"] == "ready")
    status = ours.sliverstatus(federation, slice_name)
    assert {one["geni_status"] for one in status["geni_resources"]} == {"ready"}
    manifest = ours.listresources(federation, slice_name)
    assert {node.name for node in manifest.nodes} == {"left", "right"}
    login = next(iter(manifest.nodes)).logins[0]
    assert (login.username, login.hostname) == ("alice", "192.0.2.1")
    end = datetime.now(UTC) + timedelta(days=9)
    assert ours.renewsliver(federation, slice_name, end) is True
    assert ours.sliverstatus(federation, slice_name)["geni_expires"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    ours.deletesliver(federation, slice_name)
    with pytest.raises(geni.aggregate.apis.SliverStatusError, match="has no slivers at this aggregate"):
        ours.sliverstatus(federation, slice_name)


def test_what_version_2_refuses(geni, server, federation, slice_name, request_rspec):
    ours = am(geni, server, 2)
    request_rspec.addResource(geni.rspec.pg.Node("mainframe", "emulab-mainframe"))
    with pytest.raises(geni.aggregate.apis.CreateSliverError, match="sliver type 'emulab-mainframe' is not offered"):
        ours.createsliver(federation, slice_name, request_rspec)


# Version 3


def test_version_3(geni, server, federation, slice_name, request_rspec):
    url = f"https://localhost:{server.am_port}/am/3"
    v3 = geni.aggregate.apis.AMAPIv3
    allocated = v3.allocate(federation, url, slice_name, request_rspec.toXMLString(ucode=True))["value"]
    assert {s["geni_allocation_status"] for s in allocated["geni_slivers"]} == {"geni_allocated"}
    users = [
        {"urn": federation.userurn, "keys": [Path(key).read_text() for key in user._keys]} for user in federation._users
    ]
    options = {"geni_rspec_version": {"type": "GENI", "version": "3"}, "geni_users": users}
    provisioned = v3.provision(federation, url, slice_name, options=options)["value"]
    assert {s["geni_allocation_status"] for s in provisioned["geni_slivers"]} == {"geni_provisioned"}
    started = v3.poa(federation, url, slice_name, "geni_start")
    assert len(started) == 2
    v2 = am(geni, server, 2)
    wait_until(lambda: v2.sliverstatus(federation, slice_name)["geni_status"] == "ready")
    manifest = geni.rspec.pgmanifest.Manifest(xml=v2.api.listresources(federation, v2.url, slice_name)["value"])
    assert all(node.logins for node in manifest.nodes)
    one = read_manifest(manifest.text).nodes[0].sliver_id
    v3.poa(federation, url, slice_name, "geni_restart", urns=[one])
    v3.delete(federation, url, slice_name, federation.getSliceInfo(slice_name).urn)
    with pytest.raises(geni.aggregate.apis.SliverStatusError):
        v2.sliverstatus(federation, slice_name)


def test_what_version_3_refuses(geni, server, federation, slice_name):
    url = f"https://localhost:{server.am_port}/am/3"
    with pytest.raises(geni.aggregate.apis.AllocateError, match="rspec"):
        geni.aggregate.apis.AMAPIv3.allocate(federation, url, slice_name, "<rspec")
    with pytest.raises(geni.aggregate.apis.POAError, match="geni_fly"):
        geni.aggregate.apis.AMAPIv3.poa(federation, url, slice_name, "geni_fly")


def test_calls_of_version_3_that_it_leaves_to_its_users(geni, server, alice, federation, slice_name, request_rspec):
    """Over its own transport, with credentials as it sends them, checking our certificate by host name."""
    info = federation.getSliceInfo(slice_name)
    # Octets, which travel as base64.
    credential = {"geni_type": info.type, "geni_version": info.version, "geni_value": Path(info.path).read_bytes()}
    pair = (federation.cf.cert, federation.cf.key)

    def call(host, method, *arguments):
        sent = xmlrpc.client.dumps(arguments, method)
        url = f"https://{host}:{server.am_port}/am/3"
        answer = geni.minigcf.util._rpcpost(url, sent, pair, str(alice.folder / "roots.pem"))
        assert answer["code"]["geni_code"] == 0, answer["output"]
        return answer["value"]

    options = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
    for host in ("localhost", "127.0.0.1"):
        advertisement = geni.rspec.pgad.Advertisement(xml=call(host, "ListResources", [credential], options))
        assert [(node.name, node.available) for node in advertisement.nodes] == [("node1", True)]
    url = f"https://localhost:{server.am_port}/am/3"
    v3 = geni.aggregate.apis.AMAPIv3
    v3.allocate(federation, url, slice_name, request_rspec.toXMLString(ucode=True))
    v3.provision(federation, url, slice_name, options=options)
    urns = [info.urn]

    def states():
        slivers = call("localhost", "Status", urns, [credential], {})["geni_slivers"]
        return {one["geni_operational_status"] for one in slivers}

    wait_until(lambda: states() == {"geni_ready"})
    described = call("localhost", "Describe", urns, [credential], options)
    manifest = geni.rspec.pgmanifest.Manifest(xml=described["geni_rspec"])
    assert {node.name for node in manifest.nodes} == {"left", "right"}
    later = (datetime.now(UTC) + timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    renewed = call("localhost", "Renew", urns, [credential], later, {})
    assert {one["geni_expires"] for one in renewed} == {later}
    v3.poa(federation, url, slice_name, "geni_stop", urns=[node.sliver_id for node in manifest.nodes])
    wait_until(lambda: "geni_notready" in states())
    v3.delete(federation, url, slice_name, urns)


def test_version_3_of_get_version_is_answered(geni, server, federation):
    """As geni-lib sends it: a struct where a list of arguments belongs, which its own side refuses."""
    url = f"https://localhost:{server.am_port}/am/3"
    cf = federation.cf
    with pytest.raises(AssertionError):
        geni.minigcf.amapi3.getversion(url, False, cf.cert, cf.key)


# The clearinghouse


def test_the_clearinghouse(geni, server, federation, slice_name):
    cf = federation.cf
    (aggregate,) = cf.listAggregates(federation)
    assert aggregate["SERVICE_URL"] == f"https://localhost:{server.am_port}/am/3"
    assert [one.urn for one in cf.listProjects(federation)] == ["urn:publicid:IDN+plc+project+lab"]
    members = {one.urn: one.roles for one in cf.listProjectMembers(federation, cf.projectNameToURN("lab"))}
    assert members["urn:publicid:IDN+plc+user+alice"] == {"urn:publicid:IDN+plc+project+lab": "MEMBER"}
    (member,) = cf.listSliceMembers(federation, slice_name)
    assert (member["SLICE_MEMBER"], member["SLICE_ROLE"]) == ("urn:publicid:IDN+plc+user+alice", "LEAD")
    end = datetime.now(UTC) + timedelta(days=20)
    cf.renewSlice(federation, slice_name, end)
    urn = cf.sliceNameToURN(slice_name)
    found = geni.minigcf.chapi2._lookup(cf._sa, False, cf.cert, cf.key, "SLICE", [], {"match": {"SLICE_URN": urn}})[
        "value"
    ]
    assert found[urn]["SLICE_EXPIRATION"] == end.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert cf.lookupSSHKeys(federation, federation.userurn)[0].startswith("ssh-rsa ")
