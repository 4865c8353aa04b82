"""Certificates that our authority signed and those it took back, and the revocation lists of all authorities."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from credentials import CRL, GID, URN
from sfa_am.store.schema import issued_certificate, revocation_list, revoked_certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """A revocation list as it came.

    issuer_fingerprint: of the root that signed it
    source:             a file, a URL, or nothing for our own
    tried_at:           when it was last asked for; later than fetched_at when that failed, and `fault` says why
    """

    issuer_fingerprint: str
    crl: CRL
    source: str
    fetched_at: datetime
    tried_at: datetime
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appointment:
    """When a list was had and should be had again, without the list."""

    issuer_fingerprint: str
    source: str
    fetched_at: datetime
    tried_at: datetime
    next_update: datetime | None

    @property
    def has_url(self) -> bool:
        """Whether it can be fetched again."""
        return self.source.startswith(("http://", "https://"))

    def due_at(self, *, every: timedelta, after_failure: timedelta) -> datetime:
        """When to ask for it again: after `every`, and at half of the time that it lasts where that is shorter."""
        if self.tried_at > self.fetched_at:
            return self.tried_at + after_failure
        if self.next_update is not None and self.next_update > self.fetched_at:
            every = min(every, (self.next_update - self.fetched_at) / 2)
        return self.fetched_at + every


def note_issued(tx: Connection, gid: GID, *, now: datetime) -> None:
    """Remember a certificate that was signed, so that it can be taken back; those that have ended are forgotten.

    It must have a name.
    """
    tx.execute(delete(issued_certificate).where(issued_certificate.c.ends_at <= now))
    tx.execute(insert(issued_certificate).values(serial=_serial(gid), urn=_key(gid.urn), ends_at=gid.not_after))


def issued_to(tx: Connection, urn: URN) -> Mapping[int, datetime]:
    """Serial numbers of the certificates signed for a name, with their ends."""
    query = select(issued_certificate.c.serial, issued_certificate.c.ends_at).where(
        issued_certificate.c.urn == _key(urn)
    )
    return {int(serial): ends_at for serial, ends_at in tx.execute(query)}


def revoke(tx: Connection, urn: URN, certificates: Mapping[int, datetime], *, now: datetime) -> int:
    """Take certificates back: serial numbers with their ends. Returns how many were not taken back yet."""
    known = {int(serial) for serial in tx.execute(select(revoked_certificate.c.serial)).scalars()}
    rows = [
        {"serial": str(serial), "urn": _key(urn), "ends_at": ends_at, "revoked_at": now}
        for serial, ends_at in certificates.items()
        if serial not in known
    ]
    if rows:
        tx.execute(insert(revoked_certificate), rows)
    return len(rows)


def is_revoked(tx: Connection, gid: GID) -> bool:
    """Whether a certificate of ours was taken back."""
    query = select(revoked_certificate.c.serial).where(revoked_certificate.c.serial == _serial(gid))
    return tx.execute(query).first() is not None


def revoked(tx: Connection, *, ending_after: datetime) -> Mapping[int, datetime]:
    """Serial numbers of certificates that were taken back and would last longer, with the moment of each."""
    query = (
        select(revoked_certificate.c.serial, revoked_certificate.c.revoked_at)
        .where(revoked_certificate.c.ends_at > ending_after)
        .order_by(revoked_certificate.c.revoked_at, revoked_certificate.c.serial)
    )
    return {int(serial): at for serial, at in tx.execute(query)}


def put_list(tx: Connection, row: ListRow, *, instead_of: str | None = None) -> None:
    """Keep a list. instead_of: the fingerprint under which the one that it replaces is kept."""
    old = instead_of or row.issuer_fingerprint
    tx.execute(delete(revocation_list).where(revocation_list.c.issuer_fingerprint.in_([old, row.issuer_fingerprint])))
    tx.execute(
        insert(revocation_list).values(
            issuer_fingerprint=row.issuer_fingerprint,
            pem=row.crl.pem,
            digest=hashlib.sha256(row.crl.pem.encode()).hexdigest(),
            next_update=row.crl.next_update,
            source=row.source,
            fetched_at=row.fetched_at,
            tried_at=row.tried_at,
            fault=row.fault,
        )
    )


def note_failure(tx: Connection, source: str, fault: str, *, now: datetime) -> None:
    """Write down that the lists of a source could not be had."""
    here = revocation_list.c.source == source
    tx.execute(update(revocation_list).where(here).values(tried_at=now, fault=fault))


def remove_list(tx: Connection, issuer_fingerprint: str) -> bool:
    """Forget a list. False when it was not there."""
    here = revocation_list.c.issuer_fingerprint == issuer_fingerprint
    return tx.execute(delete(revocation_list).where(here)).rowcount == 1


def lists(tx: Connection) -> Sequence[ListRow]:
    """All lists, by the fingerprint of their root."""
    return _read(tx, select(revocation_list).order_by(revocation_list.c.issuer_fingerprint))


def list_of(tx: Connection, issuer_fingerprint: str) -> ListRow | None:
    """The list that is kept for a root."""
    query = select(revocation_list).where(revocation_list.c.issuer_fingerprint == issuer_fingerprint)
    return next(iter(_read(tx, query)), None)


def timetable(tx: Connection) -> Sequence[Appointment]:
    """When each list was had; reading this is cheap where the lists are long."""
    columns = revocation_list.c
    query = select(
        columns.issuer_fingerprint, columns.source, columns.fetched_at, columns.tried_at, columns.next_update
    )
    return tuple(Appointment(**row) for row in tx.execute(query).mappings())


def version(tx: Connection) -> tuple[object, ...]:
    """A value that changes whenever a list does."""
    return tuple(tx.execute(select(revocation_list.c.digest).order_by(revocation_list.c.issuer_fingerprint)).scalars())


def _serial(gid: GID) -> str:
    return str(gid.leaf.serial_number)


def _key(urn: URN | None) -> str:
    return str(urn).lower()


def _read(tx: Connection, query: Select[Any]) -> Sequence[ListRow]:
    return tuple(
        ListRow(
            issuer_fingerprint=row["issuer_fingerprint"],
            crl=CRL.parse(row["pem"].encode()),
            source=row["source"],
            fetched_at=row["fetched_at"],
            tried_at=row["tried_at"],
            fault=row["fault"],
        )
        for row in tx.execute(query).mappings()
    )
