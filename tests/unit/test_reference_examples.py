"""The examples in the reference pages of the libraries run as they stand, one after the other."""

import re

import pytest

PAGES = ["rspec.md", "credentials.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(repo_root, page):
    text = (repo_root / "docs" / "reference" / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 5
    names = {}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"{page}, example {number}", "exec"), names)  # noqa: S102 - our own text


def test_every_public_name_of_the_credentials_library_is_in_its_page(repo_root):
    import credentials

    page = (repo_root / "docs" / "reference" / "credentials.md").read_text()
    assert [name for name in credentials.__all__ if name not in page] == []


def test_every_public_name_of_the_rspec_library_is_in_its_page(repo_root):
    import rspec

    page = (repo_root / "docs" / "reference" / "rspec.md").read_text()
    model = {name for name in rspec.__all__ if getattr(getattr(rspec, name), "__module__", "") == "rspec.model"}
    missing = [name for name in rspec.__all__ if name not in page and name not in model]
    assert missing == []
