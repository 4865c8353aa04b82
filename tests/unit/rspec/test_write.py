"""Whatever the model can say reads back as the same, in both versions that can say it all."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspec import GENI3, PROTOGENI2, Extension, read, write
from rspec.vocabulary import DOCUMENTS

text = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n<&>\"' "), max_size=12
)
times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
extensions = st.lists(
    st.builds(lambda name: Extension(source=f'<x:{name} xmlns:x="urn:x"/>'), st.sampled_from(["tea", "cup", "pot"])),
    max_size=2,
).map(tuple)
attributes = st.dictionaries(st.sampled_from(["{urn:x}a", "{urn:y}b"]), text, max_size=2).map(
    lambda d: tuple(d.items())
)

TYPED = {
    "exclusive": st.booleans(),
    "now": st.booleans(),
    "user_traffic": st.booleans(),
    "generated": times,
    "expires": times,
    "port": st.integers(1, 65535),
}


def elements(form, depth=0):
    """Any value that the model has for an element."""
    defaults = {one.name: one.default for one in fields(form.kind)}
    said = {"extensions": extensions, "attributes": attributes}
    for field in form.attributes.values():
        values = TYPED.get(field, text)
        # What isn't given is None, or "" where that means the same.
        said[field] = values | st.just(defaults[field]) if field not in form.required else values
    for field, below in form.children.values():
        said[field] = st.lists(elements(below, depth + 1), max_size=2).map(tuple)
    return st.builds(form.kind, **said)


@pytest.mark.parametrize("version", [GENI3, PROTOGENI2])
@pytest.mark.parametrize("kind", DOCUMENTS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_all_that_the_model_can_say_reads_back(kind, version, data):
    document = data.draw(elements(DOCUMENTS[kind]))
    assert read(write(document, version=version)) == document
