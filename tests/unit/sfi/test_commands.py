"""The `sfi` command line: names of commands, options of SFAWrap's sfi, what is refused and how."""

import json

import click
import pytest
from click.testing import CliRunner

from sfi_tool.cli import main
from sfi_tool.group import ALIASES, REFUSED


def sfi(*arguments, **more):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **more)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("list", "list"),
        ("li", "list"),
        ("slice", "slice"),  # also the beginning of `slices`
        ("prov", "provision"),
        ("add", "register"),
        ("ad", "register"),
        ("discover", "resources"),
        ("disc", "resources"),
        ("desc", "describe"),
    ],
)
def test_a_command_is_known_by_its_name_another_name_or_its_beginning(written, meant):
    shown = sfi(written, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: main {meant} ")


def test_a_beginning_that_several_have_is_refused_with_what_it_may_mean():
    refused = sfi("re")
    assert refused.exit_code == 2
    assert "re may mean register, remove, renew, resources" in refused.output


def test_what_is_no_command_is_refused():
    refused = sfi("fly")
    assert refused.exit_code == 2
    assert "No such command 'fly'" in refused.output


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_commands_that_are_not_here_are_refused_by_name_with_what_to_do_instead(name):
    refused = sfi(name, "demo")
    assert refused.exit_code == 2
    assert f"sfi has no command {name}: " in refused.output
    assert "`sfi " in refused.output


def test_the_shortest_form_of_myslice_is_known_too():
    assert "MySlice" in sfi("my").output


def test_other_names_lead_to_commands_that_are_there():
    assert set(ALIASES.values()) <= set(main.commands)
    assert not set(ALIASES) & set(main.commands)


@pytest.mark.parametrize(
    "arguments",
    [
        ("resources", "-d"),
        ("resources", "-C"),
        ("describe", "demo", "-d"),
        ("allocate", "demo", __file__, "-d"),
        ("action", "demo", "start", "-C"),
        ("list", "-C"),
        ("show", "demo", "-F", "xml"),
        ("config", "-m"),
    ],
)
def test_options_without_a_meaning_here_are_refused_in_a_sentence(arguments):
    refused = sfi(*arguments)
    assert refused.exit_code == 2
    assert " is not offered: " in refused.output
    assert "No such option" not in refused.output


@pytest.mark.parametrize("kind", ["us", "user", "sl", "slice", "au", "authority", "no", "all", "al"])
def test_types_are_known_by_two_letters(kind, tmp_path):
    asked = sfi("-d", tmp_path, "list", "-t", kind)
    assert "sfi.toml is not there" in asked.output  # the type was read; there just is no folder


@pytest.mark.parametrize("kind", ["u", "xx", "userr", "slyce", ""])
def test_what_is_no_type_is_refused_with_those_there_are(kind, tmp_path):
    refused = sfi("-d", tmp_path, "list", "-t", kind)
    assert refused.exit_code == 2
    assert "authority, user, slice, node, aggregate, all" in refused.output


def test_a_missing_folder_is_told_with_how_to_make_one(tmp_path):
    refused = sfi("-d", tmp_path, "status", "demo")
    assert refused.exit_code == 2
    assert "`sfi user add`" in refused.output


def test_a_missing_key_is_told_with_how_to_put_one_there(tmp_path):
    said = ("-r", "https://localhost:1/", "-s", "https://localhost:2/", "-u", "plc.alice")
    refused = sfi("-d", tmp_path, *said, "list")
    assert refused.exit_code == 2
    assert "plc.alice.pkey is not there; -k FILE" in refused.output


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_what_the_shell_reads(shell):
    printed = sfi("completion", shell)
    assert printed.exit_code == 0
    assert "_SFI_COMPLETE" in printed.output


def test_completion_knows_commands_and_options():
    environment = {"_SFI_COMPLETE": "zsh_complete", "COMP_WORDS": "sfi all", "COMP_CWORD": "1"}
    said = CliRunner().invoke(main, [], prog_name="sfi", env=environment)
    assert "allocate" in said.output


def test_completion_of_an_ambiguous_beginning_is_quiet():
    environment = {"_SFI_COMPLETE": "zsh_complete", "COMP_WORDS": "sfi re x", "COMP_CWORD": "3"}
    said = CliRunner().invoke(main, [], prog_name="sfi", env=environment)
    assert said.exception is None


def test_version_of_the_program_itself_needs_no_folder(tmp_path):
    told = sfi("-d", tmp_path, "version", "-l", "--json")
    assert told.exit_code == 0
    assert json.loads(told.output)["local"]["interface"] == "sfi"


def _every(command, path=()):
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _every(below, (*path, name))


def test_every_command_that_prints_has_json():
    without = {
        " ".join(path)
        for path, command in _every(main)
        if not isinstance(command, click.Group) and "--json" not in {o for p in command.params for o in p.opts}
    }
    # These print a document, draw, log in, or print what a shell reads.
    assert without == {"rspec convert", "rspec show", "ssh", "completion"}


def test_exit_statuses_are_in_the_help():
    assert "Exit status: 0 done" in sfi("--help").output.replace("\n  ", " ")


def test_starting_is_quick_because_heavy_packages_wait(repo_root):
    import subprocess
    import sys

    code = "import sys, sfi_tool.cli; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True)
    heavy = {"lxml", "cryptography", "rich", "rspec", "credentials", "twisted"}
    assert heavy & set(loaded.stdout.split()) == set()
