"""`sfi` and a real aggregate with simulated slivers: from reserving to waiting until nothing is left."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from sfi_tool.am_v3 import AggregateV3


def test_the_whole_way_under_sfawraps_names(alice, new_slice, request_file, tmp_path):
    new_slice("way")
    assert "node1" in alice("disc")
    assert {state["geni_allocation_status"] for state in alice.json("alloc", "way", request_file)["slivers"]} == {
        "geni_allocated"
    }
    alice("provision", "way", "-o", tmp_path / "manifest")
    assert 'type="manifest"' in (tmp_path / "manifest.rspec").read_text()
    assert "plc.way: 3 ready" in alice("wait", "way")
    states = {state["geni_sliver_urn"]: state for state in alice.json("status", "way")}
    assert "left\tprovisioned\tready" in alice("status", "way")
    assert ["plc.way", "3", "ready"] in [line.split()[:3] for line in alice("slices").splitlines()]
    urn = next(iter(states))
    renewed = alice.json("renew", "way", urn, "+1d")
    assert [state["geni_sliver_urn"] for state in renewed] == [urn]
    assert renewed[0]["geni_expires"] < states[urn]["geni_expires"]
    assert len(alice.json("renew", "way", "+3d")) == 3
    assert len(alice.json("action", "way", "left", "right", "geni_restart")) == 2  # SFAWrap: the action last
    assert "Deleted 1 sliver of" in alice("delete", "way", "left")
    assert "Deleted 2 slivers of" in alice("delete", "way")
    assert "nothing is left" in alice("wait", "way", "--for", "deleted")
    assert ["plc.way", "none"] in [line.split()[:2] for line in alice("slices").splitlines()]
    assert "(code 12)" in alice.refused("status", "way")


def test_create_does_all_of_it(alice, new_slice, request_file):
    new_slice("once")
    done = alice.json("create", "once", request_file)
    assert list(done["took"]) == ["allocated", "provisioned", "ready"]
    assert {state["geni_operational_status"] for state in done["slivers"]} == {"geni_ready"}


def test_some_slivers_are_provisioned_by_name(alice, new_slice, request_file):
    new_slice("some")
    alice("allocate", "some", request_file)
    assert len(alice.json("provision", "some", "left")["slivers"]) == 1
    assert "some has no middle here; it has cable, left, right" in alice.refused("provision", "some", "middle")


def test_waiting_ends_with_its_own_status(alice, new_slice, request_file):
    new_slice("waits")
    alice("allocate", "waits", request_file)
    assert "sfi provision waits" in alice.refused("wait", "waits")
    assert "plc.waits is 3 allocated after 0 s" in alice.refused(
        "wait", "waits", "--for", "deleted", "--timeout", "0", status=4
    )


def test_a_stopped_node_is_waited_for_in_vain(alice, new_slice, request_file):
    new_slice("stopped")
    alice("create", "stopped", request_file)
    alice("action", "stopped", "stop", "left")
    alice("status", "stopped", "--wait")  # nothing is under way any more
    assert "1 notready" in alice.refused("wait", "stopped", "--timeout", "0.3", status=4)


def test_a_dry_run_reserves_nothing(alice, new_slice, request_file):
    new_slice("dry")
    assert "This would be granted now; nothing was reserved." in alice("allocate", "dry", request_file, "--dry-run")
    assert "(code 12)" in alice.refused("status", "dry")


@pytest.fixture
def no_dry_runs(monkeypatch):
    """An aggregate that ignores the option, as it does all that it doesn't know; and that tells of all slivers."""
    allocate = AggregateV3.allocate

    def ignoring(self, urn, credentials, request, options):
        allocate(self, urn, credentials, request, {})
        return self.describe(urn, credentials, {})

    monkeypatch.setattr(AggregateV3, "allocate", ignoring)


def test_what_an_aggregate_without_dry_runs_reserved_is_given_back(alice, new_slice, request_file, no_dry_runs):
    new_slice("wet")
    assert "this aggregate has no dry run" in alice.refused("allocate", "wet", request_file, "--dry-run")
    assert "(code 12)" in alice.refused("status", "wet")


@pytest.mark.parametrize("knows", [True, False])
def test_a_dry_run_beside_slivers_that_are_there_touches_them_not(
    alice, new_slice, request_file, tmp_path, knows, request
):
    new_slice("beside")
    alice("create", "beside", request_file)
    more = tmp_path / "more.xml"
    more.write_text(
        '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="more"/></rspec>'
    )
    if not knows:
        request.getfixturevalue("no_dry_runs")
    assert alice.run("allocate", "beside", more, "--dry-run").exit_code == (0 if knows else 1)
    assert len(alice.json("status", "beside")) == 3


def test_a_refused_allocate_is_kept_and_explained(alice, new_slice, tmp_path):
    new_slice("large")
    nodes = "".join(f'<node client_id="n{number}"/>' for number in range(50))
    request = tmp_path / "large.xml"
    request.write_text(f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{nodes}</rspec>')
    refused = alice.refused("allocate", "large", request)
    told = alice("explain", "--last")
    assert told.startswith("Slice plc.large\n")
    assert refused.removeprefix("Error: ").splitlines()[0] in told
    kept = json.loads(alice("explain", "--last", "--json"))
    assert kept["code"]["geni_code"] != 0
    assert "The reasons: sfi explain --last" in refused
    assert kept["value"]["sfa_reasons"]
    assert told.splitlines()[2].startswith("  ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("allocate", "x", "no-such-file.xml"), "does not exist"),
        (("renew", "x", "tomorrow"), "is no time"),
        (("wait", "x", "--for", "luck"), "'luck' is not one of"),
        (("resources", "-r", "GENI"), "a type and a version"),
        (("status",), "Missing argument 'SLICE'"),
    ],
)
def test_wrong_usage_has_a_status_of_its_own(alice, arguments, says):
    assert says in alice.refused(*arguments, status=2)


def test_a_request_that_is_no_text_is_told(alice, new_slice, tmp_path):
    new_slice("bytes")
    (tmp_path / "bytes.xml").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in alice.refused("allocate", "bytes", tmp_path / "bytes.xml", status=2)


def test_resources_as_rspec_as_names_and_into_a_file(alice, tmp_path):
    assert 'type="advertisement"' in alice("resources", "-f", "xml")
    assert 'type="advertisement"' in alice("resources", "-r", "GENI 3")
    assert alice("resources", "-f", "dns") == "node1\n"
    assert "(Over)wrote" in alice("resources", "-o", tmp_path / "ad")
    assert 'type="advertisement"' in (tmp_path / "ad.rspec").read_text()
    (offer,) = alice.json("resources", "--available", "-c", "-l", "all", "-i", "x")
    assert offer["sliver_types"] == ["container", "container-large"]


def test_a_version_of_rspecs_that_is_not_spoken_is_refused_by_the_aggregate(alice):
    assert "(code 4)" in alice.refused("resources", "-r", "NITOS 1")


def test_a_slice_that_expired_at_the_registry_hides_no_other(operator, alice, new_slice, request_file):
    new_slice("good")
    new_slice("gone")
    alice("create", "good", request_file)
    operator("slice", "renew", "gone", "--days", str(3 / 86400))
    time.sleep(3.2)
    told = {one["hrn"]: one for one in alice.json("slices")}
    assert len(told["plc.good"]["slivers"]) == 3
    assert "expired" in told["plc.gone"]["error"]


def test_shutdown_asks_first(alice, new_slice, request_file):
    new_slice("bad")
    alice("create", "bad", request_file)
    alice.refused("shutdown", "bad", input="n\n")
    assert "is shut down" in alice("shutdown", "bad", "--yes")
    assert "(code 3)" in alice.refused("action", "bad", "restart")


def test_the_api_version_is_remembered_and_asked_again_when_it_can_not_be_read(alice, new_slice):
    alice("resources")
    known = json.loads((alice.folder / "cache" / "aggregates.json").read_text())
    assert [one["version"] for one in known.values()] == [3]
    for content in ("nonsense", "[]", '{"x": 1}', json.dumps({url: {"at": "x"} for url in known})):
        (alice.folder / "cache" / "aggregates.json").write_text(content)
        alice("resources")


def test_on_a_terminal_there_are_tables_and_progress(server, alice, new_slice, request_file):
    new_slice("seen")
    alice("allocate", "seen", request_file)
    environment = {**server.environment, "COLUMNS": "120", "TERM": "xterm"}
    del environment["NO_COLOR"]

    def seen(*arguments):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-c", "from sfi_tool.cli import run; run()", "-d", str(alice.folder), *arguments]
        child = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        content = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            content += part
        os.close(ours)
        assert child.wait(30) == 0, content
        return content.decode()

    assert "next: sfi wait seen" in seen("provision", "seen")
    table = seen("status", "seen")
    assert "───" in table
    assert "\x1b[" in table
    assert "\t" not in table
    assert "plc.seen: 3 ready" in seen("wait", "seen")


def test_ssh_leaves_options_after_the_node_to_the_command(alice, new_slice, request_file, monkeypatch):
    new_slice("login")
    alice("create", "login", request_file)
    run = []
    monkeypatch.setattr(os, "execvp", lambda program, arguments: run.append(arguments))
    alice("ssh", "login", "left", "df", "-h", "--help")
    assert run[0][-3:] == ["df", "-h", "--help"]
    assert "alice@192.0.2.1" in run[0]
    assert "has no node middle" in alice.refused("ssh", "login", "middle")


def test_a_name_that_can_not_be_one_is_told(alice):
    assert "empty part" in alice.refused("status", "plc..x")


def test_a_folder_that_can_not_be_written_is_told(alice, tmp_path):
    for name in ("sfi.toml", "alice.key", "alice.gid", "roots.pem"):
        (tmp_path / name).write_bytes((alice.folder / name).read_bytes())
    (tmp_path / "cache").write_text("a file in the way")
    strange = type(alice)(alice.server, tmp_path)
    assert "cache" in strange.refused("status", "x", status=2)


def test_addresses_of_a_slice_are_printed_by_themselves(alice, new_slice, request_file):
    new_slice("listed")
    alice("create", "listed", request_file)
    assert alice("describe", "listed", "-f", "ip") == "10.0.1.1\n10.0.1.2\n"


def test_a_slice_that_runs_is_modified(alice, new_slice, tmp_path):
    new_slice("grows")

    def request(*names):
        nodes = "".join(f'<node client_id="{name}"><sliver_type name="container"/></node>' for name in names)
        path = tmp_path / "wanted.xml"
        path.write_text(f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{nodes}</rspec>')
        return path

    def allocations():
        names = {s["geni_sliver_urn"]: s["geni_allocation_status"] for s in alice.json("status", "grows")}
        return sorted(names.values())

    alice("create", "grows", request("a", "b"))
    assert "updating" in alice("modify", "grows", request("a", "c"))
    assert allocations() == ["geni_allocated", "geni_provisioned", "geni_updating"]
    assert "unallocated" in alice("cancel", "grows")
    assert allocations() == ["geni_provisioned", "geni_provisioned"]
    alice("modify", "grows", request("a", "c"))
    alice("provision", "grows")
    alice("wait", "grows")
    assert allocations() == ["geni_provisioned", "geni_provisioned"]
    too_many = [f"n{number}" for number in range(50)]
    assert "sfi explain --last" in alice.refused("modify", "grows", request("a", "c", *too_many))
    assert "room" in alice("explain", "--last")


def test_a_console_is_shown(alice, new_slice, request_file):
    new_slice("boots")
    alice("create", "boots", request_file)
    assert alice("console", "boots", "left") == "left: start 1\n"
    (state,) = alice.json("console", "boots", "left")
    assert state["sfa_console_log"] == "left: start 1\n"
    assert "has no nobody here" in alice.refused("console", "boots", "nobody")


def test_rules_are_shown_added_and_taken_away(alice, new_slice, request_file):
    new_slice("rules")
    alice("create", "rules", request_file)
    assert alice.json("rules", "show", "rules") == {"left": {"rules": []}, "right": {"rules": []}}
    web = ("--protocol", "tcp", "--ports", "80", "--source", "10.0.1.0/24", "--interface", "left:if0")
    alice("rules", "add", "rules", "left", "deny", "--interface", "left:if0")
    alice("rules", "add", "rules", "left", "allow", *web, "--at", "1")
    alice("rules", "spoofing", "rules", "left", "deny")
    shown = [line.split() for line in alice("rules", "show", "rules", "left").splitlines()]
    assert ["left", "1", "allow", "tcp", "80", "10.0.1.0/24", "left:if0"] in shown
    assert ["spoofing", "of", "left:", "deny"] in shown
    alice("rules", "remove", "rules", "left", "2")
    assert alice.json("rules", "show", "rules", "left") == {
        "left": {
            "spoofing": "deny",
            "rules": [
                {
                    "action": "allow",
                    "protocol": "tcp",
                    "ports": "80",
                    "source": "10.0.1.0/24",
                    "interface": "left:if0",
                }
            ],
        }
    }
    assert "has 1 rules" in alice.refused("rules", "remove", "rules", "left", "2")
    assert "has no node middle here; it has left, right" in alice.refused("rules", "show", "rules", "middle")
    assert "nothing but SSH" in alice.refused("rules", "add", "rules", "right", "allow", "--protocol", "udp")
    alice("delete", "rules")
