"""The names by which machines of a slice find each other."""

import json
import subprocess
from ipaddress import ip_interface

from unit.backends.native.hosts import machine

from backends.native.node import hostnames, seed
from backends.protocol import Member, Segment


def member(name, *addresses):
    return Member(hostname=name, mac="02:00:00:00:00:01", addresses=tuple(map(ip_interface, addresses)))


SEGMENTS = {
    "l1": Segment(name="lan0", members=(member("a", "10.1.0.1/24"), member("b", "10.1.0.2/24", "fd00::2/64"))),
    "l2": Segment(name="back", members=(member("b", "10.2.0.2/24"), member("a", "10.2.0.1/24"))),
}


def test_the_plain_name_is_the_first_link_that_both_are_on():
    known = hostnames.lines(machine("a", "host", "l1", "l2").shape, SEGMENTS.get)
    assert known == (
        "10.1.0.1 a-lan0",
        "10.1.0.2 b-lan0 b",
        "fd00::2 b-lan0 b",
        "10.2.0.2 b-back",
        "10.2.0.1 a-back",
    )


def test_a_link_that_was_not_heard_of_gives_no_names():
    assert hostnames.lines(machine("a", "host", "l3").shape, SEGMENTS.get) == ()


def run(script, file):
    assert "/etc/hosts" in script
    subprocess.run(["sh"], input=script.replace("/etc/hosts", str(file)), text=True, check=True)
    return file.read_text()


def test_what_a_researcher_has_written_stays_when_the_names_change(tmp_path):
    file = tmp_path / "hosts"
    file.write_text(hostnames.whole("a", ("10.1.0.2 b-lan0 b",)))
    file.write_text(file.read_text() + "192.0.2.1 mine\n")
    assert "10.1.0.2 b-lan0 b" in file.read_text()
    changed = run(hostnames.update_script(("10.1.0.3 c-lan0 c",)), file)
    assert "10.1.0.2" not in changed
    assert changed.splitlines()[:3] == ["127.0.0.1 localhost", "127.0.1.1 a", "::1 localhost ip6-localhost"]
    assert {"192.0.2.1 mine", "10.1.0.3 c-lan0 c"} <= set(changed.splitlines())
    assert run(hostnames.update_script(("10.1.0.3 c-lan0 c",)), file) == changed
    assert run(hostnames.update_script(()), file) == (
        "127.0.0.1 localhost\n127.0.1.1 a\n::1 localhost ip6-localhost\n192.0.2.1 mine\n"
    )


def test_a_virtual_machine_that_meets_others_is_no_new_instance_of_itself():
    shape = machine("a", "host").shape
    alone, acquainted = (seed.files(shape, (), (), others) for others in ((), ("10.1.0.2 b",)))
    assert alone["user-data"] != acquainted["user-data"]
    assert json.loads(alone["meta-data"]) == json.loads(acquainted["meta-data"])
