"""Records as SFA tools print and write them, and what `register` makes of a file and options."""

import pytest

from sfi_tool import record_text
from sfi_tool.errors import Unreadable

USER = {
    "hrn": "plc.site.alice",
    "type": "user",
    "email": "alice@example.org",
    "reg-keys": ["ssh-rsa AAAA alice"],
    "reg-slices": ["plc.site.s1", "plc.site.s2"],
    "reg-pi-authorities": ["plc.site"],
    "peer_authority": None,
}


def test_a_line_says_what_sfawrap_says():
    expected = "plc.site.alice (User)  [PI at plc.site]  [IN slices plc.site.s1 and plc.site.s2]  [has 1 key]"
    assert record_text.line(USER) == expected
    assert record_text.line({"hrn": "a.s", "type": "slice", "reg-researchers": ["a.u"]}) == "a.s (Slice)  [USERS a.u]"
    assert record_text.line({"hrn": "a", "type": "authority", "reg-pis": ["a.u"]}) == "a (Authority)  [PIS a.u]"


def test_verbosely_mail_addresses_and_keys_are_there():
    told = record_text.line(USER, verbose=True)
    assert "alice@example.org" in told
    assert "ssh-rsa AAAA alice" in told


def test_xml_and_back_is_the_same_record():
    written = record_text.as_xml(USER)
    assert 'hrn="plc.site.alice"' in written
    expected = {key: value for key, value in USER.items() if value is not None}
    assert record_text.from_xml(written.encode(), "file") == expected


def test_lists_have_two_names_in_files():
    content = (
        b'<record hrn="a.b.s" type="slice"><researcher>a.b.u1</researcher><researcher>a.b.u2</researcher></record>'
    )
    assert record_text.from_xml(content, "file")["reg-researchers"] == ["a.b.u1", "a.b.u2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not xml", "not well-formed"),
        (b"<rspec/>", "not a <record>"),
        (b'<record keys="x"><keys>y</keys><reg-keys>z</reg-keys></record>', None),
        (b'<record reg-keys="x"><keys>y</keys></record>', "an attribute and an element"),
    ],
)
def test_what_is_no_record_is_told(content, says):
    if says is None:
        assert record_text.from_xml(content, "file")["reg-keys"] == ["y", "z"]
        return
    with pytest.raises(Unreadable, match=says):
        record_text.from_xml(content, "file")


def test_entities_of_a_file_fetch_nothing(tmp_path):
    (tmp_path / "secret").write_text("secret")
    content = (
        f'<!DOCTYPE r [<!ENTITY e SYSTEM "file://{tmp_path / "secret"}">]>'
        '<record hrn="a.b" type="user"><email>&e;</email></record>'
    )
    assert "secret" not in str(record_text.from_xml(content.encode(), "file"))


def test_a_block_has_every_field_but_no_pages_of_certificates():
    told = record_text.block({**USER, "gid": "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"})
    assert told.splitlines()[:2] == ["=" * 40, "RECORD"]
    assert "    gid: 1 certificates" in told
    assert "    reg-slices: plc.site.s1, plc.site.s2" in told
