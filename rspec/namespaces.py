"""The namespaces of RSpecs: of their versions, and of the extensions that are understood here."""

GENI3 = "http://www.geni.net/resources/rspec/3"
PROTOGENI2 = "http://www.protogeni.net/resources/rspec/2"
SFA1 = "SFA"
"""No namespace: SFA version 1 has none. The name stands for the version where others go by their namespace."""

VERSIONS = {GENI3: "GENI 3", PROTOGENI2: "ProtoGENI 2", SFA1: "SFA 1"}
"""The versions as GetVersion names them."""

XSI = "http://www.w3.org/2001/XMLSchema-instance"

_GENI = "http://www.geni.net/resources/rspec/ext"
_PROTOGENI = "http://www.protogeni.net/resources/rspec/ext"

USER = f"{_GENI}/user/1"
OPSTATE = f"{_GENI}/opstate/1"
SHARED_VLAN = f"{_GENI}/shared-vlan/1"
SHARED_VLAN_OLD = f"{_PROTOGENI}/shared-vlan/1"
STITCH = f"{_GENI}/stitch/2/"
STITCH_OLD = "http://hpn.east.isi.edu/rspec/ext/stitch/0.1/"
SLIVER_INFO = "http://groups.geni.net/exogeni/attachment/wiki/RspecExtensions/sliver-info/1"
OPENFLOW = f"{_GENI}/openflow/3"
OPENFLOW_OFELIA = "/opt/ofelia/ofam/local/schemas"
EMULAB = f"{_PROTOGENI}/emulab/1"
DELAY = f"{_PROTOGENI}/delay/1"
CLIENT = f"{_PROTOGENI}/client/1"
FLACK = f"{_PROTOGENI}/flack/1"
JACKS = f"{_PROTOGENI}/jacks/1"
SITE_INFO = f"{_PROTOGENI}/site-info/1"
JFED = "http://jfed.iminds.be/rspec/ext/jfed/1"
JFED_COMMAND = "http://jfed.iminds.be/rspec/ext/jfed-command/1"
JFED_SSH_KEYS = "http://jfed.iminds.be/rspec/ext/jfed-ssh-keys/1"
NITOS = "http://nitlab.inf.uth.gr/schema/sfa/rspec/1"
PLANETLAB = "http://www.planet-lab.org/resources/sfa/ext/planetlab/1"
PLOS = "http://www.planet-lab.org/resources/sfa/ext/plos/1"
SECURITY = "urn:sfa-am:rspec:ext:security-group:1"
LAN = "urn:sfa-am:rspec:ext:lan:1"
PORTS = "urn:sfa-am:rspec:ext:ports:1"
"""Ours."""
OMN_LOCATION = "http://open-multinet.info/location"

PREFIXES = {
    XSI: "xsi",
    USER: "user",
    OPSTATE: "opstate",
    SHARED_VLAN: "vlan",
    SHARED_VLAN_OLD: "sharedvlan",
    STITCH: "stitch",
    STITCH_OLD: "stitch01",
    SLIVER_INFO: "sliverinfo",
    OPENFLOW: "openflow",
    EMULAB: "emulab",
    DELAY: "delay",
    CLIENT: "client",
    FLACK: "flack",
    JACKS: "jacks",
    SITE_INFO: "site",
    JFED: "jfed",
    JFED_COMMAND: "jfed-command",
    JFED_SSH_KEYS: "jfed-ssh-keys",
    NITOS: "nitos",
    PLANETLAB: "planetlab",
    PLOS: "plos",
    OMN_LOCATION: "location",
    SECURITY: "security",
    LAN: "lan",
    PORTS: "ports",
}
"""The customary prefixes, for what is written here."""
