"""Revocation lists of other authorities: which are taken, and when the next ones are due.

A list is taken from anywhere, for its signature says whose it is: it must be that of a root trusted here, and no older
than the one that is held. Otherwise whoever stands between us and a peer could bring back an older list, and with it
everybody who was revoked since.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from credentials import CRL, GID, BadCRL
from sfa_am.errors import NotFound, Refused
from sfa_am.store import Store, revocation, trust
from sfa_am.store.revocation import ListRow

RETRY_AFTER = timedelta(minutes=5)
"""Where a list could not be fetched, the next try is made so soon at the latest."""


class RevocationLists:
    """The lists that are held here."""

    def __init__(self, store: Store, own: GID) -> None:
        """own: our own root, whose list is made here."""
        self._store = store
        self._own = own

    def roots(self) -> list[GID]:
        """The roots that are trusted here."""
        with self._store.reading() as tx:
            return [GID.parse(row.gid) for row in trust.everything(tx)]

    def take(self, document: bytes, *, source: str, now: datetime) -> ListRow:
        """Hold a list from now on, in place of the one that its authority made before.

        source: the file or URL that it comes from
        Raises Refused: it can't be read, no trusted root signed it, it is older than the one that is held, or our own.
        """
        try:
            crl = CRL.parse(document)
        except BadCRL as e:
            raise Refused(f"{source}: {e}") from e
        with self._store.transaction() as tx:
            root = _signer(crl, [GID.parse(row.gid) for row in trust.everything(tx)], source)
            if root.same_key(self._own):
                raise Refused(f"{source}: this is our own list, which is made here: sfa-am user revoke")
            # A renewed root has another fingerprint and may have the same key: then its lists are one sequence.
            held = next((row for row in revocation.lists(tx) if row.crl.is_of(root)), None)
            if held is not None and crl.is_older_than(held.crl):
                raise Refused(
                    f"{source}: {_place(crl)} of {root} is older than the one held here, {_place(held.crl)} "
                    f"from {held.source}; somebody may be holding newer ones back"
                )
            row = ListRow(
                issuer_fingerprint=root.fingerprint, crl=crl, source=source, fetched_at=now, tried_at=now, fault=""
            )
            revocation.put_list(tx, row, instead_of=held.issuer_fingerprint if held else None)
        return row

    def remove(self, beginning: str) -> ListRow:
        """Hold the list of a root no more; the beginning of its fingerprint is enough. Raises NotFound, Refused."""
        with self._store.transaction() as tx:
            found = [row for row in revocation.lists(tx) if row.issuer_fingerprint.startswith(beginning.lower())]
            if len(found) != 1:
                raise NotFound(f"lists of {len(found)} roots begin with {beginning}; see `sfa-am trust crl list`")
            if found[0].issuer_fingerprint == self._own.fingerprint:
                raise Refused("this is our own list: what stands in it stays revoked")
            revocation.remove_list(tx, found[0].issuer_fingerprint)
        return found[0]

    def due(self, *, every: timedelta, now: datetime) -> Sequence[str]:
        """URLs whose lists should be fetched again: each time that `every` has passed, and well before they end."""
        with self._store.reading() as tx:
            trusted = {row.fingerprint for row in trust.everything(tx)}
            timetable = revocation.timetable(tx)
        soon = min(every, RETRY_AFTER)
        return tuple(
            one.source
            for one in timetable
            if one.issuer_fingerprint in trusted and one.has_url and one.due_at(every=every, after_failure=soon) <= now
        )

    def note_failure(self, source: str, fault: str, *, now: datetime) -> None:
        """The list could not be had from there."""
        with self._store.transaction() as tx:
            revocation.note_failure(tx, source, fault, now=now)


def _signer(crl: CRL, roots: Sequence[GID], source: str) -> GID:
    """The root whose list it is. Raises Refused."""
    if found := next((root for root in roots if crl.is_of(root)), None):
        return found
    if named := next((root for root in roots if root.subject == crl.issuer), None):
        raise Refused(
            f"{source}: it says that {named} made it, and the key of that root did not sign it or may not sign lists"
        )
    raise Refused(f"{source}: {crl.issuer_name} made it, which is no root trusted here; see `sfa-am trust list`")


def _place(crl: CRL) -> str:
    number = "a list without a number" if crl.number is None else f"list {crl.number}"
    return f"{number} of {crl.last_update:%Y-%m-%dT%H:%M:%SZ}"
