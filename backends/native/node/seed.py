"""A virtual machine's seed: who it is, its networks and its accounts, as cloud-init's NoCloud data source reads them.

The files are YAML to those who read YAML; they are written as JSON, which our own small image reads with less. What
cloud-init does once for each instance is done again when the instance-id changes, so that is derived from it.
"""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from backends.native.node import hostnames
from backends.native.node.body import Plug
from backends.protocol import BackendError, Machine

_TIMEOUT = 60
_LABEL = "cidata"


def files(
    machine: Machine, plugs: Sequence[Plug], nameservers: Sequence[IPv4Address], others: tuple[str, ...] = ()
) -> dict[str, str]:
    """The contents of a seed by file name. others: lines about machines of its slice, see `hostnames`."""
    users: dict[str, object] = {
        "users": [
            {
                "name": account.name,
                "ssh_authorized_keys": list(account.keys),
                "groups": "sudo",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash",
                "lock_passwd": True,
            }
            for account in machine.accounts
        ],
        "ssh_deletekeys": False,  # they were told to its users at its first start
        "disable_root": True,
        "ssh_pwauth": False,
    }
    instance = hashlib.sha256(f"{machine.hostname}\n{_config(users)}".encode()).hexdigest()[:16]
    # At each boot, and so it makes no new instance of the machine when others come and go.
    user_data = _config({**users, "bootcmd": [["sh", "-c", hostnames.update_script(others)]]})
    return {
        "meta-data": json.dumps({"instance-id": f"i-{instance}", "local-hostname": machine.hostname}) + "\n",
        "user-data": user_data,
        "network-config": json.dumps(_networks(plugs, nameservers), indent=1) + "\n",
    }


def _config(said: dict[str, object]) -> str:
    return f"#cloud-config\n{json.dumps(said, indent=1)}\n"


def write(contents: dict[str, str], target: Path) -> None:
    """A disk image with these files. Raises BackendError."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_text(content)
        command = ["xorrisofs", "-quiet", "-volid", _LABEL, "-joliet", "-rock", "-output", str(target), folder]
        target.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode != 0:
        problem = BackendError("the machine's settings could not be written")
        problem.add_note(done.stderr.strip()[-2000:])
        raise problem


def _networks(plugs: Sequence[Plug], nameservers: Sequence[IPv4Address]) -> dict[str, object]:
    ethernets = {}
    for plug in plugs:
        ethernet: dict[str, object] = {
            "match": {"macaddress": plug.mac},
            "set-name": plug.name,
            "mtu": plug.mtu,
            "addresses": [str(address) for address in plug.given],
        }
        if plug.asks:
            ethernet["dhcp4"] = True
        if plug.gateway is not None:
            ethernet["routes"] = [{"to": "default", "via": str(plug.gateway)}]
            ethernet["nameservers"] = {"addresses": [str(server) for server in nameservers]}
        ethernets[plug.name] = ethernet
    return {"version": 2, "ethernets": ethernets}
