"""Fields, match and filter of the federation API: what clients may ask, and what they are told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials import URN
from sfa_am.errors import BadArgs
from sfa_am.wire.chapi.fields import (
    KEY,
    MEMBER,
    OF_MEMBER_AUTHORITY,
    OF_SERVICE_REGISTRY,
    OF_SLICE_AUTHORITY,
    PROJECT,
    SLICE,
    Create,
)
from sfa_am.wire.chapi.lookup import MOST_VALUES, Query, indexed, whole

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALL = (*OF_SERVICE_REGISTRY, *OF_MEMBER_AUTHORITY, *OF_SLICE_AUTHORITY)


def slice_row(name, **others):
    return {
        "SLICE_URN": URN("plc:demo", "slice", name),
        "SLICE_UID": "0b0d4a3e-7c1e-4c8e-9b1f-2f7d5f0e7a11",
        "SLICE_NAME": name,
        "SLICE_DESCRIPTION": "",
        "SLICE_PROJECT_URN": URN("plc", "project", "demo"),
        "SLICE_CREATION": NOON,
        "SLICE_EXPIRATION": NOON + timedelta(days=1),
        "SLICE_EXPIRED": False,
        **others,
    }


ROWS = [slice_row("s1"), slice_row("s2", SLICE_EXPIRED=True), slice_row("s3", SLICE_PROJECT_URN=None)]


def names(options):
    return sorted(row["SLICE_NAME"] for row in Query.read(SLICE, options).select(ROWS))


@pytest.mark.parametrize("options", [{}, {"match": {}}, {"match": None}, {"match": []}, {"other": 1}])
def test_without_a_match_everything_is_told(options):
    assert names(options) == ["s1", "s2", "s3"]


def test_a_list_means_any_of_its_values():
    assert names({"match": {"SLICE_NAME": ["s1", "s3", "s9"]}}) == ["s1", "s3"]
    assert names({"match": {"SLICE_NAME": []}}) == []


def test_all_fields_of_a_match_must_fit():
    assert names({"match": {"SLICE_NAME": ["s1", "s2"], "SLICE_EXPIRED": False}}) == ["s1"]


@pytest.mark.parametrize("sent", ["f", "F", "false", "0", 0, False])
def test_booleans_come_as_letters_words_and_numbers(sent):
    assert names({"match": {"SLICE_EXPIRED": sent}}) == ["s1", "s3"]


def test_names_are_compared_as_names():
    assert names({"match": {"SLICE_URN": "URN:publicid:IDN+PLC:demo+slice+S1"}}) == ["s1"]
    assert names({"match": {"SLICE_UID": "0B0D4A3E-7C1E-4C8E-9B1F-2F7D5F0E7A11", "SLICE_NAME": "s1"}}) == ["s1"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"match": {"SLICE_COLOUR": "red"}}, "SLICE_COLOUR"),
        ({"match": {"SLICE_EXPIRATION": "2026-06-01T12:00:00Z"}}, "SLICE_EXPIRATION can't be matched"),
        ({"match": {"SLICE_EXPIRED": "perhaps"}}, "SLICE_EXPIRED must be a boolean"),
        ({"match": {"SLICE_URN": "s1"}}, "SLICE_URN 's1' is not a URN"),
        ({"match": {"SLICE_UID": "s1"}}, "SLICE_UID 's1' is not a UUID"),
        ({"match": {"SLICE_NAME": 7}}, "SLICE_NAME must be a string"),
        ({"match": "SLICE_NAME"}, "match must be a struct"),
        ({"match": {"SLICE_NAME": ["x"] * (MOST_VALUES + 1)}}, "at most"),
        ({"filter": ["SLICE_COLOUR"]}, "SLICE_COLOUR"),
        ({"filter": 7}, "option filter"),
    ],
)
def test_what_can_not_be_asked_is_refused_by_name(options, said):
    with pytest.raises(BadArgs) as refusal:
        Query.read(SLICE, options)
    assert said in str(refusal.value)


def test_a_filter_names_what_is_told_and_the_key_stays_the_index():
    found = indexed(SLICE, Query.read(SLICE, {"filter": ["SLICE_EXPIRATION"], "match": {"SLICE_NAME": "s1"}}), ROWS)
    assert found == {"urn:publicid:IDN+plc:demo+slice+s1": {"SLICE_EXPIRATION": "2026-06-02T12:00:00Z"}}


def test_what_there_is_none_of_is_told_as_empty_text():
    assert whole(SLICE, ROWS[2])["SLICE_PROJECT_URN"] == ""


def test_nobody_finds_by_a_field_that_they_may_not_see():
    hidden = {"MEMBER_URN": URN("plc", "user", "bob"), "MEMBER_UID": "x"}
    query = Query.read(MEMBER, {"match": {"MEMBER_EMAIL": ["bob@example.org", ""]}})
    assert not query.matches(hidden)
    assert query.matches({**hidden, "MEMBER_EMAIL": "bob@example.org"})


@given(st.sets(st.sampled_from(["s1", "s2", "s3", "s4"])), st.sets(st.sampled_from(list(SLICE.by_name)), min_size=1))
def test_whatever_is_asked_no_more_is_told(wanted, shown):
    found = indexed(SLICE, Query.read(SLICE, {"match": {"SLICE_NAME": list(wanted)}, "filter": list(shown)}), ROWS)
    assert len(found) == len(wanted - {"s4"})
    assert all(row.keys() == shown for row in found.values())


# Making and changing


def test_a_time_without_a_zone_means_utc():
    values = SLICE.for_update({"SLICE_EXPIRATION": "2026-07-01T00:00:00"})
    assert values == {"SLICE_EXPIRATION": datetime(2026, 7, 1, tzinfo=UTC)}
    assert SLICE.for_update({"SLICE_EXPIRATION": "2026-07-01 02:00:00+02:00"}) == values


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a new SLICE needs SLICE_NAME"),
        ({"SLICE_NAME": ""}, "a new SLICE needs SLICE_NAME"),
        ({"SLICE_NAME": True}, "SLICE_NAME must be a string"),
        ({"SLICE_NAME": "s1", "SLICE_EXPIRED": True}, "SLICE_EXPIRED can't be set"),
        ({"SLICE_NAME": "s1", "KEY_ID": "x"}, "SLICE has no field 'KEY_ID'"),
        ({"SLICE_NAME": "s1", "SLICE_EXPIRATION": "soon"}, "SLICE_EXPIRATION 'soon' is not a time"),
    ],
)
def test_new_objects_have_the_fields_they_may_have(fields, said):
    with pytest.raises(BadArgs) as refusal:
        SLICE.for_creation(fields)
    assert said in str(refusal.value)


@pytest.mark.parametrize(("table", "name"), [(SLICE, "SLICE_NAME"), (PROJECT, "PROJECT_NAME"), (KEY, "KEY_PUBLIC")])
def test_some_fields_stay_as_they_are(table, name):
    with pytest.raises(BadArgs, match=f"{name} of a {table.kind} can't be changed"):
        table.for_update({name: "x"})


def test_the_description_of_a_project_may_have_geni_libs_name():
    assert PROJECT.for_creation({"PROJECT_NAME": "p", "PROJECT_DESC": "d"})["PROJECT_DESCRIPTION"] == "d"


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.kind)
def test_a_table_of_fields_holds_together(table):
    assert len(table.by_name) == len(table.fields)
    assert table.key in table.by_name
    for field in table.fields:
        assert field.name.lstrip("_").removeprefix("GENI_").startswith(table.kind)
        assert not (field.create is Create.REQUIRED and field.update)
    assert all(name.startswith("_") and told["OBJECT"] == table.kind for name, told in table.supplementary().items())
