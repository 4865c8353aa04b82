"""RSpecs that real users and aggregates made, against the published schemas."""

from collections import Counter

import pytest
from conftest import NOW
from lxml import etree

from credentials import URN
from rspec import (
    GrantedInterface,
    GrantedLink,
    GrantedNode,
    LoginService,
    LoginUser,
    RSpecError,
    read_advertisement,
    read_manifest,
    read_request,
    write_manifest,
)

MANAGER = URN("plc", "authority", "am")


@pytest.fixture(scope="module")
def samples(shared_reference):
    return shared_reference / "samples" / "rspec"


@pytest.fixture(scope="module")
def manifest_schema(shared_reference):
    return etree.XMLSchema(etree.parse(str(shared_reference / "schemas" / "rspec-v3" / "manifest.xsd")))


def granted(request):
    nodes = [
        GrantedNode(
            request=node,
            sliver_id=URN("plc", "sliver", f"n{number}"),
            component_id=URN("plc", "node", "node1"),
            component_manager_id=MANAGER,
            component_name="node1",
            sliver_type="container",
            disk_image="debian",
            host="node",
            logins=[LoginService(username="alice", hostname="h", port=22)],
            users=[LoginUser(login="alice", urn="urn:publicid:IDN+plc+user+alice", keys=("ssh-rsa A",))],
            interfaces=[
                GrantedInterface(
                    client_id=interface.client_id,
                    component_id=URN("plc", "interface", "node1:eth1"),
                    mac="02:00:00:00:00:01",
                    addresses=interface.addresses,
                )
                for interface in node.interfaces
            ],
        )
        for number, node in enumerate(request.nodes)
    ]
    links = [
        GrantedLink(request=link, sliver_id=URN("plc", "sliver", f"l{number}"), component_manager_id=MANAGER)
        for number, link in enumerate(request.links)
    ]
    return write_manifest(nodes, links, generated=NOW, expires=NOW)


def test_every_version_3_request_becomes_a_valid_manifest_that_reads_back(samples, manifest_schema):
    outcomes = Counter()
    for path in sorted((samples / "request").iterdir()):
        try:
            request = read_request(path.read_bytes())
        except RSpecError as e:
            outcomes[type(e).__name__] += 1
            continue
        text = granted(request)
        manifest_schema.assertValid(etree.fromstring(text.encode()))
        manifest = read_manifest(text)
        assert [node.client_id for node in manifest.nodes] == [node.client_id for node in request.nodes]
        assert [link.interface_refs for link in manifest.links] == [link.interface_refs for link in request.links]
        outcomes["valid"] += 1
    # Ten are ProtoGENI version 2; one names a component that is no URN.
    assert outcomes == {"valid": 194, "WrongVersion": 10, "Invalid": 1}


def test_elements_that_we_do_not_know_survive_into_the_manifest(samples):
    for path in sorted((samples / "request").glob("stich--*"))[:20]:
        request = read_request(path.read_bytes())
        before = _foreign(etree.fromstring(path.read_bytes()))
        after = _foreign(etree.fromstring(granted(request).encode()))
        assert before - after == Counter(), path.name


def _foreign(root):
    """Elements of other namespaces inside nodes and links, by name and attributes."""
    inside = [
        e
        for part in root.iterchildren(etree.Element)
        if etree.QName(part).localname in ("node", "link")
        for e in part.iter(etree.Element)
    ]
    return Counter(
        (e.tag, tuple(sorted(e.attrib.items())))
        for e in inside
        if etree.QName(e).namespace != "http://www.geni.net/resources/rspec/3"
    )


def test_advertisements_and_manifests_of_the_field_are_read(samples):
    read = [
        read_advertisement(path.read_bytes()) for path in (samples / "ad").iterdir() if "adopstate" not in path.name
    ]
    assert len(read) == 74
    assert sum(len(advertisement.nodes) for advertisement in read) == 590
    for path in (samples / "manifest").iterdir():
        assert read_manifest(path.read_bytes()).nodes
