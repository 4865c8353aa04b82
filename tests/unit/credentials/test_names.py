"""URNs and HRNs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credentials import URN, BadName, check_slice_name, check_user_name, transcribe, untranscribe

labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,11}", fullmatch=True)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,15}", fullmatch=True)
urns = st.builds(
    URN,
    authority=st.lists(labels, min_size=1, max_size=4).map(":".join),
    type=st.sampled_from(["user", "slice", "sliver", "node", "link", "interface", "image", "tool", "project", "lease"]),
    name=names,
) | st.builds(
    URN,
    authority=st.lists(labels, min_size=1, max_size=4).map(":".join),
    type=st.just("authority"),
    name=st.sampled_from(["sa", "am", "cm", "ma", "ca", "sm", "root"]),
)


@given(urns)
def test_a_urn_reads_back_from_its_text(urn):
    assert URN.parse(str(urn)) == urn
    assert str(URN.parse(str(urn))) == str(urn)


@given(urns)
def test_a_urn_reads_back_from_its_hrn_and_type(urn):
    assert URN.from_hrn(urn.hrn, urn.hrn_type) == urn


@pytest.mark.parametrize(
    ("hrn", "kind", "urn"),
    [
        ("plc", "authority", "urn:publicid:IDN+plc+authority+sa"),
        ("plc.princeton", "authority+cm", "urn:publicid:IDN+plc:princeton+authority+cm"),
        ("plc.princeton.alice", "user", "urn:publicid:IDN+plc:princeton+user+alice"),
        (r"plc.princeton.node1\.example\.org", "node", "urn:publicid:IDN+plc:princeton+node+node1.example.org"),
        (r"emulab\.net.proj.s", "slice", "urn:publicid:IDN+emulab.net:proj+slice+s"),
    ],
)
def test_hrns_and_urns_of_the_field_mean_each_other(hrn, kind, urn):
    assert str(URN.from_hrn(hrn, kind)) == urn
    assert URN.parse(urn).hrn == hrn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "urn:publicid:IDN+plc+user",
        "urn:publicid:IDN++user+alice",
        "urn:publicid:IDN+plc++alice",
        "urn:publicid:IDN+plc+user+",
        "http://plc/user/alice",
        "urn:publicid:IDN+plc+user+al ice",
        "urn:publicid:IDN+plc+user+alice\n",
        "urn:publicid:IDN+plc+user+аlice",  # noqa: RUF001 - a Cyrillic letter that looks like a Latin one
        "urn:publicid:IDN+plc+user+<script>",
        "urn:publicid:IDN+plc+user+" + "a" * 300,
    ],
)
def test_what_is_no_urn_is_refused(text):
    with pytest.raises(BadName):
        URN.parse(text)


@pytest.mark.parametrize("text", ["urn:publicid:IDN+plc\\+user+a", "urn:publicid:IDN+plc+user+a\\.b"])
def test_a_backslash_is_refused_so_that_no_two_names_share_an_hrn(text):
    with pytest.raises(BadName):
        URN.parse(text)
    assert URN("plc", "user", "a.b").hrn != URN("plc:a", "user", "b").hrn


def test_refusals_are_ascii_whatever_was_sent():
    for make in (URN.parse, check_slice_name, check_user_name, lambda text: URN.from_hrn(text, text)):
        with pytest.raises(BadName) as caught:
            make("zo\u00eb \u0430\n")
        assert str(caught.value).isascii()
        assert "\n" not in str(caught.value)


def test_names_of_users_and_slices_compare_without_case_and_keep_it():
    urn = URN.parse("URN:PUBLICID:idn+PLC+user+Alice")
    assert urn == URN.parse("urn:publicid:IDN+plc+user+alice")
    assert hash(urn) == hash(URN.parse("urn:publicid:IDN+plc+user+alice"))
    assert str(urn) == "urn:publicid:IDN+PLC+user+Alice"
    assert URN("plc", "node", "A") != URN("plc", "node", "a")


def test_an_authority_covers_what_is_below_it_by_whole_labels():
    top = URN("plc", "authority", "sa")
    assert top.covers(URN("plc:princeton", "user", "alice"))
    assert top.covers(URN("PLC", "slice", "s"))
    assert not top.covers(URN("plc2", "user", "alice"))
    assert not top.covers(URN("plc.princeton", "user", "alice"))
    assert not URN("plc:princeton", "authority", "sa").covers(top)


@pytest.mark.parametrize("name", ["s", "my-slice-1", "a" * 19])
def test_slice_names_that_are_good(name):
    check_slice_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a" * 20, "a_b", "a.b", "ä"])
def test_slice_names_that_are_not(name):
    with pytest.raises(BadName):
        check_slice_name(name)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a" * 33])
def test_user_names_that_are_not(name):
    with pytest.raises(BadName):
        check_user_name(name)


@given(st.text(max_size=15))
def test_any_text_can_be_a_part_of_a_urn_and_reads_back(text):
    written = transcribe(text)
    assert untranscribe(written) == " ".join(text.split())
    if written:
        assert URN.parse(str(URN("plc", "user", written))).name == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a//b::c", "a:b;c"),
        ("  a \t b ", "a+b"),
        ("a+b:c/d;e'f?g#h%i", "a%2Bb%3Ac%2Fd%3Be%27f%3Fg%23h%25i"),
        ("zo\u00eb", "zo%C3%AB"),
    ],
)
def test_texts_are_transcribed_as_rfc_3151_says(text, written):
    assert transcribe(text) == written


def test_escapes_that_mean_nothing_are_refused():
    with pytest.raises(BadName, match="no UTF-8"):
        untranscribe("a%FFb")


@pytest.mark.parametrize(
    ("urn", "kind"),
    [
        ("urn:publicid:IDN+plc+authority+sa", "authority"),
        ("urn:publicid:IDN+plc+authority+am", "authority+am"),
        ("urn:publicid:IDN+plc+user+a", "user"),
    ],
)
def test_hrns_have_the_types_of_the_sfa(urn, kind):
    assert URN.parse(urn).hrn_type == kind
