"""Find and remove what a native backend has left on this host: for uninstalling, tests and demos.

Everything we make carries the backend's tag (see `names`), so it is found without any record of it.
"""

import subprocess
from pathlib import Path

from backends.native.images.holding import let_go
from backends.native.names import Names
from backends.native.network import bridge, server
from backends.native.network.filter import Filter, tables_beginning
from backends.native.node import domain
from backends.native.node.container import Container, remove_cgroups
from backends.native.node.disk import mounts_below, unmount
from backends.native.node.domain import Domain, Hypervisor
from backends.native.runtime import Runtime
from backends.native.settings import NodeSettings
from backends.native.trees import delete_tree


def leftovers(state: Path, *, slivers_only: bool) -> list[str]:
    """What is there of the backend whose state folder this is, a line each; empty when nothing is.

    slivers_only: leave out what a running backend has without any slivers: its control bridge and its tables
    """
    names = Names.of_folder(state)
    runtime = Runtime(names)
    found = [f"container {entry.name}" for entry in _entries(runtime.folder)]
    found += [f"virtual machine {name}" for name in domain.names_beginning(names.container_prefix)]
    found += [f"mount {path}" for path in mounts_below(runtime.folder)]
    found += [f"server of link {link}" for link in server.running(runtime.servers)]
    interfaces = bridge.names_beginning(names.tag)
    own = {names.control_bridge} if slivers_only else set()
    found += [f"interface {name}" for name in interfaces if name not in own]
    found += [f"cgroup {path}" for path in _cgroups(names.tag)]
    found += [f"file {entry}" for folder in ("slivers", "links") for entry in _entries(state / folder)]
    if slivers_only:
        found += [f"rule {line}" for line in _elements(names.table)]
    else:
        found += [f"table {table}" for table in tables_beginning(names.table)]
    return found


def clean(state: Path) -> None:
    """Remove all of it, slivers with what is on their disks included. The state folder's other contents stay."""
    shut_down(state)
    let_go(state)
    for folder in ("slivers", "links"):
        delete_tree(state / folder)


def shut_down(state: Path) -> None:
    """End all processes and remove what is of the kernel's: what a reboot would do. What is on disks stays."""
    names = Names.of_folder(state)
    runtime = Runtime(names)
    for entry in _entries(runtime.folder):
        Container(entry.name, runtime.folder).stop(gracefully=False)
    for name in domain.names_beginning(names.container_prefix):
        Domain(name, Hypervisor()).stop(gracefully=False)
    remove_cgroups(f"lxc.*.{names.tag}-*")
    for path in reversed(mounts_below(runtime.folder)):
        unmount(path)
    for entry in _entries(runtime.folder):
        runtime.close(entry.name)
    if runtime.folder.is_dir():
        runtime.folder.rmdir()
    server.end_all(runtime.servers)
    for name in bridge.names_beginning(names.tag):
        bridge.remove(name)
    if tables_beginning(names.table):
        defaults = NodeSettings()
        Filter(names, defaults.control_network, defaults.publish_address, "").uninstall()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _cgroups(tag: str) -> list[Path]:
    root = Path("/sys/fs/cgroup")
    return [*root.glob(f"lxc.*{tag}-*"), *root.glob(f"*/lxc.*{tag}-*")]


def _elements(table: str) -> list[str]:
    """Lines of our maps and sets that hold elements."""
    listed = []
    for family in ("inet", "bridge"):
        done = subprocess.run(
            ["nft", "list", "table", family, table], capture_output=True, text=True, timeout=10, check=False
        )
        listed += [line.strip() for line in done.stdout.splitlines() if "elements = {" in line]
    return listed
