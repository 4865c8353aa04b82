"""What a link does for its machines: what a request says becomes what the backend is told, or a sentence."""

from ipaddress import IPv4Interface

import pytest
from unit.am.small import everything, request

from backends.protocol import Ability, Segment
from rspec import Lan, read_manifest
from sfa_am.errors import BadArgs, NotFeasible, Unsupported

LAN = 'xmlns="urn:sfa-am:rspec:ext:lan:1"'


def node(name, address="", inside=""):
    ip = f'<ip address="{address.split("/")[0]}" netmask="{address.split("/")[1]}"/>' if address else ""
    return f'<node client_id="{name}"><interface client_id="{name}:0">{ip}</interface>{inside}</node>'


def link(*ends, inside=""):
    refs = "".join(f'<interface_ref client_id="{end}:0"/>' for end in ends)
    return f'<link client_id="LAN 0">{refs}{inside}</link>'


def segment(am):
    (found,) = [thing.spec.shape for thing in am.backend.things.values() if isinstance(thing.spec.shape, Segment)]
    return found


def ports(am):
    shapes = [thing.spec.shape for thing in am.backend.things.values()]
    return {shape.hostname: shape.ports[0] for shape in shapes if not isinstance(shape, Segment)}


def made(am, *elements):
    described = am.allocate(request(*elements))
    am.provision()
    am.work()
    return described


def test_a_link_knows_who_is_on_it_under_which_name(am):
    made(am, node("Web.1", "10.0.0.1/24"), node("db", "10.0.0.7/24"), link("Web.1", "db"))
    found = segment(am)
    assert found.name == "lan-0"
    assert [(one.hostname, str(one.addresses[0])) for one in found.members] == [
        ("web-1", "10.0.0.1/24"),
        ("db", "10.0.0.7/24"),
    ]
    assert {one.mac for one in found.members} == {port.mac for port in ports(am).values()}
    assert found.server is None
    assert not any(port.asks for port in ports(am).values())


def test_a_link_with_dhcp_has_a_server_where_no_machine_is(am):
    elements = node("a", "10.0.0.254/24"), node("b"), link("a", "b", inside=f'<lan {LAN} dhcp="true"/>')
    described = made(am, *elements)
    assert segment(am).server == IPv4Interface("10.0.0.253/24")
    assert all(port.asks for port in ports(am).values())
    assert str(ports(am)["b"].addresses[0]) == "10.0.0.1/24"
    shown = read_manifest(described.manifest).links[0].first(Lan)
    assert (shown.dhcp, shown.server) == ("true", "10.0.0.253")


@pytest.mark.parametrize(
    ("elements", "error", "words"),
    [
        ((node("a"), node("b"), link("a", "b", inside=f'<lan {LAN} dhcp="maybe"/>')), BadArgs, "neither true nor"),
        ((node("a"), node("b"), link("a", "b", inside=f'<lan {LAN} dpch="true"/>')), BadArgs, "has no 'dpch'"),
        ((node("a"), node("b"), link("a", "b", inside=f"<lan {LAN}/><lan {LAN}/>")), BadArgs, "there are 2"),
        ((node("a", inside=f'<lan {LAN} dhcp="true"/>'), node("b"), link("a", "b")), BadArgs, "belongs into a link"),
        (
            (
                node("a", "10.0.0.1/30"),
                node("b", "10.0.0.2/30"),
                link("a", "b", inside=f'<lan {LAN} dhcp="true"/>'),
            ),
            NotFeasible,
            "no address left in 10.0.0.0/30 for the server",
        ),
        (
            (
                node("a", "10.0.0.1/24"),
                node("b", "10.9.0.2/24"),
                link("a", "b", inside=f'<lan {LAN} dhcp="true"/>'),
            ),
            BadArgs,
            "in 10.0.0.0/24 alone",
        ),
    ],
)
def test_what_can_not_be_served_is_refused_with_a_sentence(am, elements, error, words):
    before = everything(am)
    with pytest.raises(error, match=words):
        am.allocate(request(*elements))
    assert everything(am) == before


def test_a_gateway_is_the_server_and_is_told_to_who_asks(am):
    asked = f'<lan {LAN} dhcp="true" gateway="true"/>'
    described = made(am, node("a"), node("b"), link("a", "b", inside=asked))
    assert segment(am).gateway
    shown = read_manifest(described.manifest).links[0].first(Lan)
    assert (shown.dhcp, shown.gateway) == ("true", "true")
    am.delete()
    with pytest.raises(BadArgs, match="hear of a gateway by DHCP"):
        am.allocate(request(node("c"), node("d"), link("c", "d", inside=f'<lan {LAN} gateway="true"/>')))


def test_where_there_is_no_way_out_a_request_for_one_is_refused(am):
    am.backend.abilities = (Ability.DHCP,)
    am.sweep()
    with pytest.raises(Unsupported, match="no way out"):
        am.allocate(request(node("a"), link("a", inside=f'<lan {LAN} dhcp="true" gateway="true"/>')))


def test_where_nothing_gives_addresses_a_request_for_them_is_refused(am):
    am.backend.abilities = ()
    am.sweep()
    with pytest.raises(Unsupported, match="by DHCP"):
        am.allocate(request(node("a"), node("b"), link("a", "b", inside=f'<lan {LAN} dhcp="1"/>')))
    am.allocate(request(node("a"), node("b"), link("a", "b", inside=f'<lan {LAN} dhcp="0"/>')))
