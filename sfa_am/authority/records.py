"""Records: what the registry keeps of an authority, a member or a slice, and what a client may ask it to keep.

What a client sends is checked once, here. Texts are told to everybody who lists the authority, so a character that no
XML document can hold would not harm its owner but everybody else.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from credentials import URN, BadKey, BadName, check_slice_name, check_user_name
from credentials.keys import read_ssh_public_key
from sfa_am.errors import BadArgs
from sfa_am.slices.logins import OPENSSH_PUBLIC_KEY

PI = "pi"
USER = "user"
"""What SFA clients call those who lead or administer the authority they belong to, and everybody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks to be registered or changed; None leaves a field as it is.

    keys:       SSH public keys; the first is the one the certificate binds
    role:       whether a person decides over their authority: "pi", or "user"
    members:    URNs of a slice's members
    pis:        URNs of those who decide over an authority
    hostname:   of a node
    expires_at: the end of a slice or an authority
    """

    urn: URN
    email: str | None = None
    keys: tuple[str, ...] | None = None
    role: str | None = None
    description: str | None = None
    members: tuple[URN, ...] | None = None
    pis: tuple[URN, ...] | None = None
    hostname: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An authority, a member, a slice or a node as clients are told of it.

    gid: PEM.  members, pis: as in `Wanted`.  slices, pi_of: what a person is a member of, and decides over
    """

    urn: URN
    gid: str
    email: str = ""
    keys: tuple[str, ...] = ()
    description: str = ""
    hostname: str = ""
    members: tuple[URN, ...] = ()
    pis: tuple[URN, ...] = ()
    expires_at: datetime | None = None
    created_at: datetime | None = None
    slices: tuple[URN, ...] = ()
    pi_of: tuple[URN, ...] = ()


MOST_KEYS = 50
"""Of one member: more is no person's, and all of them are written into every sliver."""

LONGEST_DESCRIPTION = 2000

_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[\x21-\x3f\x41-\x7e]{1,189}")
"""Lengths as in RFC 5321; what is behind is for the mail system to know."""

_HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")


def check(wanted: Wanted) -> None:
    """Refuse what can't be registered, whatever is registered already. Raises BadArgs."""
    try:
        if wanted.urn.type == "user":
            check_user_name(wanted.urn.name)
        elif wanted.urn.type == "slice":
            check_slice_name(wanted.urn.name)
    except BadName as e:
        raise BadArgs(str(e)) from e
    if wanted.email is not None and not _EMAIL.fullmatch(wanted.email):
        raise BadArgs(f"{wanted.email!a:.80} is not an email address; one such as alice@example.org is needed")
    if wanted.role not in (None, USER, PI):
        raise BadArgs(f"role {wanted.role!a:.40} is not known; known are {USER} and {PI}")
    if wanted.keys is not None:
        _check_keys(wanted.keys)
    if wanted.hostname is not None and not _HOSTNAME.fullmatch(wanted.hostname):
        raise BadArgs(f"{wanted.hostname!a:.80} is not a host name; one such as node1.example.org is needed")
    if wanted.description is not None:
        _check_description(wanted.description)


def _check_keys(keys: tuple[str, ...]) -> None:
    if not 1 <= len(keys) <= MOST_KEYS:
        raise BadArgs(
            f"{len(keys)} keys; a member has between 1 and {MOST_KEYS}, each a public key as OpenSSH writes it"
        )
    try:
        read_ssh_public_key(keys[0])
    except BadKey as e:
        raise BadArgs(f"the first key goes into the certificate: {e}") from e
    for number, key in enumerate(keys, start=1):
        if not OPENSSH_PUBLIC_KEY.fullmatch(key) or not key.isprintable():
            raise BadArgs(
                f"key {number} is not a public key as OpenSSH writes it: "
                "one line such as 'ssh-ed25519 AAAA... name', without options"
            )


def _check_description(description: str) -> None:
    if len(description) > LONGEST_DESCRIPTION:
        raise BadArgs(f"the description has {len(description)} characters; {LONGEST_DESCRIPTION} are kept")
    if not all(line.isprintable() for line in re.split(r"[\n\t]", description)):
        raise BadArgs("the description holds control characters; text, tabs and new lines are kept")
