"""Who may log in to a machine: accounts, keys, the machine's own host key.

Before the first start the files are written into the fresh disk; on a machine that runs, a small script does it from
the inside, where it can do no more than the researcher's own root could.
"""

import shlex
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from backends.native.node.disk import Layer
from backends.protocol import Account, Machine

_FIRST_UID = 1000
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"


def equip(layer: Layer, image: Path, machine: Machine, nameservers: Sequence[IPv4Address]) -> None:
    """Write what makes this machine itself into a fresh disk of `image`."""
    layer.directory("etc/ssh")
    key = Ed25519PrivateKey.generate()
    layer.file(_HOST_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(), 0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    layer.file(f"{_HOST_KEY}.pub", f"{public} root@{machine.hostname}\n")
    layer.file("etc/hostname", f"{machine.hostname}\n")
    layer.file("etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {machine.hostname}\n::1 localhost ip6-localhost\n")
    if nameservers:
        layer.file("etc/resolv.conf", "".join(f"nameserver {server}\n" for server in nameservers))
    _write_accounts(layer, image, machine.accounts)


def update_script(accounts: Iterable[Account], gone: Iterable[str]) -> str:
    """A shell script for a machine that runs: these accounts exist with just these keys, and `gone` have none."""
    lines = ["set -e", "umask 022"]
    for account in accounts:
        name = shlex.quote(account.name)
        keys = shlex.quote("".join(f"{key}\n" for key in account.keys))
        lines += [
            f"id -u {name} >/dev/null 2>&1 || useradd -p '*' --create-home --shell /bin/bash --groups sudo {name}",
            f"home=$(getent passwd {name} | cut -d: -f6)",
            'mkdir -p -m 0700 "$home/.ssh"',
            f'printf %s {keys} > "$home/.ssh/authorized_keys.new"',
            'chmod 0600 "$home/.ssh/authorized_keys.new"',
            f'chown -R {name}: "$home/.ssh"',
            'mv "$home/.ssh/authorized_keys.new" "$home/.ssh/authorized_keys"',
        ]
    for name in map(shlex.quote, gone):
        lines += [
            f"home=$(getent passwd {name} | cut -d: -f6) || home=",
            'if [ -n "$home" ]; then rm -f "$home/.ssh/authorized_keys"; fi',
            f"pkill -KILL -u {name} || true",
        ]
    return "\n".join(lines) + "\n"


def _write_accounts(layer: Layer, image: Path, accounts: Sequence[Account]) -> None:
    passwd, shadow, group = ((image / "etc" / name).read_text() for name in ("passwd", "shadow", "group"))
    sudo = next(line for line in group.splitlines() if line.startswith("sudo:"))
    members = ",".join(account.name for account in accounts)
    group = group.replace(f"{sudo}\n", f"{sudo.rstrip(',')}{members}\n")
    layer.directory("home")
    for uid, account in enumerate(accounts, start=_FIRST_UID):
        passwd += f"{account.name}:x:{uid}:{uid}::/home/{account.name}:/bin/bash\n"
        shadow += f"{account.name}:*:19000:0:99999:7:::\n"  # no password will do, and the account is not locked
        group += f"{account.name}:x:{uid}:\n"
        layer.directory(f"home/{account.name}", 0o750, uid)
        layer.directory(f"home/{account.name}/.ssh", 0o700, uid)
        keys = "".join(f"{key}\n" for key in account.keys)
        layer.file(f"home/{account.name}/.ssh/authorized_keys", keys, 0o600, uid)
    layer.file("etc/passwd", passwd)
    layer.file("etc/shadow", shadow, 0o600)
    layer.file("etc/group", group)
