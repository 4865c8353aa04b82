"""The documents say what the code does."""

import re
import subprocess
import sys

import pytest

from sfa_am.wire.chapi.member_authority import MemberAuthorityDoor
from sfa_am.wire.chapi.service_registry import ServiceRegistryDoor
from sfa_am.wire.chapi.slice_authority import SliceAuthorityDoor


def test_the_generated_pages_are_as_they_would_be_written(repo_root):
    done = subprocess.run(
        [sys.executable, repo_root / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=repo_root,
    )
    assert done.returncode == 0, done.stderr + "run `make docs`"


def test_links_between_documents_lead_somewhere(repo_root):
    pages = [repo_root / "README.md", repo_root / "tests" / "README.md", *(repo_root / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("name", ["settings.md", "states.md", "errors.md", "commands.md", "clearinghouse.md"])
def test_generated_pages_say_so(repo_root, name):
    assert "docs/generate.py" in (repo_root / "docs" / "reference" / name).read_text()


def test_every_check_of_credentials_is_in_the_page_about_them(repo_root):
    page = (repo_root / "docs" / "explanation" / "credentials.md").read_text()
    code = "".join(path.read_text() for path in (repo_root / "credentials").glob("*.py"))
    checks = set(re.findall(r'(?:CredentialRefused|GIDRefused)\(\s*"(\w+)"', code))
    assert {check for check in checks if f"`{check}`" not in page} == set()


def test_every_method_of_the_clearinghouse_is_in_the_page_about_it(repo_root):
    page = (repo_root / "docs" / "reference" / "clearinghouse.md").read_text()
    methods = {
        name.removeprefix("xmlrpc_")
        for door in (ServiceRegistryDoor, MemberAuthorityDoor, SliceAuthorityDoor)
        for name in dir(door)
        if name.startswith("xmlrpc_")
    }
    assert len(methods) > 40
    assert {name for name in methods if name not in page} == set()


def test_the_tests_that_hold_attacks_off_are_there(repo_root):
    page = (repo_root / "docs" / "explanation" / "credentials.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 10
    for path, function in named:
        assert f"def {function or 'test_'}" in (repo_root / path).read_text(), (path, function)


def test_every_environment_of_this_machine_stays_out_of_the_repository(repo_root):
    listed = subprocess.run(["git", "ls-files"], cwd=repo_root, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("needs git and a checkout")
    for name in listed.stdout.split():
        path = repo_root / name
        if path.suffix in (".py", ".md", ".toml", ".sh", ".lock") and path.name != "test_docs.py" and path.is_file():
            assert not re.search(r"(?<![\w/.])/(work|farm)/", path.read_text()), name
