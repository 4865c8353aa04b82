"""The doctor's verdicts where the host is not the one at hand; tests/system has the one at hand."""

import os
import subprocess

import pytest
from rich.console import Console

from sfa_am.doctor import Finding, Verdict, network
from sfa_am.doctor.command import table
from sfa_am.doctor.containers import limits_under
from sfa_am.doctor.finding import missing, ok
from sfa_am.doctor.probe import Probe


def finding(verdict: Verdict, *, needed: bool = True) -> Finding:
    return Finding(subject="thing", verdict=verdict, says="says", remedy="remedy", needed=needed)


@pytest.fixture
def version_1(tmp_path):
    for controller in ("memory", "cpu", "pids"):
        (tmp_path / controller).mkdir()
    return tmp_path


@pytest.fixture
def version_2(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    return tmp_path


def test_either_version_of_cgroups_will_do(version_1):
    answer = limits_under(version_1)
    assert (answer.verdict, answer.says) == (Verdict.OK, "version 1; memory, cpu, pids")


def test_cgroups_of_version_2_are_told_by_their_root(version_2):
    answer = limits_under(version_2)
    assert (answer.verdict, answer.says) == (Verdict.OK, "version 2; memory, cpu, pids")


def test_a_controller_may_be_in_version_2_while_the_others_are_in_version_1(version_1):
    (version_1 / "pids").rmdir()
    (version_1 / "unified").mkdir()
    (version_1 / "unified" / "cgroup.controllers").write_text("pids\n")
    answer = limits_under(version_1)
    assert (answer.verdict, answer.says) == (Verdict.OK, "version 1 beside 2; memory, cpu, pids")


def test_a_kernel_that_counts_no_memory_is_told_how_to_boot(version_1):
    (version_1 / "memory").rmdir()
    answer = limits_under(version_1)
    assert answer.verdict is Verdict.LIMITED
    assert "no limits for memory" in answer.says
    assert answer.remedy == "boot with cgroup_enable=memory"


def test_no_cgroups_at_all_can_not_be_told_and_stands_in_the_way(tmp_path):
    found = Probe(subject="cgroups", look=lambda: limits_under(tmp_path / "none"), needed=True).find()
    assert found.verdict is Verdict.UNKNOWN
    assert found.stands_in_the_way


def test_forwarding_that_is_off_is_told_with_what_does_not_work_then(tmp_path, monkeypatch):
    setting = tmp_path / "ip_forward"
    monkeypatch.setattr(network, "FORWARDING", setting)
    (forwarding,) = [probe for probe in network.PROBES if probe.subject == "forwarding"]
    setting.write_text("0\n")
    assert "not reached from other hosts" in forwarding.find().says
    setting.write_text("1\n")
    assert forwarding.find().verdict is Verdict.OK


@pytest.mark.parametrize(
    "fault", [FileNotFoundError(2, "No such file", "unshare"), subprocess.TimeoutExpired("nft", 10), ValueError("odd")]
)
def test_a_look_that_fails_is_a_finding_and_no_traceback(fault):
    def look():
        raise fault

    found = Probe(subject="thing", look=look, needed=True).find()
    assert found.verdict is Verdict.UNKNOWN
    assert found.says.startswith("could not be tried: ")


def test_what_only_root_can_tell_is_not_tried_by_others(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def look():
        raise AssertionError("was tried")

    found = Probe(subject="thing", look=look, as_root=True).find()
    assert (found.verdict, found.remedy) == (Verdict.UNKNOWN, "run as root")


def test_only_what_is_needed_and_not_there_stands_in_the_way():
    in_the_way = [v for v in Verdict if finding(v).stands_in_the_way]
    assert in_the_way == [Verdict.MISSING, Verdict.UNKNOWN]
    assert not any(finding(v, needed=False).stands_in_the_way for v in Verdict)


def test_people_are_shown_brackets_as_they_are():
    remedy = "pip install 'sfa-am[native]'"
    probe = Probe(subject="Python packages", look=lambda: missing("lacks lxc", remedy))
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table([probe.find(), Probe(subject="root", look=lambda: ok("runs as root")).find()]))
    shown = capture.get()
    assert remedy in shown
    assert "runs as root" in shown
