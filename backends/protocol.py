"""What a backend is: the contract between the aggregate manager and whatever really makes slivers.

The aggregate manager keeps rows that say what should exist; a backend makes it exist and reports what it sees. A
backend gets `SliverSpec` values and gives `Observation` values. It never sees credentials, RSpec XML or the store, and
nothing it returns may name what is underneath: offers, faults and logins are shown to researchers as they are.

Every method may be called from several threads at once and again after a crash. Backends are found by entry point
(group ``sfa_am.backends``): a callable ``create(settings: Mapping[str, object], context: Context) -> Backend``.
`backends.conformance` is the suite that proves one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from pathlib import Path
from typing import NewType, Protocol

SliverId = NewType("SliverId", str)
"""Opaque, unique over time and backends: 1 to 32 characters of [a-z0-9]."""

SliceId = NewType("SliceId", str)
"""Opaque, one per slice at this aggregate: 1 to 32 characters of [a-z0-9]."""

CONTROL_INTERFACE = "eth0"
"""The interface by which a machine is reached from outside, by its name inside."""


class BackendError(Exception):
    """What a backend raises; the sentence is shown to the researcher and names nothing underneath."""


class Unavailable(BackendError):
    """Nobody could be asked now; the same call may succeed later. Says nothing about what exists."""


class Impossible(BackendError):
    """The spec can never be met here, however often it is tried; trying again is pointless."""


class Seen(StrEnum):
    """What a backend sees of one sliver."""

    ABSENT = "absent"
    MAKING = "making"
    RUNNING = "running"
    STOPPED = "stopped"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A login account to be made on a machine.

    name: Unix login name, already checked ([a-z_][a-z0-9_-]{0,31}, never root)
    keys: OpenSSH public keys, one line each
    """

    name: str
    keys: tuple[str, ...]


class Form(StrEnum):
    """What a machine is: one that shares its host's kernel, or one with a kernel of its own."""

    CONTAINER = "container"
    VM = "vm"


class Ability(StrEnum):
    """What an offer can do beside making machines and joining them; a request for what none can do is refused by name.

    DHCP:    machines get their addresses and ask for names where the link's own server answers
    GATEWAY: such a server is also the machines' way out
    PUBLISH: other ports of machines than that of logins are reached from outside
    """

    DHCP = "dhcp"
    GATEWAY = "gateway"
    PUBLISH = "publish"


class Sender(StrEnum):
    """As whom a machine may send on a link; what is not so is dropped where it leaves the machine.

    A router sends packets of others under its own hardware address; a machine that is a switch sends their frames.
    """

    ANYBODY = "anybody"
    OWN_MAC = "own-mac"
    OWN_ADDRESSES = "own-addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A machine's end of a link.

    name:      interface name inside the machine (eth1, eth2, ...), never `CONTROL_INTERFACE`
    link:      the link's sliver; machines whose ports name the same link reach each other, nobody else does
    mac:       six lower-case hex pairs joined by colons
    addresses: with prefix length
    sender:    as whom it may send
    asks:      whether the machine asks for its addresses of version 4 (DHCP), and is not given them otherwise
    """

    name: str
    link: SliverId
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]
    sender: Sender = Sender.OWN_MAC
    asks: bool = False


class Traffic(StrEnum):
    """What a rule is about. ICMP stands for that of IP version 6 as well."""

    ANY = "any"
    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What may, or may not, come in to a machine; of several rules for an interface the first that fits decides.

    What none fits comes in on a link, and does not on the control interface, but for logins, ICMP and what the machine
    publishes. Answers to what
    the machine began come in where that can be told: always of TCP.

    allows:    whether it may come in
    traffic:   what kind
    ports:     first and last port of TCP or UDP; None for all
    source:    where from; None for anywhere
    interface: name inside the machine
    """

    allows: bool
    traffic: Traffic = Traffic.ANY
    ports: tuple[int, int] | None = None
    source: IPv4Network | IPv6Network | None = None
    interface: str = CONTROL_INTERFACE

    def __post_init__(self) -> None:
        """Only TCP and UDP have ports."""
        if self.ports is not None and self.traffic not in (Traffic.TCP, Traffic.UDP):
            raise ValueError(f"a rule for {self.traffic} has no ports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A port of a machine that is to be reached from outside, beside that of logins.

    traffic: TCP or UDP
    """

    traffic: Traffic
    port: int

    def __post_init__(self) -> None:
        """Nothing else has ports."""
        if self.traffic not in (Traffic.TCP, Traffic.UDP):
            raise ValueError(f"{self.traffic} has no ports to publish")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Where a machine's port is reached from outside: at this host name or address, and port."""

    traffic: Traffic
    port: int
    hostname: str
    public_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a node sliver should be: a virtual machine or a container, as the sliver type says.

    hostname:    DNS label
    form:        that of its sliver type
    sliver_type: one of the offer's `SliverType` names
    image:       one of the offer's `Image` names
    cpus:        cores (may be fractional), memory_mib and disk_mib: MiB
    accounts:    who may log in
    ports:       links it is plugged into
    rules:       what may come in, in the order in which they are looked at; they may change while it runs
    openings:    ports that are reached from outside; they may change while it runs
    """

    hostname: str
    sliver_type: str
    image: str
    cpus: float
    memory_mib: int
    disk_mib: int
    form: Form = Form.CONTAINER
    accounts: tuple[Account, ...] = ()
    ports: tuple[Port, ...] = ()
    rules: tuple[Rule, ...] = ()
    openings: tuple[Opening, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A machine on a link, as the others there know it.

    hostname:  of the machine
    mac:       of its port
    addresses: of its port, with prefix length
    """

    hostname: str
    mac: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """What a link sliver should be: one layer-2 network that only its ports are on.

    number:        1 to 16,777,214, tells it from all other segments that exist at the same time, for wires that carry
                   several; 0 when it never leaves the host it is on
    capacity_kbps: wanted throughput of each port; None for as fast as it goes
    name:          DNS label, by which machines tell it from their other links; empty when it has none
    members:       the machines on it, under whose names they find each other
    server:        address on it, with prefix length, where machines ask for addresses (DHCP) and names; None where
                   nobody answers
    gateway:       whether the server is also the machines' way out, by which they share one address
    """

    number: int = 0
    capacity_kbps: int | None = None
    name: str = ""
    members: tuple[Member, ...] = ()
    server: IPv4Interface | None = None
    gateway: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverSpec:
    """Desired state of one sliver.

    generation: grows with every change of the wish; a backend ignores a spec older than what it has made
    running:    whether a machine should be on (a segment ignores it)
    restarts:   how often a restart was asked for, ever; the backend remembers beside the thing how many it has done
    reloads:    how often a fresh disk was asked for, ever; same rule
    """

    sliver: SliverId
    slice: SliceId
    offer: str
    generation: int
    shape: Machine | Segment
    running: bool = True
    restarts: int = 0
    reloads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One way in, as shown in the manifest: ``ssh -p port username@hostname``."""

    username: str
    hostname: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a backend saw of one sliver.

    generation: of the spec that this state answers; 0 when unknown (something of ours without its wish)
    fault:      a sentence for the researcher when BROKEN, else empty
    offer:      where it was seen; empty in a backend that has only one place
    logins:     for a machine that accepts them now
    published:  where its openings are reached now
    """

    sliver: SliverId
    generation: int
    seen: Seen
    fault: str = ""
    logins: tuple[Login, ...] = ()
    published: tuple[Published, ...] = ()
    offer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliverType:
    """A kind of machine that an offer can make, with the size a request gets when it names only the kind."""

    name: str
    cpus: float
    memory_mib: int
    disk_mib: int
    description: str = ""
    form: Form = Form.CONTAINER


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A disk image a machine can start from.

    name:  the last field of its URN
    forms: of the machines that it is for
    """

    name: str
    os: str = ""
    version: str = ""
    description: str = ""
    forms: tuple[Form, ...] = (Form.CONTAINER,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A pool of capacity, advertised as one node without saying what is under it.

    name:         stable over restarts, unique in the backend, [a-zA-Z0-9._-]+; becomes the component name
    capacity:     resource name -> total amount, for "slivers", "cpus" (thousandths of a core), "memory_mib",
                  "disk_mib"; and "ports" where it publishes any
    location:     country (ISO 3166-1 alpha-2), longitude and latitude in degrees; None when not told
    abilities:    what it can do for links
    """

    name: str
    sliver_types: tuple[SliverType, ...]
    images: tuple[Image, ...]
    capacity: Mapping[str, int]
    hardware_types: tuple[str, ...] = ("pc",)
    location: tuple[str, float, float] | None = None
    abilities: tuple[Ability, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the aggregate manager hands a backend when it creates it.

    name:  of this backend in the settings, unique in the installation, [a-z][a-z0-9-]{0,15}
    state: folder of its own, private to it, kept over restarts
    """

    name: str
    state: Path


class Host(Protocol):
    """The only way from a backend back into the aggregate manager."""

    def report(self, observation: Observation) -> None:
        """Something was seen that nobody asked for just now: a machine died, a boot ended. Call from any thread."""

    def changed(self) -> None:
        """Offers came, went or changed: they, and everything there is, should be asked for soon. From any thread."""

    def desired(self) -> Sequence[SliverSpec]:
        """Everything that should exist in this backend now, for a full resynchronisation."""

    def now(self) -> datetime:
        """Aware UTC."""


class Backend(Protocol):
    """Makes slivers exist. Blocking and thread-safe; stateless as far as the aggregate manager can tell."""

    def start(self, host: Host) -> None:
        """Begin: adopt what already runs. Raises Unavailable when this host can't do what the settings ask."""

    def stop(self) -> None:
        """End; slivers keep running."""

    def offers(self) -> Sequence[Offer]:
        """Capacity pools with totals. Cheap: called on every advertisement refresh."""

    def problems(self, specs: Sequence[SliverSpec]) -> Sequence[str]:
        """Why these could never be made, a sentence each; empty when they could. No side effects."""

    def converge(self, spec: SliverSpec) -> Observation:
        """Take what exists nearer to `spec`, as far as it goes without waiting for long.

        Safe to repeat, to interrupt at any point and to overtake: a spec older than what exists changes nothing. An
        observation MAKING asks for another call. Raises Unavailable, Impossible.
        """

    def remove(self, sliver: SliverId, offer: str, generation: int) -> None:
        """Make it not exist, wholly. Absent already is success. Raises Unavailable.

        offer:      where it should be, or was seen
        generation: of its newest wish. From now on a spec that is not newer makes nothing: it was overtaken
        """

    def observe(self) -> Iterable[Observation]:
        """Everything here that is ours, in one sweep. Raises Unavailable."""

    def console(self, sliver: SliverId) -> str:
        """What a machine has lately written to its console, the newest last; empty when it has not, or is not there.

        Raises Unavailable.
        """

    def limits(self) -> Mapping[str, int]:
        """How many calls at once this backend takes, by kind of work: "converge", "remove"."""
