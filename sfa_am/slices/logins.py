"""From the users of a call to accounts on a machine: login names and keys.

`geni_users` (GENI AM API v3, Provision) lists people by URN with their SSH keys; a machine needs Unix names.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backends.protocol import Account, Machine, Segment
from credentials import URN, BadName
from sfa_am.errors import BadArgs
from sfa_am.store.slivers import SliverUser

_LONGEST_NAME = 32
_RESERVED = frozenset(
    [
        "root",
        "daemon",
        "bin",
        "sys",
        "sync",
        "games",
        "man",
        "lp",
        "mail",
        "news",
        "uucp",
        "proxy",
        "www-data",
        "backup",
        "list",
        "irc",
        "gnats",
        "nobody",
        "sshd",
    ]
)
OPENSSH_PUBLIC_KEY = re.compile(
    r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" [A-Za-z0-9+/]{40,16000}={0,3}( [^\r\n\x00]{0,512})?"
)
"""An OpenSSH public key without options: options before the key type could run commands as the account."""


def sliver_users(sent: Iterable[tuple[str, Sequence[str]]]) -> tuple[SliverUser, ...]:
    """Users with the login names they get. `sent`: (URN, public keys).

    The name is the last field of the URN, made fit for Unix; a second person of the same name gets a number.
    A person named twice gets one account with all keys. Raises BadArgs for a bad URN or key.
    """
    keys_of: dict[str, list[str]] = {}
    for urn, keys in sent:
        known = keys_of.setdefault(urn, [])
        known.extend(key for key in map(_checked_key, keys) if key not in known)
    users: list[SliverUser] = []
    taken = set(_RESERVED)
    for urn, keys in keys_of.items():
        login = _free_name(_unix_name(urn), taken)
        taken.add(login)
        users.append(SliverUser(urn=urn, login=login, keys=tuple(keys)))
    return tuple(users)


def accounts(users: Iterable[SliverUser]) -> tuple[Account, ...]:
    """The accounts a machine needs for these users."""
    return tuple(Account(name=user.login, keys=user.keys) for user in users)


def on(shape: Machine | Segment, users: Iterable[SliverUser]) -> Machine | Segment:
    """A sliver's shape with accounts for these users; a link has none."""
    return replace(shape, accounts=accounts(users)) if isinstance(shape, Machine) else shape


def _unix_name(urn: str) -> str:
    try:
        name = URN.parse(urn).name
    except BadName as e:
        raise BadArgs(f"geni_users: urn {urn!r:.200} is not a URN: {e}") from e
    name = re.sub(r"[^a-z0-9_-]", "_", name.lower())[:_LONGEST_NAME]
    return name if re.match(r"[a-z_]", name) else f"u{name}"[:_LONGEST_NAME]


def _free_name(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while (numbered := f"{name[: _LONGEST_NAME - len(str(number))]}{number}") in taken:
        number += 1
    return numbered


def _checked_key(key: str) -> str:
    key = key.strip()
    if not OPENSSH_PUBLIC_KEY.fullmatch(key):
        raise BadArgs(
            f"geni_users: {key[:40]!r} does not begin like an OpenSSH public key; "
            "one line such as 'ssh-ed25519 AAAA... name' is needed, without options"
        )
    return key
