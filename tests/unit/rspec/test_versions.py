"""ProtoGENI version 2 and SFA version 1, and what is lost between versions."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from rspec import (
    GENI3,
    PROTOGENI2,
    SFA1,
    Advertisement,
    Extension,
    InitScript,
    Invalid,
    Lease,
    Manifest,
    Node,
    Request,
    Tag,
    WrongVersion,
    check,
    convert,
    read,
    read_advertisement,
    read_request,
    write,
)

SFA_REQUEST = """<?xml version="1.0"?>
<RSpec type="SFA" generated="2026-01-01T00:00:00Z">
 <network name="plc">
  <sliver_defaults><vref>f14</vref><initscript>go</initscript></sliver_defaults>
  <node component_manager_id="urn:publicid:IDN+plc+authority+cm"
        component_id="urn:publicid:IDN+plc:princeton+node+n1.example.org"
        component_name="n1.example.org" site_id="urn:publicid:IDN+plc:princeton+authority+sa">
   <hostname>n1.example.org</hostname><exclusive>FALSE</exclusive><arch>x86_64</arch>
   <interface component_id="urn:publicid:IDN+plc+interface+node1:eth0" client_id="i0" ipv4="10.0.0.1"/>
   <sliver name="princeton_s1"><cpu_share>2</cpu_share></sliver>
  </node>
  <node component_id="urn:publicid:IDN+plc:princeton+node+n2.example.org"><hostname>n2.example.org</hostname></node>
  <lease slice_id="urn:publicid:IDN+plc:princeton+slice+s1" start_time="1790000400" duration="2">
   <node component_id="urn:publicid:IDN+plc:princeton+node+n1.example.org"/></lease>
  <spectrum/>
 </network>
 <statistics/>
</RSpec>"""


def test_a_version_1_request_is_for_the_nodes_with_slivers():
    request = read_request(SFA_REQUEST)
    (node,) = request.nodes
    assert (node.client_id, node.component_name, node.exclusive) == ("n1.example.org", "n1.example.org", False)
    assert node.component_id == "urn:publicid:IDN+plc:princeton+node+n1.example.org"
    assert node.first(Tag).name == "arch"
    (kind,) = node.sliver_types
    assert kind.name == "plab-vserver"
    assert [(tag.name, tag.value, tag.scope) for tag in kind.all(Tag)] == [
        ("vref", "f14", "slice"),
        ("cpu_share", "2", "sliver"),
    ]
    assert kind.first(InitScript).name == "go"
    (interface,) = node.interfaces
    assert (interface.client_id, interface.ips[0].address) == ("i0", "10.0.0.1")
    lease = request.first(Lease)
    assert lease.begins_at == datetime.fromtimestamp(1790000400, UTC)
    assert (lease.ends_at - lease.begins_at).total_seconds() == 3600
    assert request.generated == datetime(2026, 1, 1, tzinfo=UTC)


def test_conversion_from_version_1_says_what_was_lost():
    converted = convert(SFA_REQUEST, to=GENI3)
    assert set(converted.lost) == {
        "site_id of nodes",
        "name of slivers",
        "<spectrum> of a network",
        "statistics of the aggregates",
    }
    assert isinstance(read(converted.text), Request)
    assert check(converted.text).is_good


def test_a_version_1_request_written_again_says_the_same():
    again = convert(SFA_REQUEST, to=SFA1)
    assert read(again.text).nodes == read(SFA_REQUEST).nodes
    first, second = read(again.text).first(Lease), read(SFA_REQUEST).first(Lease)
    assert (first.begins_at, first.ends_at, first.nodes) == (second.begins_at, second.ends_at, second.nodes)


def test_a_version_1_advertisement_lists_all_nodes_and_whether_they_are_up():
    text = """<RSpec type="SFA"><network name="plc.lab">
      <node component_id="urn:a" boot_state="boot"><hostname>a</hostname><exclusive>TRUE</exclusive>
        <hardware_type name="pc"/><location country="BE" longitude="3.7" latitude="51"/></node>
      <node component_id="urn:b" boot_state="disabled"><hostname>b</hostname><granularity grain="1800"/></node>
      <link component_name="a-b" component_id="urn:l"><component_manager name="urn:cm"/>
        <interface_ref component_id="urn:i1"/><interface_ref component_id="urn:i2"/><link_type name="vini"/>
        <property source_id="urn:i1" dest_id="urn:i2" capacity="100" latency="1" packet_loss="0"/></link>
    </network></RSpec>"""
    advertisement = read_advertisement(text)
    up, down = advertisement.nodes
    assert (up.component_name, up.is_available, up.exclusive, down.is_available) == ("a", True, True, False)
    assert up.component_manager_id == "urn:publicid:IDN+plc:lab+authority+cm"
    assert up.locations[0].country == "BE"
    (link,) = advertisement.links
    assert (link.component_id, link.ends, link.properties[0].capacity) == ("urn:l", ("urn:i1", "urn:i2"), "100")
    again = convert(text, to=SFA1)
    assert read(again.text) == advertisement
    assert "<granularity> of nodes" in again.lost


def test_a_version_1_manifest_names_its_slice():
    text = SFA_REQUEST.replace('name="plc"', 'name="plc" slice="plc.princeton.s1"')
    assert isinstance(read(text), Manifest)
    with pytest.raises(WrongVersion, match="of type 'manifest'"):
        read_request(text)


def test_version_1_is_held_to_its_few_rules():
    report = check('<RSpec type="SFA"><network name="a"><nodes/></network><node/></RSpec>')
    assert [str(problem) for problem in report.problems] == [
        "line 1: <nodes> can't stand in <network> of a SFA 1 advertisement; is <node> meant?",
        "line 1: <node> can't stand in <RSpec> of a SFA 1 advertisement; what can: <network>, <statistics>",
    ]
    with pytest.raises(Invalid):
        convert('<RSpec type="SFA"><network><node><sliver/></node></network><x/></RSpec>')


GENI_REQUEST = f"""<rspec xmlns="{GENI3}" type="request" xmlns:x="urn:x" x:y="z">
 <node client_id="free"><sliver_type name="vm"/></node>
 <node client_id="bound" component_id="urn:publicid:IDN+plc+node+n" component_name="n" colocate="c">
  <sliver_type name="vm"><disk_image name="deb"/></sliver_type>
  <interface client_id="bound:0"><ip address="10.0.0.1" netmask="255.0.0.0"/><ip address="10.0.0.2"/></interface>
  <services><install url="http://a" install_path="/"/></services><x:tea/></node>
 <link client_id="l"><interface_ref client_id="bound:0"/><x:q/></link><x:top/></rspec>"""


def test_what_version_1_can_not_say_is_listed():
    lost = convert(GENI_REQUEST, to=SFA1).lost
    assert set(lost) == {
        "node 'free', which is bound to no component",
        "netmasks and further addresses of node 'bound'",
        "services of node 'bound'",
        "colocate of node 'bound'",
        "sliver type 'vm' of node 'bound'",
        "disk images of node 'bound'",
        "<x:tea> of node 'bound'",
        "<x:q> of link 'l'",
        "<x:top> of the document",
        "attribute y of the document",
    }


def test_links_without_a_network_to_stand_in_are_lost():
    text = f'<rspec xmlns="{GENI3}" type="advertisement"><link component_id="urn:l"/></rspec>'
    assert convert(text, to=SFA1).lost == ("link 'urn:l'",)


def test_attributes_whose_names_are_no_element_names_are_lost():
    node = Node(component_id="urn:n", extensions=(Tag.of("a b", "c"),))
    converted = convert(write(Advertisement(nodes=(node,))), to=SFA1)
    assert "attribute 'a b' of node 'urn:n', whose name can't be that of an element" in converted.lost
    etree.fromstring(converted.text.encode())


def test_protogeni_2_has_the_same_elements():
    old = convert(GENI_REQUEST, to=PROTOGENI2)
    assert old.lost == ()
    assert PROTOGENI2 in old.text
    assert (check(old.text).version, check(old.text).problems) == ("ProtoGENI 2", ())
    assert read(old.text) == read(GENI_REQUEST)
    spoilt = old.text.replace('<link client_id="l"', '<link clientid="l"')
    (first, _) = check(spoilt).problems
    assert spoilt.splitlines()[first.line - 1].startswith("<link")


def test_foreign_elements_survive_every_conversion_that_has_room_for_them():
    document = read(convert(convert(GENI_REQUEST, to=PROTOGENI2).text, to=GENI3).text)
    assert document == read(GENI_REQUEST)
    assert [type(one) for one in document.extensions] == [Extension]
