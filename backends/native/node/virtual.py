"""A machine with a kernel of its own: a disk that keeps what differs from the image, and a domain that runs on it.

What the hypervisor opens must be where its own user can walk, which a private state folder is not: disk and image are
mounted into the machine's folder below /run.
"""

import contextlib
import ctypes
import math
import os
import subprocess
import uuid
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from backends.image_library import Format
from backends.native.images import ImageFolder
from backends.native.images.folder import disk_files
from backends.native.images.recipes import ASK
from backends.native.node import acceleration, flattening, seed
from backends.native.node.body import Plug
from backends.native.node.consoles import newest
from backends.native.node.disk import mounts_below, unmount
from backends.native.node.domain import Domain, Hypervisor
from backends.native.trees import delete_tree
from backends.protocol import BackendError, Impossible, Machine

_libc = ctypes.CDLL(None, use_errno=True)
_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096
_NAMESPACE = uuid.UUID("3f1d2c5e-6c1b-4d6f-9a55-0f5f6f3f8f10")
_MIB = 1024 * 1024
_PERIOD = 100_000
_SPARE_SLOTS = 8
"""For interfaces that come while it runs: a machine has the slots that it began with."""
_QEMU_IMG_TIMEOUT = 300
_NOT_PACKED = "images are made from machines that begin with the kernel of a built-in image; this one has a boot loader"


class VirtualBody:
    """Implements `Body`."""

    def __init__(
        self,
        name: str,
        *,
        kept: Path,
        runtime: Path,
        images: ImageFolder,
        hypervisor: Hypervisor,
        kind: str,
        nameservers: Sequence[IPv4Address],
    ) -> None:
        """kept: folder for what outlives a boot. runtime: folder in which `name` is, or will be, a folder. kind: of
        domain, see `acceleration`."""
        self._name = name
        self._kept = kept / "vm"
        own = runtime / name
        self._image_mount, self._disk_mount = own / "image", own / "disk"
        self._seed, self._console = own / "seed.iso", own / "console.log"
        self._images = images
        self._domain = Domain(name, hypervisor)
        self._kind = kind
        self._nameservers = nameservers

    def settings(self, machine: Machine, edition: str, plugs: Sequence[Plug]) -> str:
        """The domain's XML."""
        domain = Element("domain", type=self._kind)
        _text(domain, "name", self._name)
        _text(domain, "uuid", str(uuid.uuid5(_NAMESPACE, self._name)))
        _text(domain, "memory", str(machine.memory_mib), unit="MiB")
        cores = max(1, math.ceil(machine.cpus))
        _text(domain, "vcpu", str(cores))
        tune = SubElement(domain, "cputune")
        _text(tune, "period", str(_PERIOD))
        _text(tune, "quota", str(max(1000, round(machine.cpus / cores * _PERIOD))))
        self._boot(SubElement(domain, "os"), edition)
        information = SubElement(SubElement(domain, "sysinfo", type="smbios"), "system")
        for entry, value in (("manufacturer", "GENI"), ("product", "Sliver"), ("version", "1")):
            _text(information, "entry", value, name=entry)
        SubElement(SubElement(domain, "features"), "acpi")
        SubElement(domain, "cpu", mode="host-passthrough" if self._kind == "kvm" else "maximum")
        SubElement(domain, "clock", offset="utc")
        for event, then in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
            _text(domain, f"on_{event}", then)
        self._devices(SubElement(domain, "devices"), plugs)
        indent(domain)
        return tostring(domain, encoding="unicode")

    def has_disk(self) -> bool:
        """Whether there is one of its own."""
        return self._disk.is_file()

    def make_disk(self, machine: Machine, edition: str, others: tuple[str, ...]) -> None:
        """One that is the image until the machine writes to it; never smaller than the image."""
        self.delete_disk()
        self._kept.mkdir(mode=0o711, exist_ok=True)
        self._kept.chmod(0o711)
        fresh = self._kept / "fresh.qcow2"
        backing = disk_files(self._images.home(edition)).disk
        size = max(machine.disk_mib * _MIB, _virtual_size(backing))
        # The image is named by where it will be mounted; unsafe, since it can't be looked at there before.
        options = ["-f", "qcow2", "-u", "-F", "qcow2", "-b", str(self._image_mount / backing.name)]
        _qemu_img("create", "-q", *options, str(fresh), str(size))
        fresh.rename(self._disk)

    def open_disk(self, machine: Machine, edition: str, plugs: Sequence[Plug], others: tuple[str, ...]) -> bool:
        """Mount disk and image, and write the seed."""
        self._mount(self._images.home(edition))
        seed.write(seed.files(machine, plugs, self._nameservers, others), self._seed)
        return True

    def _mount(self, home: Path) -> None:
        mounted = mounts_below(self._disk_mount.parent)
        # The image read only: it is everybody's, and the daemon would give it to the user its emulators run as.
        for source, target, flags in ((home, self._image_mount, _MS_RDONLY), (self._kept, self._disk_mount, 0)):
            target.mkdir(exist_ok=True)
            if target not in mounted:
                _bind(source, target, flags)

    def delete_disk(self) -> None:
        """Unmount all and delete the disk."""
        for target in (self._disk_mount, self._image_mount):
            for _ in range(mounts_below(target).count(target)):
                unmount(target)
            if target.is_dir():
                target.rmdir()
        delete_tree(self._kept)

    def start(self, settings: str) -> None:
        """Start it."""
        self._domain.start(settings)

    def stop(self, *, gracefully: bool) -> None:
        """Stop it; what was never started here needs no hypervisor for that."""
        if self._domain.first_process() > 0:
            self._domain.stop(gracefully=gracefully)

    def first_process(self) -> int:
        """The emulator's."""
        return self._domain.first_process()

    def plug(self, plug: Plug) -> None:
        """By the hypervisor; what is in it finds the interface, and its agent, where one answers, sets it up."""
        self._domain.unplug(plug.mac)
        self._domain.plug(tostring(_interface_device(plug), encoding="unicode"))
        with contextlib.suppress(BackendError):  # it is in the seed for its next start
            self._domain.run(_set_up(plug))

    def unplug(self, plug: Plug) -> None:
        """By the hypervisor, which asks what runs in it to let go of it."""
        self._domain.unplug(plug.mac)

    def run(self, script: str) -> bool:
        """By the agent inside, when there is one: images need not have it. What it would do is in the seed as well."""
        return self._domain.run(script)

    def stand_still(self) -> None:
        """Suspend it, after its agent, where one answers, has had it write down what it has in memory."""
        if self._domain.first_process() > 0:
            with contextlib.suppress(BackendError):
                self._domain.run("sync")
            self._domain.suspend()

    def go_on(self) -> None:
        """Resume it."""
        if self._domain.first_process() > 0:
            self._domain.resume()

    def pack(self, edition: str, target: Path, largest: int) -> None:
        """Its disk as one raw file; it begins with a kernel from outside, since only then is it one file system."""
        if disk_files(self._images.home(edition)).kernel is None:
            raise Impossible(_NOT_PACKED)
        if _virtual_size(self._disk) > largest:
            raise BackendError(f"the machine has a larger disk than an image may have, {largest // _MIB} MiB")
        self._mount(self._images.home(edition))
        flattening.flatten(self._disk_mount / self._disk.name, target)

    def clean(self, packed: Path) -> Format:
        """Take out of the disk what makes this machine itself."""
        flattening.clean(packed)
        return Format.RAW

    def console(self) -> str:
        """From its log."""
        return newest(self._console)

    @property
    def _disk(self) -> Path:
        return self._kept / "disk.qcow2"

    def _boot(self, system: Element, edition: str) -> None:
        _text(system, "type", "hvm", arch="x86_64", machine="q35")
        SubElement(system, "smbios", mode="sysinfo")
        image = disk_files(self._images.home(edition))
        if image.kernel is None:
            SubElement(system, "boot", dev="hd")
            return
        _text(system, "kernel", str(self._image_mount / image.kernel.name))
        if image.initrd is not None:
            _text(system, "initrd", str(self._image_mount / image.initrd.name))
        _text(system, "cmdline", "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=5")

    def _devices(self, devices: Element, plugs: Sequence[Plug]) -> None:
        # Named, since to find one the daemon would try all there are, which takes long where KVM is not what it seems.
        _text(devices, "emulator", acceleration.program())
        _disk_device(devices, "vda", "qcow2", self._disk_mount / self._disk.name)
        SubElement(_disk_device(devices, "vdb", "raw", self._seed), "readonly")
        devices.extend(_interface_device(plug) for plug in plugs)
        SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
        for _ in range(_SPARE_SLOTS):
            SubElement(devices, "controller", type="pci", model="pcie-root-port")
        serial = SubElement(devices, "serial", type="pty")
        SubElement(serial, "log", file=str(self._console), append="off")
        SubElement(serial, "target", type="isa-serial", port="0")
        SubElement(SubElement(devices, "console", type="pty"), "target", type="serial", port="0")
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
        random = SubElement(devices, "rng", model="virtio")
        _text(random, "backend", "/dev/urandom", model="random")
        SubElement(devices, "controller", type="usb", model="none")
        SubElement(devices, "memballoon", model="none")


def _set_up(plug: Plug) -> str:
    """A script that finds an interface by its hardware address, which may take a moment, and makes it what it is."""
    lines = [
        f"for _ in $(seq 100); do old=$(grep -lixF {plug.mac} /sys/class/net/*/address | cut -d/ -f5); "
        '[ -z "$old" ] || break; sleep 0.1; done',
        f"name={plug.name}",
        '[ "$old" = "$name" ] || ip link set "$old" down name "$name"',
        f'ip link set "$name" mtu {plug.mtu} up',
        *(f'ip address replace {address} dev "$name"' for address in plug.given),
    ]
    if plug.asks:
        lines.append(f"[ ! -x /etc/sliver/dhcp ] || {ASK}")
    return "\n".join(lines) + "\n"


def _interface_device(plug: Plug) -> Element:
    interface = Element("interface", type="bridge")
    SubElement(interface, "mac", address=plug.mac)
    SubElement(interface, "source", bridge=plug.bridge)
    SubElement(interface, "target", dev=plug.outside)
    SubElement(interface, "model", type="virtio")
    SubElement(interface, "mtu", size=str(plug.mtu))
    SubElement(interface, "rom", enabled="no")
    return interface


def _disk_device(devices: Element, name: str, kind: str, source: Path) -> Element:
    disk = SubElement(devices, "disk", type="file", device="disk")
    SubElement(disk, "driver", name="qemu", type=kind, discard="unmap")
    SubElement(disk, "source", file=str(source))
    SubElement(disk, "target", dev=name, bus="virtio")
    return disk


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def _virtual_size(disk: Path) -> int:
    """Octets that a qcow2 disk has room for: a field of its header, see QEMU's docs/interop/qcow2."""
    with disk.open("rb") as file:
        header = file.read(32)
    if header[:4] != b"QFI\xfb":
        raise BackendError("an image is damaged here")
    return int.from_bytes(header[24:32], "big")


def _qemu_img(*arguments: str) -> None:
    command = ["qemu-img", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_QEMU_IMG_TIMEOUT, check=False)
    if done.returncode != 0:
        problem = BackendError("the machine's disk could not be made")
        problem.add_note(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
        raise problem


def _bind(source: Path, target: Path, flags: int) -> None:
    """Mount a folder at another; with flags, which take a second step, and both or none are done."""
    _mount(source, target, _MS_BIND)
    if flags:
        try:
            _mount(source, target, _MS_BIND | _MS_REMOUNT | flags)
        except OSError:
            unmount(target)
            raise


def _mount(source: Path, target: Path, flags: int) -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{source} at {target}: {os.strerror(error)}")
