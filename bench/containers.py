"""Containers per minute: through the aggregate manager, from Allocate to the SSH greeting and from Delete until nothing
is left, beside a bare loop.

The bare loop does what cannot be left out on the same image: an overlay, a veth on a bridge, `lxc-start`, waiting for
the greeting; and to delete, `lxc-stop`, unmounting, removing the files. It keeps no record, filters nothing, maps no
user numbers, makes no accounts, and gives all containers the same host key.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from backends.native.images import DEBIAN_12, ImageFolder
from backends.protocol import Form
from bench.row import Row
from bench.server import IMAGES, BenchServer
from rspec import read_manifest

LOTS = ((1, 20), (10, 20), (100, 100))
"""Containers in a slice, and how many are made all together."""

ROUNDS = 3
"""Of which the best counts, for both sides: whatever else runs on the machine only ever takes time."""

BRIDGE = "sfabenchbr0"
NETWORK = "100.69.0"


class Pace(NamedTuple):
    """Containers per minute."""

    made: float
    deleted: float


def measure() -> list[Row]:
    """The rows of this section."""
    if os.geteuid() != 0:
        raise SystemExit("These benchmarks make containers, which needs root.")
    ImageFolder(IMAGES).build(DEBIAN_12.name, Form.CONTAINER)
    bare_loop(20)  # once unmeasured: caches fill
    rows = []
    with BenchServer() as server:
        through_the_aggregate(server, at_once=2, count=20)
        for at_once, count in LOTS:
            pairs = [
                (through_the_aggregate(server, at_once=at_once, count=count), bare_loop(count)) for _ in range(ROUNDS)
            ]
            through, bare = (_best([pair[side] for pair in pairs]) for side in (0, 1))
            aim = 0.6 if at_once == 100 else 0.5
            made = f"containers, {at_once} in a slice (Allocate to SSH greeting)"
            rows.append(Row(made, through.made, f"bare loop over {count}", bare.made, "per minute", aim=aim))
            deleted = f"containers, {at_once} in a slice, deleted"
            rows.append(Row(deleted, through.deleted, f"bare loop over {count}", bare.deleted, "per minute", aim=aim))
    return rows


def bare_loop(count: int) -> Pace:
    """One container after the other."""
    image = ImageFolder(IMAGES).build(DEBIAN_12.name, Form.CONTAINER) / "rootfs"
    folder = Path(tempfile.mkdtemp(prefix="sfa-bench-"))
    folder.chmod(0o711)
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    made: list[str] = []
    try:
        begin = time.monotonic()
        for number in range(count):
            made.append(_bare_container(folder, image, number))
        took = time.monotonic() - begin
    finally:
        begin = time.monotonic()
        for name in made:
            subprocess.run(["lxc-stop", "-k", "-n", name, "-P", folder], capture_output=True, check=False)
            _run("umount", folder / name / "rootfs")
            shutil.rmtree(folder / name)
        removed = time.monotonic() - begin
        _run("ip", "link", "del", BRIDGE)
        shutil.rmtree(folder)
    return Pace(60 * count / took, 60 * count / removed)


def through_the_aggregate(server: BenchServer, *, at_once: int, count: int) -> Pace:
    """Slices of `at_once` containers, each slice from Allocate until all greet, then deleted."""
    slice_ = server.slice(f"c{at_once}")
    users = slice_.users()
    took, removed, made = 0.0, 0.0, 0
    while made < count:
        begin = time.monotonic()
        server.allocate(slice_, at_once)
        server.provision(slice_, users)
        server.wait_until_ready(slice_)
        for node in read_manifest(slice_.describe()["geni_rspec"]).nodes:
            _greets(node.logins[0].hostname, node.logins[0].port)
        took += time.monotonic() - begin
        made += at_once
        begin = time.monotonic()
        slice_.call("Delete", {})
        server.wait_until_empty()
        removed += time.monotonic() - begin
    return Pace(60 * made / took, 60 * made / removed)


def _best(paces: Sequence[Pace]) -> Pace:
    return Pace(max(pace.made for pace in paces), max(pace.deleted for pace in paces))


def _bare_container(folder: Path, image: Path, number: int) -> str:
    name = f"bench{number}"
    own = folder / name
    for part in ("upper", "work", "rootfs"):
        (own / part).mkdir(parents=True)
    layers = f"lowerdir={image},upperdir={own / 'upper'},workdir={own / 'work'}"
    _run("mount", "-t", "overlay", "overlay", "-o", layers, own / "rootfs")
    shutil.copy(folder / "key", own / "rootfs/etc/ssh/ssh_host_ed25519_key")
    address = f"{NETWORK}.{number + 2}"
    (own / "config").write_text(
        f"""
        lxc.uts.name = {name}
        lxc.rootfs.path = dir:{own / "rootfs"}
        lxc.init.cmd = /bin/busybox init
        lxc.console.path = none
        lxc.tty.max = 0
        lxc.autodev = 1
        lxc.mount.auto = proc:mixed sys:ro
        lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=0755 0 0
        lxc.net.0.type = veth
        lxc.net.0.link = {BRIDGE}
        lxc.net.0.flags = up
        lxc.net.0.ipv4.address = {address}/24
        """
    )
    _run("lxc-start", "-d", "-n", name, "-P", folder)
    _greets(address, 22)
    return name


def _greets(host: str, port: int) -> None:
    """Wait for a greeting."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.002)
    raise TimeoutError(f"{host}:{port} does not greet as SSH")


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
