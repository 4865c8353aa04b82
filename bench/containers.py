"""Containers per minute: through the aggregate manager, from Allocate to the SSH greeting, beside a bare loop.

The bare loop does what cannot be left out on the same image: an overlay, a veth on a bridge, `lxc-start`, waiting for
the greeting. It keeps no record, filters nothing, maps no user numbers and makes no accounts.
"""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from backends.native.images import DEBIAN_12, ImageFolder
from backends.protocol import Form
from bench.server import IMAGES, BenchServer
from rspec import read_manifest

COUNT = 20
BRIDGE = "sfabenchbr0"
NETWORK = "100.69.0"


def bare_loop() -> float:
    """Containers per minute, one after the other."""
    image = ImageFolder(IMAGES).build(DEBIAN_12.name, Form.CONTAINER) / "rootfs"
    folder = Path(tempfile.mkdtemp(prefix="sfa-bench-"))
    folder.chmod(0o711)
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    made: list[str] = []
    try:
        begin = time.monotonic()
        for number in range(COUNT):
            made.append(_bare_container(folder, image, number))
        return 60 * COUNT / (time.monotonic() - begin)
    finally:
        for name in made:
            subprocess.run(["lxc-stop", "-k", "-n", name, "-P", folder], capture_output=True, check=False)
            _run("umount", folder / name / "rootfs")
        _run("ip", "link", "del", BRIDGE)
        shutil.rmtree(folder)


def through_the_aggregate(server: BenchServer, *, at_once: int) -> float:
    """Containers per minute: slices of `at_once` containers, each slice from Allocate until all greet."""
    slice_ = server.slice(f"c{at_once}")
    users = slice_.users()
    began, spent, made = 0.0, 0.0, 0
    while made < COUNT:
        began = time.monotonic()
        server.allocate(slice_, at_once)
        server.provision(slice_, users)
        server.wait_until_ready(slice_)
        for node in read_manifest(slice_.describe()["geni_rspec"]).nodes:
            _greets(node.logins[0].hostname, node.logins[0].port)
        spent += time.monotonic() - began
        made += at_once
        slice_.call("Delete", {})
        server.wait_until_empty()
    return 60 * made / spent


def _bare_container(folder: Path, image: Path, number: int) -> str:
    name = f"bench{number}"
    own = folder / name
    for part in ("upper", "work", "rootfs"):
        (own / part).mkdir(parents=True)
    layers = f"lowerdir={image},upperdir={own / 'upper'},workdir={own / 'work'}"
    _run("mount", "-t", "overlay", "overlay", "-o", layers, own / "rootfs")
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own / "rootfs/etc/ssh/ssh_host_ed25519_key")
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
