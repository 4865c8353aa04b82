"""`sfi rspec`: what a researcher and a program see."""

import json

import pytest
from click.testing import CliRunner
from lxml import etree

from rspec import check
from sfi_tool.cli import main
from sfi_tool.rspec_commands import EXAMPLE

BAD = EXAMPLE.replace('<node client_id="right"', '<node clientid="right"')


@pytest.fixture
def run(tmp_path):
    (tmp_path / "good.xml").write_text(EXAMPLE)
    (tmp_path / "bad.xml").write_text(BAD)

    def run(*arguments, **more):
        words = [str(tmp_path / word) if word.endswith((".xml", ".svg")) else word for word in arguments]
        return CliRunner().invoke(main, ["rspec", *words], **more)

    run.folder = tmp_path
    return run


def test_without_a_command_it_prints_an_example_that_is_good(run):
    assert check(run().output).is_good


def test_a_good_file_is_called_good(run):
    done = run("check", "good.xml")
    assert done.exit_code == 0
    assert done.output.startswith("good")
    assert "a GENI 3 request" in done.output


def test_a_bad_one_is_refused_with_line_and_hint(run):
    done = run("check", "good.xml", "bad.xml")
    assert done.exit_code == 1
    assert "line 8: <node> has the attribute 'clientid'" in done.output
    assert "is client_id meant?" in done.output


def test_programs_get_a_list(run):
    done = run("check", "--json", "good.xml", "bad.xml", "-", input="<rspec>")
    assert done.exit_code == 1
    good, bad, noise = json.loads(done.output)
    assert good == {"file": str(run.folder / "good.xml"), "ok": True, "type": "request", "problems": []}
    assert (bad["ok"], bad["type"], bad["problems"][0]["line"]) == (False, "request", 8)
    assert set(bad["problems"][0]) == {"line", "message", "hint"}
    assert (noise["file"], noise["ok"], noise["type"], noise["problems"][0]["line"]) == ("-", False, None, 1)


def test_a_file_that_is_not_there_is_told_beside_the_others(run):
    done = run("check", "--json", "none.xml", "good.xml")
    assert done.exit_code == 1
    none, good = json.loads(done.output)
    assert (none["ok"], none["problems"][0]["message"]) == (False, "the file can't be read: No such file or directory")
    assert good["ok"]
    assert run("show", "none.xml").exit_code == 2


def test_conversion_prints_the_document_and_says_what_was_lost(run):
    done = run("convert", "good.xml", "--to", "protogeni2")
    assert check(done.output).version == "ProtoGENI 2"
    done = run("convert", "good.xml", "--to", "sfa1")
    assert "lost: node 'left', which is bound to no component" in done.output
    assert run("convert", "bad.xml").exit_code == 1


def test_show_draws(run):
    assert "left  ──●" in run("show", "good.xml").output
    assert f"{run.folder}/good.xml:" in run("show", "good.xml", "good.xml").output
    done = run("show", "good.xml", "--svg", "out.svg")
    assert (done.exit_code, done.output) == (0, "")
    assert etree.parse(run.folder / "out.svg").getroot().tag.endswith("svg")
    assert run("show", "good.xml", "good.xml", "--svg", "out.svg").exit_code == 2
    assert run("show", "-", input="nonsense").exit_code == 1
