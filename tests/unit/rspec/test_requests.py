"""Reading requests: what they say, and what is refused with where and why."""

import pytest

from rspec import Extension, Invalid, Malformed, WrongVersion, read_node, read_request, write_node

GENI = 'xmlns="http://www.geni.net/resources/rspec/3" type="request"'


def request(*elements):
    return f"<rspec {GENI}>{''.join(elements)}</rspec>"


def node(client_id="a", inside="", attributes=""):
    return f'<node client_id="{client_id}" {attributes}>{inside}</node>'


def test_everything_a_node_may_say_is_read():
    (n,) = read_request(
        request(
            node(
                "gw",
                '<sliver_type name="vm"><disk_image name="urn:publicid:IDN+x+image+deb"/></sliver_type>'
                '<hardware_type name="pc"/>'
                '<interface client_id="gw:0" mac_address="02-AB-00-00-00-01">'
                '<ip address="10.0.0.1" netmask="255.255.255.0"/><ip address="fd00::1" type="ipv6"/></interface>'
                '<services><install url="http://x/y.tgz" install_path="/opt"/>'
                '<execute shell="bash" command="/opt/go"/></services>',
                'component_id="urn:publicid:IDN+x+node+n1" component_manager_id="urn:publicid:IDN+x+authority+cm" '
                'exclusive="True"',
            )
        )
    ).nodes
    assert (n.client_id, n.component_id, n.exclusive) == ("gw", "urn:publicid:IDN+x+node+n1", True)
    assert (n.sliver_type, n.disk_image) == ("vm", "urn:publicid:IDN+x+image+deb")
    assert [one.name for one in n.hardware_types] == ["pc"]
    assert n.interfaces[0].mac == "02:ab:00:00:00:01"
    assert [str(a) for a in n.interfaces[0].addresses] == ["10.0.0.1/24", "fd00::1/64"]
    assert (n.installs[0].install_path, n.executes[0].command) == ("/opt", "/opt/go")


@pytest.mark.parametrize("mask", ["255.255.0.0", "/16", "16"])
def test_netmasks_are_read_in_all_forms_of_the_field(mask):
    inside = f'<interface client_id="i"><ip address="10.0.0.1" netmask="{mask}"/></interface>'
    (n,) = read_request(request(node(inside=inside))).nodes
    assert str(n.interfaces[0].addresses[0]) == "10.0.0.1/16"


def test_a_node_reads_back_from_its_own_text_with_prefixes_and_unknown_parts():
    text = (
        '<r:rspec xmlns:r="http://www.geni.net/resources/rspec/3" xmlns:x="urn:x" type="request">'
        '<r:node client_id="a" x:y="z"><x:q/></r:node></r:rspec>'
    )
    (n,) = read_request(text).nodes
    assert n.attributes == (("{urn:x}y", "z"),)
    assert n.extensions == (Extension(source='<x:q xmlns:x="urn:x"/>'),)
    assert read_node(write_node(n)) == n


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ([node() + "\n" + node()], r"line 2: node 'a' is there already, on line 1"),
        (["<node/>"], "needs the attribute client_id"),
        ([node(attributes='exclusive="maybe"')], "exclusive='maybe' can't be read; exclusive is true or false"),
        ([node(inside='<sliver_type name="a"/><sliver_type name="b"/>')], "2 sliver types"),
        ([node(inside="<sliver_type/>")], "needs the attribute name"),
        ([node(inside='<interface client_id="i"/><interface client_id="i"/>')], "interface 'i' is there already"),
        ([node(inside='<interface client_id="i"><ip address="10.0.0.1" netmask="1.2.3.4"/></interface>')], "not an IP"),
        ([node(inside='<interface client_id="i"><ip address="127.0.0.1"/></interface>')], "can't be the address"),
        ([node(inside='<interface client_id="i" mac_address="zz"/>')], "six pairs"),
        ([node(inside='<interface client_id="i" mac_address="01:00:00:00:00:00"/>')], "multicast"),
        (['<link client_id="l"/>'], "joins no interfaces"),
        (['<link client_id="l"><interface_ref client_id="i"/></link>'], "'i' is on no node"),
        (
            [node("l", '<interface client_id="i"/>'), '<link client_id="l"><interface_ref client_id="i"/></link>'],
            "of a node",
        ),
        (
            [
                node(inside='<interface client_id="i"/>'),
                *(f'<link client_id="{link}"><interface_ref client_id="i"/></link>' for link in "lm"),
            ],
            r"'i' is on link 'l' already",
        ),
        (
            [
                *(
                    node(name, f'<interface client_id="{name}0"><ip address="10.0.0.1"/></interface>')
                    for name in ("a", "b")
                ),
                '<link client_id="l"><interface_ref client_id="a0"/><interface_ref client_id="b0"/></link>',
            ],
            r"'a0' and 'b0' both have address 10.0.0.1",
        ),
        (
            [
                node(inside='<interface client_id="i"/>'),
                '<link client_id="l"><interface_ref client_id="i"/>'
                '<property source_id="i" dest_id="i" capacity="fast"/></link>',
            ],
            "capacity='fast' makes no sense; in kbit/s",
        ),
    ],
)
def test_nonsense_is_refused_with_where_and_why(elements, says):
    with pytest.raises(Invalid, match=says):
        read_request(request(*elements))


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", Malformed),
        ("{}", Malformed),
        ("<rspec", Malformed),
        ('<!DOCTYPE a><rspec type="request"/>', Malformed),
        ("x" * (17 * 1024 * 1024), Malformed),
        ("<rspec>" + "<a>" * 500, Malformed),
        ("<rspec/>", WrongVersion),
        ("<html/>", WrongVersion),
        ('<rspec xmlns="http://www.geni.net/resources/rspec/3"/>', WrongVersion),
        ('<rspec xmlns="http://www.geni.net/resources/rspec/3" type="advertisement"/>', WrongVersion),
        ('<rspec xmlns="http://www.protogeni.net/resources/rspec/2"/>', WrongVersion),
        ('<rspec xmlns="http://www.protogeni.net/resources/rspec/0.2" type="request"/>', WrongVersion),
    ],
)
def test_what_is_no_request_is_refused_as_such(text, refusal):
    with pytest.raises(refusal):
        read_request(text)


def test_text_with_a_declaration_of_another_encoding_is_read():
    text = f'<?xml version="1.0" encoding="ISO-8859-1"?>{request(node("ä"))}'
    assert read_request(text).nodes[0].client_id == "ä"
    assert read_request(text.encode("iso-8859-1")).nodes[0].client_id == "ä"
