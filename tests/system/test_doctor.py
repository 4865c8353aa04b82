"""The doctor finds out by doing, tells the truth about this machine, and leaves nothing behind."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from system.server import PROGRAMS

from sfa_am.doctor import Verdict, examine, guest


@pytest.mark.needs("root", "lxc")
def test_what_the_main_job_needs_is_found_where_the_main_job_runs():
    findings = examine()
    assert [f for f in findings if f.stands_in_the_way] == []
    for finding in findings:
        assert finding.says
        assert finding.remedy or finding.verdict in (Verdict.OK, Verdict.UNKNOWN)


@pytest.mark.needs("root")
def test_an_examination_leaves_nothing_behind():
    before = traces()
    examine()
    assert traces() - before == set()


def traces() -> set[str]:
    """What a trial could leave: interfaces, mounts, folders. Told by name, since others may work on this host too."""
    interfaces = {entry.name for entry in Path("/sys/class/net").iterdir() if re.fullmatch(r"(br|v|vx)\d", entry.name)}
    mounts = {line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "sfa-am-doctor-" in line}
    return interfaces | mounts | {str(path) for path in Path("/var/tmp").glob("sfa-am-doctor-*")}


@pytest.mark.needs("root")
def test_a_disk_that_can_not_be_shared_is_told_with_the_step_that_failed(tmp_path):
    """The kernel lets nobody make user namespaces inside a chroot, so one is made of the whole file system."""
    (tmp_path / "root").mkdir()
    (tmp_path / "trial").mkdir()
    trial = f"{sys.executable} -m sfa_am.doctor.overlay_trial {tmp_path}/trial"
    script = f"mount --rbind / {tmp_path}/root && cd / && exec chroot {tmp_path}/root {trial}"
    command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1
    assert done.stderr.endswith("making a user namespace: not permitted\n")


@pytest.mark.alone  # it gives up after a few seconds
@pytest.mark.needs(guest.QEMU)
def test_a_guest_is_really_run():
    assert guest.runs("tcg")


@pytest.mark.alone  # it gives up after a few seconds
@pytest.mark.needs(guest.QEMU)
def test_a_guest_that_does_not_end_as_it_should_does_not_count(monkeypatch):
    monkeypatch.setattr(guest, "_SECTOR", b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa")  # jumps to itself for ever
    monkeypatch.setattr(guest, "TIMEOUT", 2)
    assert not guest.runs("tcg")


@pytest.mark.needs("root")
def test_the_command_speaks_to_people_and_programs():
    shown = subprocess.run([PROGRAMS / "sfa-am", "doctor"], capture_output=True, text=True, check=False)
    assert "virtual machines" in shown.stdout
    told = subprocess.run([PROGRAMS / "sfa-am", "doctor", "--json"], capture_output=True, text=True, check=False)
    assert {finding["verdict"] for finding in json.loads(told.stdout)} <= {"ok", "limited", "missing", "unknown"}
