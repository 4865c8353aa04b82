"""What researchers do in their machines: commands over SSH, as the manifest says where."""

from system.conftest import run_over_ssh

from rspec import read_manifest
from sfi_tool.slices import Slice


def shell(slice_: Slice, name: str, command: str, *, timeout: float = 30) -> str:
    """What a command says in a machine, over SSH."""
    node = next(n for n in read_manifest(slice_.describe()["geni_rspec"]).nodes if n.client_id == name)
    done = run_over_ssh(slice_.session.folder.key, node.logins[0], command, timeout=timeout)
    return done.stdout + done.stderr


def pings(slice_: Slice, name: str, address: str) -> bool:
    return "1 received" in shell(slice_, name, f"ping -c 1 -W 2 {address} || true")
