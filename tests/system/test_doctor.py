"""The doctor finds out by doing, tells the truth about this machine, and leaves nothing behind."""

import json
import subprocess
from pathlib import Path

import pytest
from system.server import PROGRAMS

from sfa_am.doctor import Verdict, examine, guest


def links():
    return sorted(entry.name for entry in Path("/sys/class/net").iterdir())


@pytest.mark.needs("root", "lxc")
def test_what_the_main_job_needs_is_found_where_the_main_job_runs():
    before = links()
    findings = {finding.subject: finding for finding in examine()}
    assert [f.subject for f in findings.values() if f.needed and f.verdict is Verdict.MISSING] == []
    assert links() == before
    for finding in findings.values():
        assert finding.says
        assert finding.remedy or finding.verdict is not Verdict.MISSING


@pytest.mark.needs(guest.QEMU)
def test_a_guest_is_really_run():
    assert guest.runs("tcg")


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
    assert {finding["verdict"] for finding in json.loads(told.stdout)} <= {"ok", "limited", "missing"}
