"""Images made from slivers where there are several hosts: made over the bus, begun from where they are held."""

import pytest
from system.machines import shell
from system.server import allocate, provision, states

from backends.native.images import ImageFolder
from sfi_tool.identity import as_struct

pytestmark = [pytest.mark.needs("root", "lxc", "nats-server"), pytest.mark.timeout(600)]


def request(name: str, *, component: str = "", image: str = "") -> str:
    bound = f' component_id="urn:publicid:IDN+plc+node+{component}"' if component else ""
    disk = f'<disk_image name="{image}"/>' if image else ""
    return (
        f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="{name}"{bound}>'
        f'<sliver_type name="container">{disk}</sliver_type></node></rspec>'
    )


def test_an_image_is_made_and_begun_from_on_a_host_of_the_bus(hosts, images):
    server = hosts.server
    s = server.add_slice("imaged", "alice")
    credentials = [as_struct(s.session.user_credential())]
    call = s.session.aggregate.call_am

    def listed() -> list[dict[str, object]]:
        return call("ListImages", "", credentials, {})

    def make(document: str) -> None:
        allocate(s, document)
        provision(s)
        server.wait_for(lambda: set(states(s).values()) == {"geni_ready"})

    names = sorted(offer["name"] for offer in server.status()["offers"])
    before = set(ImageFolder(images).path.glob("of-sliver-*"))
    urn = ""
    try:
        make(request("first", component=names[1]))
        shell(s, "first", "sudo sh -c 'echo worked > /srv/result'; sync")
        (sliver,) = states(s)
        urn = call("CreateImage", s.urn, "web", sliver, s.credentials, {"global": False})
        server.wait_for(lambda: [one["state"] for one in listed()] == ["ready"], 120)
        make(request("second", image=urn))
        assert shell(s, "second", "cat /srv/result") == "worked\n"
        assert f"+node+{names[1]}" in s.describe()["geni_rspec"]
        assert f"+node+{names[0]}" not in s.describe()["geni_rspec"]
    finally:
        if urn:
            call("DeleteImage", urn, credentials, {})
        s.call("Delete", {})
    server.wait_for(lambda: hosts.left() == [])
    server.wait_for(lambda: set(ImageFolder(images).path.glob("of-sliver-*")) == before)
