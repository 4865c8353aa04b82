"""Images made from slivers, through the whole server: who sees them, who may begin from them, and kill -9 half-way."""

import json
import tempfile
from pathlib import Path

import pytest
from system.conftest import serving
from system.image_folders import folder_beside
from system.machines import shell
from system.server import RunningServer, allocate, provision, states

from sfi_tool.errors import Refusal
from sfi_tool.identity import as_struct

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def image_folder(images):
    """On a disk: images are too large for the memory, and belong there."""
    with tempfile.TemporaryDirectory(prefix="sfa-am-test-") as room:
        yield folder_beside(images, Path(room) / "images")


@pytest.fixture(scope="module")
def server(image_folder):
    with serving(lambda home: RunningServer(home, image_folder)) as running:
        running.add_user("mallory")
        yield running


def request(image: str = "", node: str = "a") -> str:
    disk = f'<disk_image name="{image}"/>' if image else ""
    return (
        f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="{node}">'
        f'<sliver_type name="container">{disk}</sliver_type></node></rspec>'
    )


def run(server, name: str, member: str, image: str = ""):
    """A slice with one node that runs."""
    s = server.add_slice(name, member)
    allocate(s, request(image))
    provision(s)
    server.wait_for(lambda: set(states(s).values()) == {"geni_ready"})
    return s


def listed(server, name: str, of: str = "") -> list[dict[str, object]]:
    more = ("--of", of) if of else ()
    done = server.sfi(name, "image", "list", "--json", *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def create(s, name: str, shared: bool) -> str:
    """As omni sends it."""
    (sliver,) = states(s)
    return s.session.aggregate.call_am("CreateImage", s.urn, name, sliver, s.credentials, {"global": shared})


def test_an_image_is_its_makers_alone_until_it_is_shared(server, image_folder):
    s = run(server, "mine", "alice")
    shell(s, "a", "sudo sh -c 'echo worked > /srv/result'; sync")
    said = server.sfi("alice", "image", "snapshot", "mine", "a", "web", "--json")
    assert said.returncode == 0, said.stderr
    (one,) = listed(server, "alice")
    assert one == json.loads(said.stdout)
    assert (one["urn"], one["state"], one["global"]) == ("urn:publicid:IDN+plc+image+alice//web", "ready", False)
    other = run(server, "next", "alice", one["urn"])
    assert shell(other, "a", "cat /srv/result") == "worked\n"
    assert one["urn"] in other.describe()["geni_rspec"]
    assert "//web" not in server.sfi("alice", "resources", "--rspec").stdout, "all are told the same, so not of it"

    alice = "urn:publicid:IDN+plc+user+alice"
    assert listed(server, "mallory") == listed(server, "mallory", alice) == []
    theirs = server.add_slice("theirs", "mallory")
    for wanted in (one["urn"], "alice//web", "alice//nothing"):
        with pytest.raises(Refusal, match=r"there is no disk image .* here that you may use"):
            allocate(theirs, request(wanted))
    assert server.sfi("mallory", "image", "delete", one["urn"]).returncode != 0

    shared = create(s, "public", True)
    server.wait_for(lambda: {one["state"] for one in listed(server, "alice")} == {"ready"})
    assert [one["urn"] for one in listed(server, "mallory", alice)] == [shared]
    allocate(theirs, request(shared))
    provision(theirs)
    server.wait_for(lambda: set(states(theirs).values()) == {"geni_ready"})
    assert shell(theirs, "a", "cat /srv/result") == "worked\n"
    assert server.sfi("mallory", "image", "delete", shared).returncode != 0, "it is not theirs to delete"

    for urn in (one["urn"], shared):
        assert server.sfi("alice", "image", "delete", urn).returncode == 0
    assert listed(server, "alice") == []
    for one in (s, other, theirs):
        one.call("Delete", {})
    server.wait_for(lambda: server.left() == [] and not list(image_folder.glob("of-sliver-*")))


def test_an_image_is_made_although_the_server_is_killed_half_way(server, image_folder):
    s = run(server, "killed", "alice")
    shell(s, "a", "sudo dd if=/dev/urandom of=/srv/large bs=1M count=64 2>/dev/null; sync")
    packing = server.backend / "packing"
    urn = create(s, "survivor", False)
    server.wait_for(lambda: list(packing.glob("packing-*/packed")))
    server.kill()
    server.start()
    server.wait_for(lambda: [one["state"] for one in listed(server, "alice")] == ["ready"])
    assert shell(s, "a", "echo lives") == "lives\n", "it does not stand still"
    assert not list(packing.glob("packing-*"))
    assert not list(packing.glob("still/*"))
    server.wait_for(lambda: len(list(image_folder.glob("of-sliver-*"))) == 1)
    credentials = [as_struct(s.session.user_credential())]
    assert s.session.aggregate.call_am("DeleteImage", urn, credentials, {}) is True
    s.call("Delete", {})
    server.wait_for(lambda: server.left() == [] and not list(image_folder.glob("of-sliver-*")))
    server.wait_for(lambda: not list(image_folder.glob(".building-*")))
