"""Ports of machines that are reached from outside: what a request says, what the manifest says, what is refused."""

import pytest
from unit.am.small import claims_add_up, everything, request, used

from backends.protocol import Machine, Opening, Traffic
from rspec import Publish, read_manifest
from sfa_am.errors import BadArgs, NotFeasible, Unsupported

PORTS = 'xmlns="urn:sfa-am:rspec:ext:ports:1"'
GROUP = 'xmlns="urn:sfa-am:rspec:ext:security-group:1"'


def node(name, *published, inside=""):
    return f'<node client_id="{name}">{"".join(f"<publish {PORTS} {one}/>" for one in published)}{inside}</node>'


def shown(manifest):
    (found,) = read_manifest(manifest).nodes
    return [(one.protocol, one.port, one.hostname, one.public_port) for one in found.all(Publish)]


def test_published_ports_reach_the_backend_and_the_manifest_says_where_they_are(am):
    described = am.allocate(request(node("web", 'port="80"', 'protocol="udp" port="53"')))
    assert shown(described.manifest) == [("tcp", 80, None, None), ("udp", 53, None, None)]
    am.provision()
    am.work()
    (shape,) = [thing.spec.shape for thing in am.backend.things.values() if isinstance(thing.spec.shape, Machine)]
    assert shape.openings == (Opening(traffic=Traffic.TCP, port=80), Opening(traffic=Traffic.UDP, port=53))
    assert shown(am.service.describe(am.who(), [str(am.slice_urn)], now=am.now).manifest) == [
        ("tcp", 80, "192.0.2.1", 40080),
        ("udp", 53, "192.0.2.1", 40053),
    ]


def test_ports_are_held_like_everything_else(am):
    am.allocate(request(node("a", *(f'port="{n}"' for n in range(80, 85)))))
    assert used(am, "ports") == 5
    assert claims_add_up(am)
    before = everything(am)
    with pytest.raises(NotFeasible, match="4 ports"):
        am.allocate(request(node("b", *(f'port="{n}"' for n in range(80, 84)))))
    assert everything(am) == before
    am.delete()
    assert used(am, "ports") == 0
    am.allocate(request(node("b", *(f'port="{n}"' for n in range(80, 84)))))


@pytest.mark.parametrize(
    ("published", "words"),
    [
        ('port="0"', "from 1 to 65535"),
        ('port="http"', "from 1 to 65535"),
        ('port="80" protocol="sctp"', "can't be published"),
        ('port="80" prot="udp"', "has no 'prot'"),
        ('port="22"', "without being asked for"),
        (f'port="80"/><publish {PORTS} port="80"', "twice"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(am, published, words):
    before = everything(am)
    with pytest.raises(BadArgs, match=words):
        am.allocate(request(node("a", published)))
    assert everything(am) == before


def test_a_port_that_is_published_elsewhere_than_in_a_node_is_refused(am):
    with pytest.raises(BadArgs, match="directly into a node"):
        am.allocate(request(node("a"), f'<publish {PORTS} port="80"/>'))


def test_a_node_publishes_so_many_and_no_more(am):
    with pytest.raises(BadArgs, match="a node may have 32"):
        am.allocate(request(node("a", *(f'port="{n}"' for n in range(100, 133)))))


def test_where_nothing_is_published_the_request_is_refused(am):
    am.backend.abilities = ()
    am.sweep()
    with pytest.raises(Unsupported, match="nothing but SSH"):
        am.allocate(request(node("a", 'port="80"')))


def test_rules_may_be_about_what_is_published(am):
    rule = '<rule action="allow" protocol="{}" ports="80" source="192.0.2.0/24"/>'
    groups = {kind: f"<security_group {GROUP}>{rule.format(kind)}</security_group>" for kind in ("tcp", "udp")}
    with pytest.raises(Unsupported, match="publish the port"):
        am.allocate(request(node("a", inside=groups["tcp"])))
    with pytest.raises(Unsupported, match="tcp port 80"):
        am.allocate(request(node("a", 'port="80"', inside=groups["udp"])))
    am.allocate(request(node("a", 'port="80"', inside=groups["tcp"])))
