"""Settings of the native backend: the table `settings` of its `[[backend]]` entry."""

import difflib
import os
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backends import enrolment
from backends.protocol import Form, SliverType

_DEFAULT_TYPES = (
    SliverType(name="container", cpus=1, memory_mib=512, disk_mib=4096, description="container with one core"),
    SliverType(name="container-small", cpus=0.5, memory_mib=256, disk_mib=2048, description="container, half a core"),
    SliverType(name="container-large", cpus=2, memory_mib=2048, disk_mib=8192, description="container, two cores"),
    SliverType(
        name="vm", cpus=1, memory_mib=1024, disk_mib=8192, description="virtual machine, one core", form=Form.VM
    ),
    SliverType(name="vm-small", cpus=1, memory_mib=512, disk_mib=4096, description="small one", form=Form.VM),
    SliverType(name="vm-large", cpus=2, memory_mib=4096, disk_mib=20480, description="large one", form=Form.VM),
    SliverType(name="emulab-xen", cpus=1, memory_mib=1024, disk_mib=8192, description="as vm", form=Form.VM),
    SliverType(name="m1.small", cpus=1, memory_mib=2048, disk_mib=20480, description="as elsewhere", form=Form.VM),
)


class NodeSettings(BaseModel):
    """What an operator can set of one host's node manager."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    offer: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")] = "node1"
    """Name under which this host is advertised; choose one that says nothing about the host."""
    publish_address: IPv4Address = IPv4Address("127.0.0.1")
    """Address of this host on which the slivers' SSH ports are published; manifests show it."""
    publish_host: str = ""
    """Name or address that manifests show instead of `publish_address`, where that is not what clients reach."""
    first_port: Annotated[int, Field(ge=1024, le=65535)] = 22000
    """First of the published TCP ports; one for each sliver."""
    ports: Annotated[int, Field(ge=1, le=32000)] = 4000
    """How many ports may be published; also the most slivers this host takes."""
    first_door: Annotated[int, Field(ge=0, le=65535)] = 0
    """First of the TCP and UDP ports by which other ports of slivers are reached, as requests ask. 0: the one after the
    last of `ports`."""
    doors: Annotated[int, Field(ge=0, le=32000)] = 1000
    """How many of those there are, for all slivers together."""
    control_network: IPv4Network = IPv4Network("100.64.0.0/16")
    """Network between this host and its slivers, used nowhere else on the host; the first address is the host's."""
    uplink: str = ""
    """Interface through which slivers reach the outside, by address translation. Empty: they don't, and no forwarding
    setting of this host is touched."""
    nameservers: tuple[IPv4Address, ...] = ()
    """Name servers written into slivers; useful with `uplink`."""
    sliver_types: tuple[SliverType, ...] = _DEFAULT_TYPES
    """Kinds of slivers on offer; the first is given when a request names none. Those of form "vm" only where there are
    virtual machines."""
    virtual_machines: bool = False
    """Whether this host also makes virtual machines, by its libvirt daemon; they run on the processor where that is
    found to work, else they are emulated."""
    memory_mib: Annotated[int, Field(ge=0)] = 0
    """Memory to give out, in MiB. 0: three quarters of the host's."""
    cpus: Annotated[float, Field(ge=0)] = 0
    """Cores to give out. 0: sixteen times the host's, since containers mostly wait."""
    disk_mib: Annotated[int, Field(ge=0)] = 0
    """Disk space to give out, in MiB. 0: four times what is free, since containers share their image."""
    processes: Annotated[int, Field(ge=16)] = 1024
    """Most processes and threads in one sliver."""
    image_folder: Path | None = None
    """Where disk images are kept; several installations may share it. Default: `images` in the state folder."""
    first_id: Annotated[int, Field(ge=65536)] = 1_000_000
    """First user number given to slivers: each has 65,536 of its own, so that root in one is nobody outside."""
    underlay: IPv4Address | None = None
    """Address of this host by which links reach other hosts of this backend; they must reach it by UDP port 4789.
    Needed as soon as there are several hosts."""
    parallel: Annotated[int, Field(ge=1, le=64)] = max(4, 2 * (os.cpu_count() or 1))
    """How many slivers are made at once."""
    location: tuple[str, float, float] | None = None
    """Country (two letters), longitude and latitude shown in advertisements."""

    @property
    def door_ports(self) -> range:
        """The ports by which openings of slivers are reached."""
        first = self.first_door or self.first_port + self.ports
        return range(first, min(first + self.doors, 65536))

    @property
    def shown_host(self) -> str:
        """What manifests give as the host to connect to."""
        return self.publish_host or str(self.publish_address)


class BackendSettings(NodeSettings):
    """What an operator can set of a backend: the bus to its hosts, or all of the one host there is."""

    bus: str = ""
    """The bus on which this backend's hosts are reached: `nats://HOST:PORT`, several joined by commas; see
    `sfa-am bus init`. Empty: there is one host, the one that the server runs on. With a bus, all other settings here
    are each host's own, in its `node.toml`."""

    @field_validator("bus")
    @classmethod
    def _bus_has_an_address(cls, bus: str) -> str:
        if bus:
            enrolment.bus_urls(bus)
        return bus


Settings = TypeVar("Settings", bound=NodeSettings)


def read(settings: Mapping[str, object], kind: type[Settings]) -> Settings:
    """Raises ValueError with a sentence for each wrong key."""
    try:
        return kind.model_validate(settings)
    except ValidationError as e:
        sentences = (_explain(error["type"], error["loc"], error["msg"], kind) for error in e.errors())
        raise ValueError("; ".join(sentences)) from e


def _explain(kind: str, location: tuple[int | str, ...], message: str, settings: type[NodeSettings]) -> str:
    key = ".".join(map(str, location))
    if kind != "extra_forbidden":
        return f"settings.{key}: {message}"
    known = settings.model_fields
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return f"settings.{key}: no such setting; {hint}"
