"""`sfi explain`: a refusal's reasons as a tree, from a file, the input, or the last that was kept."""

import json

import pytest
from click.testing import CliRunner

from sfi_tool import folder as folders
from sfi_tool import refusals
from sfi_tool.cli import main
from sfi_tool.errors import Refusal
from sfi_tool.folder import Folder

REASONS = [
    {
        "constraint": "memory",
        "where": "node 'gw'",
        "wanted": "64 GiB",
        "available": "22 GiB",
        "nearest": "22 GiB on node1",
        "reasons": [{"constraint": "capacity", "where": "offer node1", "available": 22, "reasons": []}],
    }
]
ANSWER = {"code": {"geni_code": 6}, "output": "no room for node 'gw'", "value": {"sfa_reasons": REASONS}}
TREE = """\
no room for node 'gw'
  memory at node 'gw': wanted 64 GiB, available 22 GiB, nearest 22 GiB on node1
    capacity at offer node1: available 22
"""


def explain(*arguments, **more):
    return CliRunner().invoke(main, ["-d", "/nowhere", "explain", *map(str, arguments)], **more)


def test_reasons_are_a_tree(tmp_path):
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    assert explain(tmp_path / "answer.json").output == TREE


def test_the_value_alone_and_the_bare_list_are_read_too():
    for content in (ANSWER["value"], REASONS):
        told = explain("-", input=json.dumps(content))
        assert told.exit_code == 0
        assert told.output == TREE.replace("no room for node 'gw'\n", "Refused\n", 1)


def test_a_refusal_without_reasons_is_its_sentence():
    told = explain("-", input=json.dumps({"code": {"geni_code": 3}, "output": "not yours", "value": ""}))
    assert told.output.startswith("not yours\n")
    assert "no reasons" in told.output


def test_what_a_server_sends_moves_no_cursor():
    told = explain("-", input=json.dumps([{"constraint": "a\x1b[2Jb", "where": {"x": 1}, "reasons": "none"}]))
    assert told.exit_code == 0
    assert "\x1b" not in told.output


def test_reasons_below_reasons_end_somewhere():
    deep = {"constraint": "x", "reasons": []}
    for _ in range(200):
        deep = {"constraint": "x", "reasons": [deep]}
    assert explain("-", input=json.dumps([deep])).output.count("x") == 21


@pytest.mark.parametrize(("content", "says"), [("<rspec/>", "no JSON"), ('"text"', "no answer of an aggregate")])
def test_what_can_not_be_read_is_told(content, says):
    refused = explain("-", input=content)
    assert refused.exit_code == 2
    assert says in refused.output


@pytest.mark.parametrize("arguments", [(), ("-", "--last")])
def test_one_of_file_and_last_must_be_said(arguments):
    assert explain(*arguments).exit_code == 2


@pytest.fixture
def home(tmp_path):
    folders.write(tmp_path, user="plc.alice", registry="", aggregate="", key="k", gid="g", roots="r")
    return tmp_path


def test_the_last_refusal_is_kept_for_later(home):
    refusal = Refusal(6, "no room for node 'gw'", {"sfa_reasons": REASONS})
    refusals.keep(Folder.open(home), refusal, slice_hrn="plc.demo")
    told = CliRunner().invoke(main, ["-d", str(home), "explain", "--last"])
    assert told.output == "Slice plc.demo\n" + TREE.replace("'gw'\n", "'gw' (code 6)\n", 1)
    struct = json.loads(CliRunner().invoke(main, ["-d", str(home), "explain", "--last", "--json"]).output)
    assert struct["value"] == {"sfa_reasons": REASONS}


def test_without_a_refusal_there_is_nothing_to_explain(home):
    refused = CliRunner().invoke(main, ["-d", str(home), "explain", "--last"])
    assert refused.exit_code == 2
    assert "no allocate was refused yet" in refused.output
