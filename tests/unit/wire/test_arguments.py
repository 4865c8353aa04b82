"""What clients send, and how it is read or refused."""

import contextlib
from datetime import UTC, datetime
from xmlrpc.client import Binary, DateTime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.underneath import underneath
from credentials import URN
from sfa_am.errors import AMError, BadArgs, BadVersion
from sfa_am.wire import arguments
from sfa_am.wire.chapi.fields import boolean

wire_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("odd", [Binary(b"\xff"), DateTime("20300101T00:00:00"), None, [], {}])
@pytest.mark.parametrize(
    "read",
    [
        lambda odd: arguments.credentials([{"geni_type": odd, "geni_version": odd}]),
        lambda odd: arguments.credentials([{"geni_type": [odd], "geni_version": {"x": odd}}]),
        lambda odd: arguments.rspec_version({"geni_rspec_version": {"type": odd, "version": [odd]}}),
        lambda odd: arguments.flag({"x": [odd]}, "x"),
        lambda odd: arguments.texts([[odd]], "urns"),
        lambda odd: boolean([odd], "SLICE_EXPIRED"),
    ],
)
def test_a_value_of_an_odd_type_is_refused_in_words(read, odd):
    with pytest.raises(AMError) as refusal:
        read(odd)
    assert underneath(str(refusal.value)) == []


@given(wire_values)
def test_whatever_is_sent_is_read_or_refused_with_a_code(value):
    readers = [
        lambda: arguments.credentials(value),
        lambda: arguments.options(value),
        lambda: arguments.texts(value, "urns"),
        lambda: arguments.moment(value, "expiration_time"),
        lambda: arguments.users({"geni_users": value}),
        lambda: arguments.rspec_version({"geni_rspec_version": value}),
        lambda: arguments.flag({"geni_best_effort": value}, "geni_best_effort"),
        lambda: arguments.speaking_for({"geni_speaking_for": value}),
    ]
    for read in readers:
        with contextlib.suppress(AMError):
            read()


def test_credentials_come_as_structs_as_bare_text_and_as_base64():
    struct = {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": "<a/>"}
    packed = {"geni_type": "GENI_SFA", "geni_version": 2, "geni_value": Binary(b"<b/>")}
    assert arguments.credentials([struct, packed, "<c/>"]) == ("<a/>", "<b/>", "<c/>")


def test_a_credential_of_another_type_is_refused_with_the_types_that_are_read():
    with pytest.raises(BadArgs, match=r"geni_unknown.*geni_sfa 2 or geni_sfa 3 or geni_abac 1"):
        arguments.credentials([{"geni_type": "geni_unknown", "geni_version": "1", "geni_value": "x"}])


def test_a_credential_of_another_type_beside_a_good_one_is_passed_over():
    good = {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": "<a/>"}
    assert arguments.credentials([{"geni_type": "geni_x", "geni_version": "1", "geni_value": "x"}, good]) == ("<a/>",)


@pytest.mark.parametrize(
    ("kind", "version", "is_read"),
    [
        ("geni_sfa", "2", True),
        ("geni_sfa", "3", True),
        ("geni_sfa", 3, True),
        ("geni_sfa", 2.0, True),
        ("geni_sfa", "3.0", True),
        ("GENI_SFA", " 3 ", True),
        ("geni_abac", "1", True),
        ("geni_abac", 1, True),
        ("geni_sfa", "1", False),
        ("geni_sfa", "4", False),
        ("geni_sfa", "3.1", False),
        ("geni_sfa", 2.5, False),
        ("geni_sfa", True, False),
        ("geni_sfa", "", False),
        ("geni_abac", "3", False),
        ("geni_abac", "1.1", False),
        ("geni_sfa_abac", "1", False),
        (None, None, False),
    ],
)
def test_the_version_beside_a_credential_is_one_that_is_known_as_text_or_number(kind, version, is_read):
    sent = [{"geni_type": kind, "geni_version": version, "geni_value": "<a/>"}]
    if is_read:
        assert arguments.credentials(sent) == ("<a/>",)
    else:
        with pytest.raises(BadArgs, match="are not read here"):
            arguments.credentials(sent)


@pytest.mark.parametrize("sent", ["urn:publicid:IDN+plc+user+alice", " urn:publicid:idn+PLC+user+Alice\n"])
def test_the_user_whom_a_tool_speaks_for_is_a_urn(sent):
    assert arguments.speaking_for({"geni_speaking_for": sent}) == URN("plc", "user", "alice")


def test_a_tool_that_names_no_user_speaks_for_itself():
    assert arguments.speaking_for({}) is arguments.speaking_for({"geni_speaking_for": ""}) is None


@pytest.mark.parametrize("sent", ["plc.alice", 1, ["urn:publicid:IDN+plc+user+alice"], True])
def test_anything_else_as_the_user_is_bad_arguments(sent):
    with pytest.raises(BadArgs, match="geni_speaking_for"):
        arguments.speaking_for({"geni_speaking_for": sent})


@pytest.mark.parametrize(
    "sent",
    [
        "2030-01-02T03:04:05Z",
        "2030-01-02T04:04:05+01:00",
        "2030-01-02 03:04:05.000000+00:00",
        DateTime("20300102T03:04:05"),
    ],
)
def test_times_are_read_with_any_offset_and_mean_the_same_moment(sent):
    assert arguments.moment(sent, "expiration_time") == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("sent", ["2030-01-02T03:04:05", "tomorrow", "", "9999-12-31T23:59:59-23:00", 5])
def test_a_time_without_zone_or_sense_is_bad_arguments(sent):
    with pytest.raises(BadArgs, match="expiration_time"):
        arguments.moment(sent, "expiration_time")


@pytest.mark.parametrize("sent", [{"type": "GENI", "version": "3"}, {"type": "geni", "version": 3}, "geni 3"])
def test_rspec_version_3_is_known_by_all_its_spellings(sent):
    arguments.rspec_version({"geni_rspec_version": sent})


def test_another_rspec_version_is_a_bad_version_and_a_missing_one_a_bad_argument():
    with pytest.raises(BadVersion, match="GENI version 3"):
        arguments.rspec_version({"geni_rspec_version": {"type": "ProtoGENI", "version": "2"}})
    with pytest.raises(BadArgs, match="geni_rspec_version"):
        arguments.rspec_version({})


def test_too_few_and_too_many_arguments_are_named():
    with pytest.raises(BadArgs, match=r"Status takes 3 arguments \(urns, credentials, options\), and 1 were sent"):
        arguments.expect("Status", (1,), ("urns", "credentials", "options"), optional=1)
    assert arguments.expect("Status", (1, 2), ("urns", "credentials", "options"), optional=1) == [1, 2, {}]
