"""What is underneath is named in nothing that anybody is told: every byte of every reply is searched for it.

A whole server with real containers, on a host of an odd name, is called in good cases and bad ones, and then what it
rests on is broken, piece by piece. `test_hidden_input` has what it is sent that no sane client sends.
"""

import os
import shutil
from pathlib import Path

import pytest
from system.conftest import serving
from system.listening import ACTIONS, Listener, Talk, names_of_host, request
from system.server import RunningServer

from backends.native.images import DEBIAN_12, ImageFolder
from backends.native.names import Names
from backends.protocol import Form, SliverId
from sfi_tool.rspec_commands import EXAMPLE

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(300)]

HOSTNAME = "quixotic-host-7"


class Place:
    """A server whose programs and image can be taken from it."""

    def __init__(self, home, images):
        self._programs = home / "programs"
        self._programs.mkdir()
        for folder in reversed(os.environ["PATH"].split(":")):
            for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
                link = self._programs / program.name
                link.unlink(missing_ok=True)
                link.symlink_to(program.resolve())
        self._images = home / "images"
        self._images.mkdir()
        for image in images.glob("[!.]*"):
            (self._images / image.name).symlink_to(image)
        self.edition = ImageFolder(images).edition(DEBIAN_12.name, Form.CONTAINER)
        self.image = images / self.edition
        surroundings = ["env", f"PATH={self._programs}", "unshare", "--uts"]
        surroundings += ["sh", "-c", f'hostname {HOSTNAME}; exec "$@"', "sh"]
        self.server = RunningServer(home, self._images, run_by=surroundings)

    def put_image(self, folder):
        """Have another folder in the image's place."""
        (self._images / self.edition).unlink()
        (self._images / self.edition).symlink_to(folder)

    def without(self, program):
        """Take a program away; gives what puts it back."""
        link = self._programs / program
        target = link.readlink()
        link.unlink()
        return lambda: link.symlink_to(target)

    def broken_image(self, folder, *, accounts):
        """One in which nothing can run, with files of accounts or without."""
        for part in ("etc/ssh", "bin", "proc", "sys", "dev", "run"):
            (folder / "rootfs" / part).mkdir(parents=True)
        if accounts:
            for name in ("passwd", "shadow", "group"):
                shutil.copy(self.image / "rootfs/etc" / name, folder / "rootfs/etc" / name)
        return folder


@pytest.fixture(scope="module")
def place(images):
    places = []

    def make(home):
        places.append(Place(home, images))
        return places[0].server

    with serving(make):
        yield places[0]


@pytest.fixture(scope="module")
def server(place):
    return place.server


@pytest.fixture(scope="module")
def listener(place):
    """Alice's."""
    secrets = names_of_host(place.server.backend, HOSTNAME, place.edition, place.server.place.addresses)
    return Listener(place.server.session("alice"), secrets)


@pytest.fixture(scope="module")
def talk_of(server, listener):
    def make(name):
        return Talk(listener, server, server.add_slice(name, "alice"))

    return make


def until(server, talk, *wanted):
    server.wait_for(lambda: talk.states() <= set(wanted))


# A life, and what is wrong in each of its states


def test_a_life_in_version_3(server, listener, talk_of):
    life = talk_of("life")
    life.try_everything(actions=ACTIONS, holding=True)
    life.v3("Delete", {})
    assert life.allocate(EXAMPLE)["code"]["geni_code"] == 0
    life.try_everything(actions=ACTIONS, holding=True)
    assert life.provision()["code"]["geni_code"] == 0
    life.look()
    until(server, life, "geni_ready")
    life.try_everything()
    for action in ACTIONS:
        life.v3("PerformOperationalAction", action, {"geni_users": life.users})
        life.look()
        until(server, life, "geni_ready", "geni_notready")
        life.try_everything()
    life.v3("Cancel", {})
    grown = EXAMPLE.replace("</rspec>", '<node client_id="third"/></rspec>')
    assert life.v3("Update", grown, {})["code"]["geni_code"] == 0
    life.look()
    assert life.provision()["code"]["geni_code"] == 0
    until(server, life, "geni_ready", "geni_notready")
    life.try_everything()
    assert life.v3("Delete", {})["code"]["geni_code"] == 0
    life.try_everything(actions=ACTIONS)
    life.v3("Delete", {})
    assert {"value", "code 1", "code 3", "code 7", "code 12", "code 13"} <= set(listener.heard)


def test_a_life_in_version_2(server, talk_of):
    life = talk_of("older")
    life.v2("DeleteSliver", {})
    life.v2("CreateSliver", EXAMPLE, life.users, {})
    life.try_everything()
    until(server, life, "geni_ready")
    life.try_everything()
    assert life.v2("DeleteSliver", {})["code"]["geni_code"] == 0


def test_a_slice_that_is_shut_down(server, listener, talk_of):
    shut = talk_of("shut")
    shut.v2("CreateSliver", EXAMPLE, shut.users, {})
    operator = Listener(server.session(), listener.secrets)
    for who, slice_ in ((listener, shut.slice), (operator, type(shut.slice)(server.session(), "shut"))):
        who.call(server.am_port, "/am/3", "Shutdown", slice_.urn, slice_.credentials, {})
        shut.try_everything(actions=ACTIONS)


REFUSED = {
    "many": "".join(f'<node client_id="n{n}"/>' for n in range(1500)),
    "elsewhere": '<node client_id="a" component_manager_id="urn:publicid:IDN+other+authority+am"/>',
    "another node": '<node client_id="a" component_id="urn:publicid:IDN+plc+node+moon"/>',
    "whole": '<node client_id="a" exclusive="true"/>',
    "no such type": '<node client_id="a"><sliver_type name="raw-iron"/></node>',
    "no such image": (
        '<node client_id="a"><sliver_type name="container-small"><disk_image name="beos"/></sliver_type></node>'
    ),
    "hardware": '<node client_id="a"><hardware_type name="abacus"/></node>',
    "twice": '<node client_id="a"/><node client_id="a"/>',
    "loose link": '<link client_id="l"><interface_ref client_id="nobody"/></link>',
    "loss": (
        '<node client_id="a"><interface client_id="a:0"/></node><node client_id="b"><interface client_id="b:0"/></node>'
        '<link client_id="l"><interface_ref client_id="a:0"/><interface_ref client_id="b:0"/>'
        '<property source_id="a:0" dest_id="b:0" capacity="1" latency="10" packet_loss="0.1"/></link>'
    ),
    "bad name": '<node client_id="../../x y"/>',
    "no node": "",
    "address": '<node client_id="a"><interface client_id="a:0"><ip address="999.1" type="ipv4"/></interface></node>',
}


@pytest.mark.parametrize("why", REFUSED)
def test_requests_that_are_refused(talk_of, listener, why):
    talk = talk_of(why.replace(" ", "-"))
    talk.allocate(request(REFUSED[why]))
    talk.v2("CreateSliver", request(REFUSED[why]), talk.users, {})
    talk.v3("Update", request(REFUSED[why]), {})
    talk.v3("Delete", {})


# What it rests on is broken


SHAPED = (
    '<node client_id="a"><interface client_id="a:0"/></node><node client_id="b"><interface client_id="b:0"/></node>'
    '<link client_id="l"><interface_ref client_id="a:0"/><interface_ref client_id="b:0"/>'
    '<property source_id="a:0" dest_id="b:0" capacity="1000"/></link>'
)


def test_slivers_that_fail_say_that_and_nothing_of_how(place, server, talk_of, tmp_path):
    """An image without a system, one without accounts, a disk that was taken away, a program that is missing."""
    names = Names.of_folder(server.backend)
    one = request('<node client_id="one"/>')
    disk, shaped, no_system, no_accounts = failing = [talk_of(n) for n in ("disk", "shaped", "system", "accounts")]
    disk.allocate(one)
    disk.provision()
    until(server, disk, "geni_ready")
    container = names.container(SliverId(disk.look()[0]["geni_sliver_urn"].rpartition("+")[2]))
    put_back = place.without("tc")
    tmp_path.chmod(0o755)
    try:
        shaped.allocate(request(SHAPED))
        shaped.provision()
        server.wait_for(lambda: "'tc'" in server.log.read_text())
        place.put_image(place.broken_image(tmp_path / "no-system", accounts=True))
        no_system.allocate(one)
        no_system.provision()
        server.wait_for(lambda: "could not be changed" in server.log.read_text())
        place.put_image(place.broken_image(tmp_path / "no-accounts", accounts=False))
        no_accounts.allocate(one)
        no_accounts.provision()
        shutil.rmtree(server.backend / "slivers" / container / "work", ignore_errors=True)
        (server.backend / "slivers" / container / "work").write_text("not a folder")
        assert disk.v3("PerformOperationalAction", "geni_restart", {})["code"]["geni_code"] == 0
        for talk in failing:
            talk.look()
        server.wait_for(lambda: all("geni_failed" in talk.states() for talk in failing))
        for talk in failing:
            assert any("given up" in sliver["geni_error"] for sliver in talk.look())
            talk.try_everything(actions=ACTIONS)
    finally:
        put_back()
        place.put_image(place.image)
    for talk in failing:
        talk.v3("Delete", {})
        talk.try_everything(holding=True)


def test_a_host_on_which_nothing_can_be_made(place, server, talk_of):
    """Its programs are gone, while it runs and when it is started."""
    bare = talk_of("bare")
    bare.allocate(EXAMPLE)
    missing = [place.without(name) for name in ("nft", "lxc-stop")]
    try:
        bare.provision()
        server.wait_for(lambda: "'nft'" in server.log.read_text())
        bare.try_everything(actions=ACTIONS)
        server.kill()
        server.start(until="backend can't start")
        bare.try_everything(actions=ACTIONS)
        bare.v3("Delete", {})
        bare.look()
    finally:
        for put_back in missing:
            put_back()
