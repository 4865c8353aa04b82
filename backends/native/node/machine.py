"""Machines of this host: making one what its spec says, looking at it, removing it.

Level-triggered: each method looks at what is there and does what is missing, so that it can be repeated after a crash
at any point. The journal's record is written before the deed for wishes and after it for what has been done.
"""

import hashlib
import socket
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import structlog

from backends.native.images import Holder
from backends.native.journal import Door, Journal, Record
from backends.native.names import Names
from backends.native.network import bridge
from backends.native.network.filter import Filter
from backends.native.network.guests import Guest, LinkEnd
from backends.native.network.links import LinkBridges
from backends.native.node import accounts, hostnames
from backends.native.node.body import Body, Plug
from backends.native.node.watch import Watch
from backends.native.runtime import Runtime
from backends.native.settings import NodeSettings
from backends.protocol import (
    CONTROL_INTERFACE,
    BackendError,
    Login,
    Machine,
    Observation,
    Port,
    Published,
    Rule,
    Seen,
    SliverId,
    Traffic,
)

log = structlog.get_logger()

_SSH_PORT = 22
_LONGEST_WAIT = 3.0
"""Seconds `converge` waits for a machine to answer; longer boots are looked at again."""
_PAUSE = 0.004


class Machines:
    """All machines of one backend on this host. The caller holds the lock of the sliver it asks about."""

    def __init__(
        self,
        settings: NodeSettings,
        names: Names,
        journal: Journal,
        runtime: Runtime,
        holder: Holder,
        bodies: Callable[[Record], Body],
        rules: Filter,
        links: LinkBridges,
        watch: Watch,
    ) -> None:
        self._settings = settings
        self._names = names
        self._journal = journal
        self._runtime = runtime
        self._holder = holder
        self._body = bodies
        self._rules = rules
        self._links = links
        self._watch = watch

    def converge(self, record: Record) -> Observation:
        """Make it what `record.spec` says."""
        spec = record.spec
        body = self._body(record)
        record = self._journal.give_doors(record, self._settings.door_ports)
        record = self._do_once(record, body)
        if not spec.running:
            self._watch.end(spec.sliver)
            body.stop(gracefully=True)
            record = self._journal.note(record, made=spec.generation)
            return Observation(sliver=spec.sliver, generation=record.made, seen=Seen.STOPPED)
        record = self._run(record, body)
        first_process = body.first_process()
        self._watch.begin(spec.sliver, first_process)
        record = self._apply_hosts(self._apply_accounts(record, body), body)
        if not self._answers(record, first_process):
            if body.first_process() <= 0:
                raise BackendError("the machine ended while it was starting")
            return Observation(sliver=spec.sliver, generation=record.made, seen=Seen.MAKING)
        record = self._journal.note(record, made=spec.generation)
        return self._running(record)

    def remove(self, record: Record) -> None:
        """Make it not exist."""
        sliver = record.spec.sliver
        self._watch.end(sliver)
        body = self._body(record)
        body.stop(gracefully=False)
        self._rules.remove(self.guest(record))
        for outside in self._outsides(record):
            bridge.remove(outside)  # they go with the machine; a crash may have left one
        body.delete_disk()
        self._runtime.close(self._names.container(sliver))

    def shape(self, link: SliverId) -> None:
        """Let the machines that are on a link already have no more than its capacity: which of them is told first is
        left to chance."""
        for record in self._journal.everything().values():
            if isinstance(record.spec.shape, Machine):
                self._shape(record, link)

    def acquaint(self, record: Record) -> None:
        """Tell a machine of the others on its links, if it runs; one that doesn't is told when it starts."""
        body = self._body(record)
        if record.hosts_applied != self._others(record) and body.first_process() > 0:
            self._apply_hosts(record, body)

    def on_link(self, link: SliverId) -> tuple[SliverId, ...]:
        """The machines here that have a port on a link."""
        records = self._journal.everything().values()
        shapes = ((r.spec.sliver, r.spec.shape) for r in records)
        return tuple(
            sliver for sliver, shape in shapes if isinstance(shape, Machine) and link in {p.link for p in shape.ports}
        )

    def observe(self, record: Record) -> Observation:
        """What it is now."""
        sliver = record.spec.sliver
        # Of a watched one it is known: asking all machines of a host, some milliseconds each, would hold up all else.
        first_process = self._watch.process(sliver)
        if not _is_there(first_process):
            first_process = self._body(record).first_process()
        if first_process > 0:
            self._watch.begin(sliver, first_process)
            if record.made:
                return self._running(record)
            return Observation(sliver=sliver, generation=0, seen=Seen.MAKING)
        seen = Seen.STOPPED if record.made else Seen.ABSENT
        return Observation(sliver=sliver, generation=record.made, seen=seen)

    def console(self, record: Record) -> str:
        """What it has written to its console."""
        return self._body(record).console()

    def guest(self, record: Record) -> Guest:
        """How it is reached."""
        address = self._address(record)
        return Guest(
            outside=self._names.port(record.spec.sliver, 0),
            mac=_control_mac(address),
            address=address,
            port=self._settings.first_port + record.slot,
            rules=_rules(record, CONTROL_INTERFACE),
            ends=tuple(
                LinkEnd(
                    outside=self._outside(record, port, number),
                    mac=port.mac,
                    addresses=port.addresses,
                    sender=port.sender,
                    rules=_rules(record, port.name),
                )
                for number, port in enumerate(_machine(record).ports, start=1)
            ),
            doors=_as_rules(record.doors),
            former=_as_rules(record.former_doors),
        )

    def is_slot_free(self, taken: Collection[IPv4Address], slot: int) -> bool:
        """Whether nobody has a slot's address, and nothing on this host listens where its logins would be published."""
        if self._settings.control_network.network_address + 2 + slot in taken:
            return False
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((str(self._settings.publish_address), self._settings.first_port + slot))
            except OSError:
                return False
        return True

    # Steps

    def _do_once(self, record: Record, body: Body) -> Record:
        """Restarts and reloads asked for and not done. Noted after the deed: doing one twice is harmless."""
        spec = record.spec
        if spec.reloads > record.reloads:
            self._watch.end(spec.sliver)
            body.stop(gracefully=False)
            body.delete_disk()
            return self._journal.note(
                record,
                reloads=spec.reloads,
                restarts=spec.restarts,
                image="",
                former=record.image or record.former,
                started_with="",
                accounts_applied=(),
                hosts_applied=(),
            )
        if spec.restarts > record.restarts:
            self._watch.end(spec.sliver)
            body.stop(gracefully=True)
            return self._journal.note(record, restarts=spec.restarts)
        return record

    def _run(self, record: Record, body: Body) -> Record:
        """Have it run, with the settings of this spec."""
        machine, plugs = _machine(record), self._plugs(record)
        edition = record.image if record.image and body.has_disk() else ""
        if body.first_process() > 0:
            if edition and record.started_with == _digest(body.settings(machine, edition, plugs)):
                if record.made != record.spec.generation or record.former_doors:
                    self._rules.begin_to_put(self.guest(record))()
                    record = self._shut(record)
                self._shape(record)  # it may have been cut short between its start and this
                return record
            if edition and record.built_with == _digest(body.settings(machine, edition, plugs[:1])):
                return self._replug(record, body, edition)
            self._watch.end(record.spec.sliver)
            body.stop(gracefully=True)
        self._runtime.open(self._names.container(record.spec.sliver))
        others = self._others(record)
        if not edition:
            former = record.image or record.former
            with self._holder.begin(machine.image, machine.form, former) as edition:
                body.make_disk(machine, edition, others)
                names = _account_names(machine)
                record = self._journal.note(
                    record, image=edition, former="", accounts_applied=names, hosts_applied=others
                )
        if body.open_disk(machine, edition, plugs, others):
            record = self._journal.note(record, hosts_applied=others)
        for port in machine.ports:
            self._links.ensure(port.link)
        reachable = self._rules.begin_to_put(self.guest(record))
        # What a machine killed half-way may have left would make the start fail.
        for outside in self._outsides(record):
            if bridge.exists(outside):
                bridge.remove(outside)
        settings = body.settings(machine, edition, plugs)
        record = self._journal.note(
            record,
            started_with=_digest(settings),
            built_with=_digest(body.settings(machine, edition, plugs[:1])),
            plugged=machine.ports,
        )
        try:
            body.start(settings)
        finally:
            reachable()
        record = self._shut(record)
        self._shape(record)
        return record

    def _replug(self, record: Record, body: Body, edition: str) -> Record:
        """Give a machine that runs the ports that it should have: all that its settings differ in."""
        machine = _machine(record)
        had = replace(record, spec=replace(record.spec, shape=replace(machine, ports=record.plugged)))
        former = dict(zip(self._plugs(had)[1:], record.plugged, strict=True))
        wanted = dict(zip(self._plugs(record)[1:], machine.ports, strict=True))
        gone = [plug for plug in former if plug not in wanted]
        kept = {plug: port for plug, port in former.items() if plug in wanted}
        if gone:
            for plug in gone:
                body.unplug(plug)
            outsides = {plug.outside for plug in gone}
            self._rules.remove_ends(end for end in self.guest(had).ends if end.outside in outsides)
            record = self._journal.note(record, plugged=tuple(kept.values()))
        self._rules.begin_to_put(self.guest(record))()
        record = self._shut(record)
        for plug in wanted:
            if plug not in kept:
                self._links.ensure(wanted[plug].link)
                body.plug(plug)
                kept[plug] = wanted[plug]
                record = self._journal.note(record, plugged=tuple(kept.values()))
        settings = body.settings(machine, edition, self._plugs(record))
        record = self._journal.note(record, started_with=_digest(settings), plugged=machine.ports)
        self._links.remove_idle({former[plug].link for plug in gone})
        self._shape(record)
        return record

    def _outside(self, record: Record, port: Port, place: int) -> str:
        """The host's end of a port."""
        return self._names.port(record.spec.sliver, self._names.number(port.name, place))

    def _outsides(self, record: Record) -> list[str]:
        """The host's ends that a machine may have: of the ports that it should have, and that it had."""
        ports = [*enumerate(_machine(record).ports, start=1), *enumerate(record.plugged, start=1)]
        ends = [self._outside(record, port, place) for place, port in ports]
        return list(dict.fromkeys([self._names.port(record.spec.sliver, 0), *ends]))

    def _shut(self, record: Record) -> Record:
        """The rules let nobody in by former doors any more: others may have them."""
        return self._journal.note(record, former_doors=()) if record.former_doors else record

    def _apply_accounts(self, record: Record, body: Body) -> Record:
        """Write accounts into a machine that runs, when they are not those it was given."""
        machine = _machine(record)
        wanted = _account_names(machine)
        if record.accounts_applied == wanted:
            return record
        gone = {name.split(" ")[0] for name in record.accounts_applied} - {a.name for a in machine.accounts}
        if not body.run(accounts.update_script(machine.accounts, sorted(gone))):
            return record
        return self._journal.note(record, accounts_applied=wanted)

    def _apply_hosts(self, record: Record, body: Body) -> Record:
        """Tell a machine that runs of the others of its slice, when they are not those that it knows of."""
        others = self._others(record)
        if record.hosts_applied == others:
            return record
        try:
            is_told = body.run(hostnames.update_script(others))
        except BackendError as e:  # its owner may have made that file whatever there is: no reason to call it broken
            log.info("a machine takes no names", sliver=record.spec.sliver, reason=str(e))
            return record
        return self._journal.note(record, hosts_applied=others) if is_told else record

    def _answers(self, record: Record, first_process: int) -> bool:
        """Whether it answers as SSH within a moment, for as long as its first process is there."""
        deadline = time.monotonic() + _LONGEST_WAIT
        while time.monotonic() < deadline:
            if _is_ssh(self._address(record)):
                return True
            if not _is_there(first_process):
                return False
            time.sleep(_PAUSE)
        return False

    def _shape(self, record: Record, link: SliverId | None = None) -> None:
        """Let each port, or those on one link, have no more than its link's capacity."""
        for number, port in enumerate(_machine(record).ports, start=1):
            segment = self._links.segment(port.link)
            if link in (None, port.link) and segment is not None and segment.capacity_kbps:
                outside = self._outside(record, port, number)
                if bridge.exists(outside):
                    bridge.limit([outside], segment.capacity_kbps)

    # What follows from a record

    def _others(self, record: Record) -> tuple[str, ...]:
        return hostnames.lines(_machine(record), self._links.segment)

    def _running(self, record: Record) -> Observation:
        port = self._settings.first_port + record.slot
        logins = tuple(
            Login(username=account.name, hostname=self._settings.shown_host, port=port)
            for account in _machine(record).accounts
        )
        published = tuple(
            Published(
                traffic=door.opening.traffic,
                port=door.opening.port,
                hostname=self._settings.shown_host,
                public_port=door.public_port,
            )
            for door in record.doors
        )
        sliver, made = record.spec.sliver, record.made
        return Observation(sliver=sliver, generation=made, seen=Seen.RUNNING, logins=logins, published=published)

    def _plugs(self, record: Record) -> list[Plug]:
        guest = self.guest(record)
        network = self._settings.control_network
        mtu = self._links.mtu()
        control = Plug(
            name=CONTROL_INTERFACE,
            outside=guest.outside,
            bridge=self._names.control_bridge,
            mac=guest.mac,
            addresses=(IPv4Interface((guest.address, network.prefixlen)),),
            gateway=next(network.hosts()),
        )
        return [
            control,
            *(
                Plug(
                    name=port.name,
                    outside=self._outside(record, port, number),
                    bridge=self._links.name(port.link),
                    mac=port.mac,
                    addresses=port.addresses,
                    mtu=mtu,
                    asks=port.asks,
                )
                for number, port in enumerate(_machine(record).ports, start=1)
            ),
        ]

    def _address(self, record: Record) -> IPv4Address:
        """The second address of the control network and those after it; the first is the host's."""
        address: IPv4Address = self._settings.control_network.network_address + 2 + record.slot
        return address


def _machine(record: Record) -> Machine:
    shape = record.spec.shape
    if not isinstance(shape, Machine):
        raise TypeError(f"sliver {record.spec.sliver} is no machine")
    return shape


def _rules(record: Record, interface: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in _machine(record).rules if rule.interface == interface)


def _as_rules(doors: Iterable[Door]) -> tuple[tuple[Traffic, int, int], ...]:
    return tuple((door.opening.traffic, door.public_port, door.opening.port) for door in doors)


def _account_names(machine: Machine) -> tuple[str, ...]:
    """Accounts with their keys, each as one line, to see whether they have changed."""
    return tuple(" ".join((account.name, *account.keys)) for account in machine.accounts)


def _digest(settings: str) -> str:
    """To see whether a machine runs with older settings."""
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


def _control_mac(address: IPv4Address) -> str:
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x00, *address.packed))


def _is_there(process: int) -> bool:
    """Whether there is such a process. Asking the container's own library each time would hold up all other threads."""
    try:
        return process > 0 and Path(f"/proc/{process}/cmdline").read_bytes() != b""  # empty once it has ended
    except (FileNotFoundError, ProcessLookupError):
        return False


def _is_ssh(address: IPv4Address) -> bool:
    try:
        with socket.create_connection((str(address), _SSH_PORT), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
