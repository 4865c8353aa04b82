"""Images made from slivers where there are several hosts: made over the bus, begun from where they are held."""

import pytest
from system.image_folders import packed_rootfs
from system.machines import shell
from system.server import allocate, provision, states

from rspec import read_advertisement
from sfi_tool.aggregate_commands import RSPEC_VERSION
from sfi_tool.identity import as_struct

pytestmark = [pytest.mark.needs("root", "lxc", "nats-server"), pytest.mark.timeout(600)]


def request(name: str, *, component: str = "", image: str = "") -> str:
    bound = f' component_id="urn:publicid:IDN+plc+node+{component}"' if component else ""
    disk = f'<disk_image name="{image}"/>' if image else ""
    return (
        f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="{name}"{bound}>'
        f'<sliver_type name="container">{disk}</sliver_type></node></rspec>'
    )


def make(server, s, document: str) -> None:
    allocate(s, document)
    provision(s)
    server.wait_for(lambda: set(states(s).values()) == {"geni_ready"}, 120)


def of_slivers(hosts) -> dict[str, int]:
    """How many images made from slivers each host has."""
    return {node.name: len(list(node.images.glob("of-sliver-*"))) for node in hosts.nodes}


def test_an_image_made_on_one_host_is_begun_from_on_it_and_on_another(hosts):
    server = hosts.server
    s = server.add_slice("imaged", "alice")
    credentials = [as_struct(s.session.user_credential())]
    call = s.session.aggregate.call_am

    def listed() -> list[dict[str, object]]:
        return call("ListImages", "", credentials, {})

    urn = ""
    try:
        make(server, s, request("first", component="node2"))
        shell(s, "first", "sudo sh -c 'echo worked > /srv/result; chown 1234:4321 /srv/result'; sync")
        (sliver,) = states(s)
        urn = call("CreateImage", s.urn, "web", sliver, s.credentials, {"global": False})
        server.wait_for(lambda: [one["state"] for one in listed()] == ["ready"], 120)
        make(server, s, request("second", image=urn))
        assert "+node+node1" not in s.describe()["geni_rspec"], "it is placed where its image is"
        assert of_slivers(hosts) == {"node1": 0, "node2": 1, "node3": 0}
        make(server, s, request("third", image=urn, component="node3"))
        for name in ("second", "third"):
            assert shell(s, name, "stat -c %u:%g /srv/result; cat /srv/result") == "1234:4321\nworked\n"
        assert of_slivers(hosts) == {"node1": 0, "node2": 1, "node3": 1}
    finally:
        if urn:
            call("DeleteImage", urn, credentials, {})
        s.call("Delete", {})
    server.wait_for(lambda: hosts.left() == [])
    server.wait_for(lambda: of_slivers(hosts)["node2"] == 0)


def test_an_image_that_an_operator_brings_to_one_host_is_offered_at_all(hosts, images, tmp_path):
    server, (first, second, third) = hosts.server, hosts.nodes
    s = server.add_slice("brought", "alice")
    file = packed_rootfs(images, tmp_path)
    second.image("import", "mine", file, "--format", "rootfs-tar")

    def offered_at() -> set[str]:
        version = {"geni_rspec_version": RSPEC_VERSION, "geni_compressed": False}
        advertised = s.session.aggregate.call_am("ListResources", s.credentials, version)
        return {
            node.component_name or ""
            for node in read_advertisement(advertised).nodes
            if any("+image+mine" in (image.name or "") for kind in node.sliver_types for image in kind.disk_images)
        }

    server.wait_for(lambda: offered_at() == {"node1", "node2", "node3"})
    make(server, s, request("here", image="mine", component="node1"))
    assert shell(s, "here", "cat /whose") == "an operator's\n"
    make(server, s, request("again", image="mine", component="node1"))
    assert len(list(first.images.glob("mine-*"))) == 1, "fetched once"
    assert not list(third.images.glob("mine-*"))
    second.image("delete", "mine")
    server.wait_for(lambda: offered_at() == set())
    s.session.aggregate.call_am("PerformOperationalAction", [s.urn], s.credentials, "geni_restart", {})
    server.wait_for(lambda: set(states(s).values()) == {"geni_ready"})
    assert shell(s, "here", "cat /whose") == "an operator's\n"
    s.call("Delete", {})
    server.wait_for(lambda: hosts.left() == [])
