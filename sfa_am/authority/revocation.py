"""What our own authority takes back: certificates it signed, and the list of them that others fetch.

The list is signed when something is taken back and once a day; whoever asks for it gets what is kept. The gate reads
it like the lists of others, so that a name revoked here is refused here and elsewhere for the same reason.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from credentials import CRL, GID, URN
from sfa_am.authority.books import write_down
from sfa_am.authority.keys import Authority
from sfa_am.errors import BadArgs, NotFound
from sfa_am.store import Store, registry, revocation
from sfa_am.store.revocation import ListRow

LIST_FOR = timedelta(days=7)
"""A peer that can't reach us for so long knows that it may have missed something."""

SIGN_AGAIN_AFTER = timedelta(days=1)

_TOLD_AFTER_THE_END = timedelta(days=2)
"""A certificate stays on the list a little longer than it lasts: clocks differ, and each must be on one list."""


class Revocations:
    """Takes back certificates of this installation's authority."""

    def __init__(self, store: Store, authority: Authority) -> None:
        self._store = store
        self._authority = authority

    def revoke(self, urn: URN, *, actor: str, now: datetime) -> int:
        """Take back every certificate of a member that still lasts. Returns how many were not taken back yet.

        Those of somebody who was removed are taken back as well. Raises BadArgs for what is no user's name, NotFound
        when nothing was signed for it.
        """
        if urn.type != "user":
            raise BadArgs(f"{urn} is not the name of a user; only members' certificates are revoked")
        with self._store.transaction() as tx:
            lasting = {serial: end for serial, end in revocation.issued_to(tx, urn).items() if end > now}
            if member := registry.member_by_urn(tx, urn):  # it may be older than our memory of what was signed
                gid = GID.parse(member.gid)
                lasting[gid.leaf.serial_number] = gid.not_after
            if not lasting:
                raise NotFound(f"no certificate for {urn} was signed here; see `sfa-am user list`")
            number = revocation.revoke(tx, urn, lasting, now=now)
            if number:
                write_down(tx, actor, "Revoke", urn, now)
                self._sign(tx, now)
        return number

    def current(self, now: datetime) -> str:
        """The list of what was taken back, PEM; signed anew once a day."""
        with self._store.reading() as tx:
            held = self._held(tx)
        if held is None or now - held.fetched_at >= SIGN_AGAIN_AFTER:
            with self._store.transaction() as tx:
                held = self._held(tx)
                if held is None or now - held.fetched_at >= SIGN_AGAIN_AFTER:
                    held = self._sign(tx, now)
        return held.crl.pem

    def _sign(self, tx: Connection, now: datetime) -> ListRow:
        held = self._held(tx)
        # Seconds since 1970 where they are ahead: an installation that was put back to an older copy of its store must
        # not give out numbers that its peers have seen.
        number = max((held.crl.number or 0) + 1 if held else 1, int(now.timestamp()))
        serials = revocation.revoked(tx, ending_after=now - _TOLD_AFTER_THE_END)
        issuer = self._authority.issuer
        crl = CRL.parse(issuer.issue_crl(serials, number=number, lifetime=LIST_FOR, now=now))
        row = ListRow(
            issuer_fingerprint=issuer.gid.fingerprint, crl=crl, source="", fetched_at=now, tried_at=now, fault=""
        )
        revocation.put_list(tx, row)
        return row

    def _held(self, tx: Connection) -> ListRow | None:
        return revocation.list_of(tx, self._authority.issuer.gid.fingerprint)
