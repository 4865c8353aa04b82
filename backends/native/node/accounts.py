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

from backends.native.node import hostnames
from backends.native.node.disk import Layer
from backends.protocol import Account, Machine

_FIRST_UID, _LAST_UID = 1000, 60000
_FEWEST_COLONS = 3
"""In a line of passwd, shadow or group."""
_HOST_KEY = "etc/ssh/ssh_host_ed25519_key"


def equip(
    layer: Layer, image: Path, machine: Machine, nameservers: Sequence[IPv4Address], others: tuple[str, ...]
) -> None:
    """Write what makes this machine itself into a fresh disk of `image`. others: lines about machines of its slice."""
    layer.directory("etc/ssh")
    key = Ed25519PrivateKey.generate()
    layer.file(_HOST_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(), 0o600)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    layer.file(f"{_HOST_KEY}.pub", f"{public} root@{machine.hostname}\n")
    layer.file("etc/hostname", f"{machine.hostname}\n")
    layer.file("etc/hosts", hostnames.whole(machine.hostname, others))
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
    """Beside those that the image has; one that it has under such a name becomes ours, and keeps its number."""
    names = [account.name for account in accounts]
    passwd, shadow, group = (_lines(image / "etc" / name) for name in ("passwd", "shadow", "group"))
    known = {line.split(":")[0]: line.split(":")[2] for line in passwd}
    numbers = {int(number) for number in known.values() if number.isdigit()}
    free = (number for number in range(_FIRST_UID, _LAST_UID) if number not in numbers)
    sudo = next(line for line in group if line.startswith("sudo:"))
    group[group.index(sudo)] = f"{sudo}{',' if sudo[-1] not in ':,' else ''}{','.join(names)}".rstrip(",")
    passwd, shadow = _without(passwd, names), _without(shadow, names)
    group = _without(group, [name for name in names if name != "sudo"])
    shell = "/bin/bash" if (image / "bin" / "bash").exists() else "/bin/sh"
    layer.directory("home")
    for account in accounts:
        old = known.get(account.name, "")
        uid = int(old) if old.isdigit() and _FIRST_UID <= int(old) < _LAST_UID else next(free)
        passwd.append(f"{account.name}:x:{uid}:{uid}::/home/{account.name}:{shell}")
        shadow.append(f"{account.name}:*:19000:0:99999:7:::")  # no password will do, and the account is not locked
        group.append(f"{account.name}:x:{uid}:")
        layer.directory(f"home/{account.name}", 0o750, uid)
        layer.directory(f"home/{account.name}/.ssh", 0o700, uid)
        keys = "".join(f"{key}\n" for key in account.keys)
        layer.file(f"home/{account.name}/.ssh/authorized_keys", keys, 0o600, uid)
    for name, lines, mode in (("passwd", passwd, 0o644), ("shadow", shadow, 0o600), ("group", group, 0o644)):
        layer.file(f"etc/{name}", "".join(f"{line}\n" for line in lines), mode)


def _lines(path: Path) -> list[str]:
    """Those that say something."""
    return [line for line in path.read_text().splitlines() if line.count(":") >= _FEWEST_COLONS]


def _without(lines: list[str], names: Sequence[str]) -> list[str]:
    return [line for line in lines if line.split(":")[0] not in names]
