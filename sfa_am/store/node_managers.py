"""Hosts that joined a backend, and invitations to join. Who they are on the bus; what they offer stands elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from sfa_am.store.schema import node_invitation, node_manager


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeManagerRow:
    """A host that joined.

    nkey:                    its public key on the bus
    certificate_fingerprint: of the newest certificate it was given, SHA-256
    """

    backend: str
    name: str
    nkey: str
    certificate_fingerprint: str
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRow:
    """An invitation.

    digest:   SHA-256 of its secret, hexadecimal
    replaces: whether a host of this name may be there already, and gives way
    used_by:  the nkey that joined with it; None while nobody has
    """

    digest: str
    backend: str
    name: str
    replaces: bool
    created_at: datetime
    expires_at: datetime
    used_by: str | None = None


def put(tx: Connection, one: NodeManagerRow) -> None:
    """Add a host, in the place of the one that had its name."""
    remove(tx, one.backend, one.name)
    tx.execute(
        insert(node_manager).values(
            backend=one.backend,
            name=one.name,
            nkey=one.nkey,
            certificate_fingerprint=one.certificate_fingerprint,
            joined_at=one.joined_at,
        )
    )


def remove(tx: Connection, backend: str, name: str) -> bool:
    """Forget a host. False when it was not there."""
    here = (node_manager.c.backend == backend) & (node_manager.c.name == name)
    return tx.execute(delete(node_manager).where(here)).rowcount == 1


def by_name(tx: Connection, backend: str, name: str) -> NodeManagerRow | None:
    """A host."""
    return next((one for one in everything(tx) if (one.backend, one.name) == (backend, name)), None)


def by_nkey(tx: Connection, nkey: str) -> NodeManagerRow | None:
    """The host that has this key."""
    row = tx.execute(select(node_manager).where(node_manager.c.nkey == nkey)).mappings().first()
    return None if row is None else NodeManagerRow(**row)


def everything(tx: Connection) -> Sequence[NodeManagerRow]:
    """All hosts, by name."""
    rows = tx.execute(select(node_manager).order_by(node_manager.c.backend, node_manager.c.name)).mappings()
    return tuple(NodeManagerRow(**row) for row in rows)


def take_back_invitations(tx: Connection, backend: str, name: str) -> None:
    """Forget the invitations for a name that nobody has used."""
    same = (node_invitation.c.backend == backend) & (node_invitation.c.name == name)
    tx.execute(delete(node_invitation).where(same & node_invitation.c.used_by.is_(None)))


def invite(tx: Connection, one: InvitationRow) -> None:
    """Write an invitation down. Earlier ones for the same name that nobody has used are taken back."""
    take_back_invitations(tx, one.backend, one.name)
    tx.execute(
        insert(node_invitation).values(
            digest=one.digest,
            backend=one.backend,
            name=one.name,
            replaces=one.replaces,
            created_at=one.created_at,
            expires_at=one.expires_at,
        )
    )


def invitation(tx: Connection, digest: str) -> InvitationRow | None:
    """The invitation with this secret."""
    row = tx.execute(select(node_invitation).where(node_invitation.c.digest == digest)).mappings().first()
    return None if row is None else InvitationRow(**row)


def use(tx: Connection, digest: str, nkey: str) -> bool:
    """Say who joined with an invitation. False when somebody has already."""
    open_one = (node_invitation.c.digest == digest) & node_invitation.c.used_by.is_(None)
    return tx.execute(update(node_invitation).where(open_one).values(used_by=nkey)).rowcount == 1


def forget_invitations(tx: Connection, *, ended_before: datetime) -> None:
    """Delete old ones, used or not."""
    tx.execute(delete(node_invitation).where(node_invitation.c.expires_at < ended_before))
