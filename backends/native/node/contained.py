"""A machine that is a container: an image's files with the machine's own changes above, and a process tree on them."""

import contextlib
import os
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from backends.image_library import Format
from backends.native.images import ImageFolder
from backends.native.images.recipes import ASK
from backends.native.network import bridge, plugging
from backends.native.node import accounts, packing
from backends.native.node.body import Plug
from backends.native.node.consoles import newest
from backends.native.node.container import CONSOLE_LOG, Container, settings_of
from backends.native.node.disk import Disk
from backends.native.node.idmap import IdRanges
from backends.protocol import BackendError, Machine


class ContainedBody:
    """Implements `Body`."""

    def __init__(
        self,
        name: str,
        *,
        kept: Path,
        runtime: Path,
        images: ImageFolder,
        ids: IdRanges,
        slot: int,
        processes: int,
        nameservers: Sequence[IPv4Address],
    ) -> None:
        """kept: folder for what outlives a boot. runtime: folder in which `name` is, or will be, a folder."""
        self._container = Container(name, runtime)
        self._disk = Disk(kept, runtime / name, ids, slot)
        self._console = runtime / name / CONSOLE_LOG
        self._images = images
        self._ids = ids
        self._slot = slot
        self._base = ids.base(slot)
        self._processes = processes
        self._nameservers = nameservers

    def settings(self, machine: Machine, edition: str, plugs: Sequence[Plug]) -> str:
        """The container's settings; of the edition it began from, they have the command that it begins with."""
        init = self._images.init(edition)
        return settings_of(machine, self._disk.rootfs, init, self._base, plugs, self._processes, self._console)

    def has_disk(self) -> bool:
        """Whether there are changes of its own."""
        return self._disk.exists()

    def make_disk(self, machine: Machine, edition: str, others: tuple[str, ...]) -> None:
        """Changes that make the image this machine."""
        layer = self._disk.make()
        accounts.equip(layer, self._images.rootfs(edition), machine, self._nameservers, others)
        layer.keep()

    def open_disk(self, machine: Machine, edition: str, plugs: Sequence[Plug], others: tuple[str, ...]) -> bool:
        """Mount it. What is written on a disk in use, whoever is root inside may have moved: it is left alone."""
        self._disk.mount(self._images.rootfs(edition))
        return False

    def delete_disk(self) -> None:
        """Unmount it and delete the changes; nothing is left of starts that failed, either."""
        self._container.forget()
        self._disk.wipe()

    def start(self, settings: str) -> None:
        """Start it."""
        self._container.start(settings)

    def stop(self, *, gracefully: bool) -> None:
        """Stop it."""
        self._container.stop(gracefully=gracefully)

    def first_process(self) -> int:
        """Its init."""
        return self._container.first_process()

    def plug(self, plug: Plug) -> None:
        """Into its network namespace."""
        first_process = self._container.first_process()
        plugging.plug(
            first_process,
            name=plug.name,
            outside=plug.outside,
            on=plug.bridge,
            mac=plug.mac,
            mtu=plug.mtu,
            addresses=plug.given,
        )
        if plug.asks:
            with contextlib.suppress(BackendError):  # other images see to it themselves
                self._container.run(f"name={plug.name}\n[ ! -x /etc/sliver/dhcp ] || {ASK}\n")

    def unplug(self, plug: Plug) -> None:
        """Its end goes with the host's."""
        bridge.remove(plug.outside)

    def run(self, script: str) -> bool:
        """Any that runs takes scripts."""
        self._container.run(script)
        return True

    def stand_still(self) -> None:
        """Freeze its processes."""
        self._container.freeze()

    def go_on(self) -> None:
        """Thaw them."""
        self._container.thaw()

    def pack(self, edition: str, target: Path, largest: int) -> None:
        """A tar of all its files."""
        self._disk.mount(self._images.rootfs(edition))
        namespace = self._ids.namespace(self._slot)
        try:
            packing.pack(self._disk.rootfs, namespace, target, largest)
        finally:
            os.close(namespace)

    def clean(self, packed: Path) -> Format:
        """It never came into the tar."""
        return Format.ROOTFS_TAR

    def console(self) -> str:
        """From its log."""
        return newest(self._console)
