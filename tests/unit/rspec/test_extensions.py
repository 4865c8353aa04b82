"""Extensions: what is understood of them, and that all of them are kept as they came."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from rspec import (
    Blockstore,
    Channel,
    ClientInfo,
    Drawn,
    ExperimentCommands,
    Extension,
    FirewallRule,
    InitScript,
    Lease,
    LeaseRef,
    LinkFlag,
    LinkSharedVlan,
    Manifest,
    Node,
    NodeType,
    OpenFlow,
    OpStates,
    RoutableControlIp,
    Services,
    ServicesUser,
    Shaping,
    SharedVlans,
    Site,
    SliverInfo,
    SliverType,
    SshKeys,
    Stitching,
    Tag,
    Xen,
    read,
    write,
)

HEAD = """<rspec xmlns="http://www.geni.net/resources/rspec/3" type="manifest"
 xmlns:emulab="http://www.protogeni.net/resources/rspec/ext/emulab/1"
 xmlns:delay="http://www.protogeni.net/resources/rspec/ext/delay/1"
 xmlns:client="http://www.protogeni.net/resources/rspec/ext/client/1"
 xmlns:jacks="http://www.protogeni.net/resources/rspec/ext/jacks/1"
 xmlns:jfed="http://jfed.iminds.be/rspec/ext/jfed/1"
 xmlns:keys="http://jfed.iminds.be/rspec/ext/jfed-ssh-keys/1"
 xmlns:command="http://jfed.iminds.be/rspec/ext/jfed-command/1"
 xmlns:user="http://www.geni.net/resources/rspec/ext/user/1"
 xmlns:vlan="http://www.geni.net/resources/rspec/ext/shared-vlan/1"
 xmlns:info="http://groups.geni.net/exogeni/attachment/wiki/RspecExtensions/sliver-info/1"
 xmlns:stitch="http://www.geni.net/resources/rspec/ext/stitch/2/"
 xmlns:omf="http://nitlab.inf.uth.gr/schema/sfa/rspec/1"
 xmlns:planetlab="http://www.planet-lab.org/resources/sfa/ext/planetlab/1"
 xmlns:plos="http://www.planet-lab.org/resources/sfa/ext/plos/1"
 xmlns:openflow="http://www.geni.net/resources/rspec/ext/openflow/3"
 xmlns:op="http://www.geni.net/resources/rspec/ext/opstate/1"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="urn:x">"""


def top(inside):
    return read(f"{HEAD}{inside}</rspec>")


def on_node(inside):
    return top(f'<node client_id="a">{inside}</node>').nodes[0]


def in_type(inside):
    return on_node(f'<sliver_type name="t">{inside}</sliver_type>').sliver_types[0]


def on_link(inside):
    return top(f'<link client_id="l">{inside}</link>').links[0]


CASES = [
    (on_node, "<emulab:routable_control_ip/>", RoutableControlIp, {}),
    (
        on_node,
        '<emulab:blockstore name="bs" size="60GB" mountpoint="/mnt" class="local" readonly="true" dataset="d"/>',
        Blockstore,
        {"name": "bs", "size": "60GB", "mountpoint": "/mnt", "store_class": "local", "readonly": True, "dataset": "d"},
    ),
    (in_type, '<emulab:xen cores="4" ram="2048" disk="8"/>', Xen, {"cores": 4, "ram": 2048, "disk": 8}),
    (in_type, '<emulab:xen cores="many"/>', Xen, {"cores": None, "ram": None}),
    (
        on_node,
        '<emulab:node_type type_slots="unlimited" static="true"/>',
        NodeType,
        {"type_slots": None, "static": True},
    ),
    (on_link, "<emulab:interswitch/>", LinkFlag, {"name": "interswitch", "enabled": True}),
    (on_link, '<emulab:vlan_tagging enabled="false"/>', LinkFlag, {"name": "vlan_tagging", "enabled": False}),
    (
        top,
        '<client:client_info name="jFed" environment="e" version="6" url="u"/>',
        ClientInfo,
        {"name": "jFed", "environment": "e", "version": "6", "url": "u"},
    ),
    (on_node, '<jfed:location x="1.5" y="-2"/>', Drawn, {"x": 1.5, "y": -2.0}),
    (on_node, '<jfed:location x="left"/>', Drawn, {"x": None, "y": None}),
    (on_node, '<jacks:site id="Site 1"/>', Site, {"id": "Site 1"}),
    (
        top,
        '<keys:user-ssh-keys user="urn:u"><keys:sshkey> ssh-rsa A </keys:sshkey></keys:user-ssh-keys>',
        SshKeys,
        {"user": "urn:u", "keys": ("ssh-rsa A",)},
    ),
    (top, "<command:experimentBarrierSegment/>", ExperimentCommands, {}),
    (
        lambda text: on_node(f"<services>{text}</services>").services[0],
        '<user:services_user login="al" user_urn="urn:a"><user:public_key>k1</user:public_key></user:services_user>',
        ServicesUser,
        {"login": "al", "user_urn": "urn:a", "public_keys": ("k1",)},
    ),
    (on_link, '<vlan:link_shared_vlan name="v" vlantag="7"/>', LinkSharedVlan, {"name": "v", "vlantag": "7"}),
    (
        top,
        '<vlan:rspec_shared_vlan><vlan:available name="v" restricted="true"/></vlan:rspec_shared_vlan>',
        SharedVlans,
        {"available": (("v", True),)},
    ),
    (
        on_node,
        '<info:geni_sliver_info creator_urn="urn:a" expiration_time="2026-01-02T00:00:00Z" creation_time="odd"/>',
        SliverInfo,
        {"creator_urn": "urn:a", "expiration_time": datetime(2026, 1, 2, tzinfo=UTC), "creation_time": None},
    ),
    (
        top,
        '<omf:lease id="l1" slice_id="urn:s" valid_from="2026-01-01T00:00:00Z" valid_until="2026-01-01T01:00:00Z">'
        '<omf:node component_id="urn:n"/></omf:lease>',
        Lease,
        {
            "id": "l1",
            "slice": "urn:s",
            "begins_at": datetime(2026, 1, 1, tzinfo=UTC),
            "ends_at": datetime(2026, 1, 1, 1, tzinfo=UTC),
            "nodes": ("urn:n",),
        },
    ),
    (
        top,
        '<lease slice_id="urn:s" start_time="0" duration="2"><node component_id="urn:n"/></lease>',
        Lease,
        {"begins_at": datetime(1970, 1, 1, tzinfo=UTC), "ends_at": datetime(1970, 1, 1, 1, tzinfo=UTC)},
    ),
    (top, '<omf:lease valid_from="99999999999999999999" duration="1"/>', Lease, {"begins_at": None, "ends_at": None}),
    (on_node, '<omf:lease_ref id_ref="l1"/>', LeaseRef, {"id": "l1"}),
    (top, '<omf:channel component_id="urn:c" frequency="2.4GHz"/>', Channel, {"frequency": "2.4GHz"}),
    (on_node, '<planetlab:attribute name="arch" value="x86_64"/>', Tag, {"name": "arch", "value": "x86_64"}),
    (on_node, "<planetlab:fcdistro>f18</planetlab:fcdistro>", Tag, {"name": "fcdistro", "value": "f18", "scope": None}),
    (in_type, '<planetlab:initscript name="go"/>', InitScript, {"name": "go"}),
    (
        in_type,
        '<plos:fw_rule protocol="tcp" port_range="22:22" cidr_ip="0.0.0.0/0"/>',
        FirewallRule,
        {"protocol": "tcp", "port_range": "22:22", "cidr_ip": "0.0.0.0/0"},
    ),
    (top, '<openflow:sliver email="a@b"/>', OpenFlow, {"name": "<sliver>"}),
]


@pytest.mark.parametrize(("place", "text", "kind", "says"), CASES)
def test_an_extension_is_understood_and_kept(place, text, kind, says):
    element = place(text)
    extension = element.first(kind)
    assert extension is not None
    assert {name: getattr(extension, name) for name in says} == says
    # It stands in what is written with all it had.
    alone = etree.fromstring(extension.source)
    was = etree.fromstring(f"{HEAD}{text}</rspec>")[0]
    assert etree.tostring(alone, method="c14n", exclusive=True) == etree.tostring(was, method="c14n", exclusive=True)


def test_stitching_is_read_hop_by_hop():
    document = top(
        """<stitch:stitching lastUpdateTime="now"><stitch:path id="link1">
        <stitch:hop id="1"><stitch:link id="urn:if1"><stitch:capacity>1000</stitch:capacity>
          <stitch:switchingCapabilityDescriptor><stitch:switchingCapabilitySpecificInfo>
            <stitch:switchingCapabilitySpecificInfo_L2sc>
              <stitch:vlanRangeAvailability>100-200</stitch:vlanRangeAvailability>
              <stitch:suggestedVLANRange>any</stitch:suggestedVLANRange>
              <stitch:vlanTranslation>true</stitch:vlanTranslation>
          </stitch:switchingCapabilitySpecificInfo_L2sc></stitch:switchingCapabilitySpecificInfo>
          </stitch:switchingCapabilityDescriptor></stitch:link><stitch:nextHop>2</stitch:nextHop></stitch:hop>
        <stitch:hop id="2"><stitch:nextHop>null</stitch:nextHop></stitch:hop></stitch:path>
        <stitch:aggregate id="urn:am" url="https://a"/></stitch:stitching>"""
    )
    stitching = document.first(Stitching)
    assert stitching.aggregates == ("urn:am",)
    (path,) = stitching.paths
    first, last = path.hops
    assert (path.id, first.next, last.next, last.link) == ("link1", "2", None, None)
    assert (first.link.id, first.link.capacity, first.link.vlan_range) == ("urn:if1", "1000", "100-200")
    assert (first.link.suggested_vlan, first.link.vlan_translation) == ("any", True)


def test_a_delay_node_says_how_it_shapes():
    kind = in_type(
        '<delay:sliver_type_shaping><delay:pipe source="a:0" dest="b:0" capacity="100" latency="5.5" packet_loss="x"/>'
        "</delay:sliver_type_shaping>"
    )
    (pipe,) = kind.first(Shaping).pipes
    assert (pipe.source_ref, pipe.dest_ref, pipe.capacity, pipe.latency, pipe.packet_loss) == (
        "a:0",
        "b:0",
        100.0,
        5.5,
        None,
    )


def test_operational_states_read_back():
    text = (
        '<op:rspec_opstate aggregate_manager_id="urn:am" start="geni_notready"><op:sliver_type name="t"/>'
        '<op:state name="geni_notready"><op:action name="geni_start" next="geni_ready"><op:description>Go &amp; run'
        '</op:description></op:action><op:wait type="geni_success" next="geni_ready"/></op:state></op:rspec_opstate>'
    )
    states = top(text).first(OpStates)
    assert (states.sliver_types, states.start) == (("t",), "geni_notready")
    assert states.states[0].actions[0].description == "Go & run"
    made = OpStates.of(
        aggregate_manager_id="urn:am", sliver_types=states.sliver_types, start=states.start, states=states.states
    )
    again = read(write(Manifest(extensions=(made,)))).first(OpStates)
    assert (again.states, again.start, again.sliver_types) == (states.states, states.start, states.sliver_types)


MADE = [
    RoutableControlIp.of(),
    Xen.of(cores=2, ram=512),
    ServicesUser.of("a<", "urn:a", ["ssh-rsa A&B"]),
    SliverInfo.of(creator_urn="urn:a", expiration_time=datetime(2026, 1, 1, tzinfo=UTC), state="ready"),
    Tag.of("vref", "f<14", "slice"),
    InitScript.of("go"),
]


@pytest.mark.parametrize("made", MADE)
def test_what_is_made_here_reads_back_as_what_was_meant(made):
    again = read(write(Manifest(nodes=(Node(client_id="a", extensions=(made,)),)))).nodes[0].first(type(made))
    assert again == made


def test_unknown_ones_keep_prefixes_that_only_values_name():
    document = top('<x:q xsi:type="x:kind" other="emulab:thing no:thing"><x:r>planetlab:word</x:r></x:q>')
    (unknown,) = document.extensions
    assert type(unknown) is Extension
    kept = etree.fromstring(unknown.source).nsmap
    assert kept.keys() == {"x", "xsi", "emulab", "planetlab"}
    assert read(write(document)) == document


def test_extensions_stay_where_they_were():
    kind = SliverType(name="t", extensions=(Extension(source='<x:in-type xmlns:x="urn:x"/>'),))
    services = Services(extensions=(Extension(source='<x:in-services xmlns:x="urn:x"/>'),))
    manifest = Manifest(
        nodes=(Node(client_id="a", sliver_types=(kind,), services=(services,), attributes=(("{urn:x}y", 'a"b'),)),),
        attributes=(("{http://www.w3.org/XML/1998/namespace}lang", "en"),),
    )
    assert read(write(manifest)) == manifest
