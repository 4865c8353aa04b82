"""RSpecs that real users and aggregates made, against the published schemas."""

from collections import Counter
from dataclasses import replace

import pytest
from conftest import NOW
from lxml import etree

from rspec import (
    GENI3,
    PROTOGENI2,
    SFA1,
    Advertisement,
    Host,
    Login,
    Manifest,
    OpenFlow,
    Request,
    RSpecError,
    Services,
    ServicesUser,
    check,
    convert,
    read,
    read_advertisement,
    read_manifest,
    write,
)

SCHEMA = {"request": "request", "manifest": "manifest", "ad": "ad"}
KIND = {"request": Request, "manifest": Manifest, "ad": Advertisement}

REFUSED = {
    "maxgeni--mp-request-after-computation-v1.xml": "interface 'right:if0' is there already",
    "advertisement--location_ext.xml": "needs the attribute component_manager_id",
    "geni-fire-20151006--nitos.rspec.xml": "'monitored', which a GENI 3 advertisement doesn't have there",
}
"""What the schema or sense refuses and no tolerance covers, with our words for it."""


@pytest.fixture(scope="module")
def samples(shared_reference):
    folder = shared_reference / "samples" / "rspec"
    return [(kind, path) for kind in SCHEMA for path in sorted((folder / kind).iterdir())]


@pytest.fixture(scope="module")
def schemas(shared_reference):
    folder = shared_reference / "schemas" / "rspec-v3"
    return {kind: etree.XMLSchema(etree.parse(str(folder / f"{name}.xsd"))) for kind, name in SCHEMA.items()}


def test_all_are_read_and_written_and_read_again_without_a_change(samples):
    kinds = Counter()
    for kind, path in samples:
        document = read(path.read_bytes())
        assert isinstance(document, KIND[kind]), path.name
        assert read(write(document)) == document, path.name
        kinds[kind] += 1
    assert kinds == {"request": 205, "manifest": 4, "ad": 75}


def test_what_the_schema_accepts_is_good_and_what_it_refuses_is_not_but_for_the_tolerances(samples, schemas):
    tolerated = Counter()
    for kind, path in samples:
        octets = path.read_bytes()
        root = etree.fromstring(octets)
        report = check(octets)
        if path.name in REFUSED:
            assert REFUSED[path.name] in str(report.problems[0])
            assert not schemas[kind].validate(root)
            continue
        assert report.is_good, (path.name, report.problems)
        if not schemas[kind].validate(root):
            is_old = root.nsmap.get(None) == PROTOGENI2
            tolerated["version" if is_old else schemas[kind].error_log[0].message.rpartition("attribute ")[2]] += 1
    assert tolerated == {"version": 10, "'url' is not allowed.": 36}


def test_what_we_write_is_valid_by_the_published_schemas(samples, schemas):
    for kind, path in samples:
        document = read(path.read_bytes())
        if kind != "request" and not schemas[kind].validate(etree.fromstring(path.read_bytes())):
            continue  # an image without a name is written without one
        schemas[kind].assertValid(etree.fromstring(write(document).encode()))


def granted(request):
    """A manifest in which every node and link got what ours get."""
    nodes = [
        replace(
            node,
            sliver_id=f"urn:publicid:IDN+plc+sliver+n{number}",
            component_id="urn:publicid:IDN+plc+node+node1",
            component_manager_id="urn:publicid:IDN+plc+authority+am",
            component_name="node1",
            exclusive=False,
            hosts=(Host(name="node"),),
            services=(
                *node.services,
                Services(
                    logins=(Login(authentication="ssh-keys", hostname="h", port=22, username="alice"),),
                    extensions=(ServicesUser.of("alice", "urn:publicid:IDN+plc+user+alice", ["ssh-rsa A"]),),
                ),
            ),
            interfaces=tuple(replace(one, mac_address="02:00:00:00:00:01") for one in node.interfaces),
        )
        for number, node in enumerate(request.nodes)
    ]
    links = [
        replace(link, sliver_id=f"urn:publicid:IDN+plc+sliver+l{number}", vlantag="any")
        for number, link in enumerate(request.links)
    ]
    return Manifest(
        nodes=tuple(nodes),
        links=tuple(links),
        generated=NOW,
        expires=NOW,
        attributes=request.attributes,
        extensions=request.extensions,
    )


def test_every_request_becomes_a_valid_manifest_that_reads_back(samples, schemas):
    done = 0
    for kind, path in samples:
        if kind != "request":
            continue
        manifest = granted(read(path.read_bytes()))
        text = write(manifest)
        schemas["manifest"].assertValid(etree.fromstring(text.encode()))
        assert read_manifest(text) == manifest
        done += 1
    assert done == 205


def test_elements_and_attributes_that_we_do_not_know_survive_into_the_manifest(samples):
    survived = Counter()
    for kind, path in samples:
        if kind != "request":
            continue
        before = etree.fromstring(path.read_bytes())
        after = etree.fromstring(write(granted(read(path.read_bytes()))).encode())
        assert _foreign(before) - _foreign(after) == Counter(), path.name
        survived["elements"] += sum(_foreign(before).values())
    assert survived["elements"] > 1000


def _foreign(root):
    """Elements of other namespaces by name, text and attributes; foreign attributes of our own by name and value."""
    own = {GENI3, PROTOGENI2}
    found = Counter()
    for e in root.iter(etree.Element):
        tag = etree.QName(e)
        if tag.namespace not in own:
            found[e.tag, (e.text or "").strip(), tuple(sorted(e.attrib.items()))] += 1
        for name, value in e.attrib.items():
            if name[0] == "{" and "schemaLocation" not in name:
                found[tag.localname, name, value] += 1
    return found


def test_advertisements_and_manifests_of_the_field_are_read(samples):
    read_ones = [read_advertisement(path.read_bytes()) for kind, path in samples if kind == "ad"]
    assert sum(len(advertisement.nodes) for advertisement in read_ones) == 591
    assert all(read_manifest(path.read_bytes()).nodes for kind, path in samples if kind == "manifest")


def test_openflow_is_recognised(samples):
    with_it = [path for kind, path in samples if kind == "request" and read(path.read_bytes()).all(OpenFlow)]
    assert len(with_it) == 36


def test_conversions_keep_the_nodes_or_say_what_is_lost(samples):
    for kind, path in samples:
        octets = path.read_bytes()
        document = read(octets)
        for version in (PROTOGENI2, GENI3):
            converted = convert(octets, to=version)
            assert converted.lost == ()
            assert read(converted.text) == document, path.name
        old = convert(octets, to=SFA1)
        again = etree.fromstring(old.text.encode())
        named = [node.get("component_id") for node in again.iter("node")]
        bound = [node.component_id for node in document.nodes if node.component_id or kind == "ad"]
        assert Counter(bound) - Counter(named) == Counter(), path.name
        unbound = [node for node in document.nodes if node.component_id not in bound]
        assert len([loss for loss in old.lost if "bound to no component" in loss]) == len(unbound)
        if any(link.sliver_id or node.services for link in document.links for node in document.nodes):
            assert old.lost, path.name


def test_the_advertisements_of_a_planetlab_testbed_say_the_same_in_three_versions(shared_reference):
    folder = shared_reference / "samples" / "sfa"
    names = ("geni3", "pg2", "sfa1")
    three = [
        read_advertisement((folder / f"rspec-ad_{name}-dummy.xml").read_bytes()) for name in ("geni3", "pg2", "sfa1")
    ]
    names = [[node.component_id for node in one.nodes] for one in three]
    assert names[0] == names[1] == names[2]
    assert len(names[0]) > 3


def test_what_is_cut_or_damaged_is_refused_and_never_crashes(samples):
    for _, path in samples[::25]:
        octets = path.read_bytes()
        for end in range(0, len(octets), max(1, len(octets) // 40)):
            with pytest.raises(RSpecError):
                read(octets[:end])
