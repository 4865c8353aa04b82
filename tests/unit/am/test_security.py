"""Security groups: what a request says becomes what the backend is told, or a sentence."""

import pytest
from unit.am.small import everything, request

from backends.protocol import Rule, Sender, Traffic
from rspec import SecurityGroup, SecurityRule, read_manifest
from sfa_am.errors import BadArgs, Unsupported

HEAD = 'xmlns="urn:sfa-am:rspec:ext:security-group:1"'
LINK = '<link client_id="ab"><interface_ref client_id="a:0"/><interface_ref client_id="b:0"/></link>'


def nodes(group):
    return (
        f'<node client_id="a"><interface client_id="a:0"/><interface client_id="a:1"/>{group}</node>',
        '<node client_id="b"><interface client_id="b:0"/></node>',
    )


def group(*rules, spoofing=None):
    said = f' spoofing="{spoofing}"' if spoofing else ""
    return f"<security_group {HEAD}{said}>{''.join(f'<rule {rule}/>' for rule in rules)}</security_group>"


def wanted(am, client_id):
    (spec,) = [
        thing.spec for thing in am.backend.things.values() if getattr(thing.spec.shape, "hostname", "") == client_id
    ]
    return spec.shape


def test_rules_reach_the_backend_and_stand_in_the_manifest(am):
    rules = (
        'action="allow" protocol="tcp" ports="80-90" source="10.0.0.0/8" interface="a:0"',
        'action="deny" interface="a:0"',
        'action="deny" protocol="tcp" ports="22" source="192.0.2.0/24"',
    )
    described = am.allocate(request(*nodes(group(*rules, spoofing="deny")), LINK))
    am.provision()
    am.work()
    shape = wanted(am, "a")
    assert [port.sender for port in shape.ports] == [Sender.OWN_ADDRESSES]
    assert [(rule.allows, rule.traffic, rule.ports, str(rule.source), rule.interface) for rule in shape.rules] == [
        (True, Traffic.TCP, (80, 90), "10.0.0.0/8", "eth1"),
        (False, Traffic.ANY, None, "None", "eth1"),
        (False, Traffic.TCP, (22, 22), "192.0.2.0/24", "eth0"),
    ]
    (a, _) = read_manifest(described.manifest).nodes
    assert len(a.first(SecurityGroup).rules) == 3
    assert (wanted(am, "b").rules, wanted(am, "b").ports[0].sender) == ((), Sender.OWN_MAC)


def test_a_group_made_anew_says_what_was_put_into_it():
    rule = SecurityRule.of("allow", protocol="tcp", ports="80", source_prefix="10.0.0.0/8", interface="a<0")
    written = SecurityGroup.of([rule], spoofing="deny")
    head = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="manifest">'
    text = f'{head}<node client_id="a">{written.source}</node></rspec>'
    (read,) = read_manifest(text).nodes[0].all(SecurityGroup)
    assert (read.spoofing, read.odd) == ("deny", ())
    assert [(r.action, r.protocol, r.ports, r.source_prefix, r.interface, r.odd) for r in read.rules] == [
        ("allow", "tcp", "80", "10.0.0.0/8", "a<0", ())
    ]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (group('action="permit"'), BadArgs, "neither allow nor deny"),
        (group('action="deny" protocol="sctp"'), BadArgs, "none of any, tcp, udp, icmp"),
        (group('action="deny" ports="80"'), BadArgs, "ports are of tcp or udp"),
        (group('action="deny" protocol="tcp" ports="90-80"'), BadArgs, "no range"),
        (group('action="deny" protocol="tcp" ports="65536"'), BadArgs, "no range"),
        (group('action="deny" source="10.0.0.1/8"'), BadArgs, "host bits"),
        (group('action="deny" source="2001:db8::/32"'), Unsupported, "version 4"),
        (group('action="deny" interface="b:0"'), BadArgs, "on links are 'a:0'"),
        (group('action="deny" interface="a:1"'), BadArgs, "on no link"),
        (group('action="deny" port="80"'), BadArgs, "has no 'port'"),
        (group('action="allow" protocol="tcp" ports="80"'), Unsupported, "nothing but SSH"),
        (group('action="allow" protocol="udp"'), Unsupported, "nothing but SSH"),
        (group(spoofing="no"), BadArgs, "none of deny, mac, allow"),
        (f"<sliver_type name='container'>{group()}</sliver_type>", BadArgs, "directly into the node"),
        (group() + group(), BadArgs, "2 security groups"),
        (group(*['action="deny"'] * 65), BadArgs, "65 rules"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_place(am, asked, error, words):
    before = everything(am)
    with pytest.raises(error, match=words) as refusal:
        am.allocate(request(*nodes(asked), LINK))
    assert "node 'a' (line 1)" in str(refusal.value)
    assert everything(am) == before


def test_a_group_that_nothing_would_read_is_refused(am):
    in_link = LINK.replace("</link>", f"{group()}</link>")
    for elements in ((*nodes(""), in_link), (*nodes(""), LINK, group())):
        with pytest.raises(BadArgs, match="belongs into a node"):
            am.allocate(request(*elements))


def test_a_rule_for_what_has_no_ports_has_none():
    with pytest.raises(ValueError, match="no ports"):
        Rule(allows=True, traffic=Traffic.ICMP, ports=(1, 1))


DENY = SecurityRule.of("deny", protocol="tcp", ports="22")


@pytest.fixture
def running(am):
    am.allocate(request(*nodes(group('action="deny" interface="a:0"')), LINK))
    am.provision()
    am.work()
    return am


def only(am, client_id):
    return [str(state.urn) for state in am.status() if state.client_id == client_id]


def manifest_node(am, client_id):
    described = am.service.describe(am.who(), [str(am.slice_urn)], now=am.now)
    return next(node for node in read_manifest(described.manifest).nodes if node.client_id == client_id)


def test_rules_of_a_node_that_runs_are_exchanged(running):
    new = SecurityGroup.of([DENY], spoofing="allow")
    running.act("sfa_update_rules", only(running, "a"), group=new)
    assert running.states()["a"] == "geni_ready_busy"
    running.work()
    assert running.states()["a"] == "geni_ready"
    shape = wanted(running, "a")
    assert [rule.interface for rule in shape.rules] == ["eth0"]
    assert [port.sender for port in shape.ports] == [Sender.ANYBODY]
    assert manifest_node(running, "a").all(SecurityGroup) == (new,)


def test_a_group_that_says_nothing_takes_the_old_one_away(running):
    running.act("sfa_update_rules", only(running, "a"), group=SecurityGroup.of([]))
    running.work()
    assert (wanted(running, "a").rules, wanted(running, "a").ports[0].sender) == ((), Sender.OWN_MAC)
    assert manifest_node(running, "a").first(SecurityGroup) is None


def test_an_update_of_the_slice_knows_the_new_rules(running):
    running.act("sfa_update_rules", only(running, "a"), group=SecurityGroup.of([]))
    described = running.service.update(
        running.who(), running.slice_urn, request(*nodes(""), LINK), end_at=None, now=running.now
    )
    assert {state.allocation.value for state in described.slivers} == {"geni_provisioned"}


def test_rules_that_one_of_the_nodes_can_not_have_change_none(running):
    before = everything(running)
    with pytest.raises(BadArgs, match="node 'b', rule 1: interface='a:0'"):
        running.act("sfa_update_rules", group=SecurityGroup.of([SecurityRule.of("deny", interface="a:0")]))
    assert everything(running) == before
