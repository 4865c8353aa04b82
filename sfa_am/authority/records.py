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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks to be registered or changed; None leaves a field as it is.

    keys:       SSH public keys; the first is the one the certificate binds
    members:    URNs of a slice's members
    expires_at: a slice's end
    """

    urn: URN
    email: str | None = None
    keys: tuple[str, ...] | None = None
    role: str | None = None
    description: str | None = None
    members: tuple[URN, ...] | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An authority, a member or a slice as clients are told of it. `gid`: PEM."""

    urn: URN
    gid: str
    email: str = ""
    keys: tuple[str, ...] = ()
    role: str = ""
    description: str = ""
    members: tuple[URN, ...] = ()
    expires_at: datetime | None = None
    created_at: datetime | None = None
    slices: tuple[URN, ...] = ()


MOST_KEYS = 50
"""Of one member: more is no person's, and all of them are written into every sliver."""

LONGEST_DESCRIPTION = 2000

_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[\x21-\x3f\x41-\x7e]{1,189}")
"""Lengths as in RFC 5321; what is behind is for the mail system to know."""


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
