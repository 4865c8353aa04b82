"""The gate: from a caller and a pile of credentials to an `Authorization`, or to a refusal that says why.

Every door comes through here, and nothing is looked up for a caller before. A caller is the certificate whose key the
TLS handshake proved; everything else is decided by the credentials, against the roots the operator trusts.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from credentials import GID, URN, Authorization, CredentialError, CredentialRefused, Root, Trust, Verifier
from sfa_am.errors import Forbidden
from sfa_am.store import Store, trust

_LOOK_AGAIN_AFTER = timedelta(seconds=1)
"""How long a root that an operator's command removed may still be believed."""

MOST_CREDENTIALS = 20
"""More in one call is no honest caller: tools send the slice's and the user's, a few delegated ones at most."""


class Gate:
    """Verifies credentials against the trusted roots in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._version: tuple[object, ...] = ()
        self._looked_at: datetime | None = None
        self._verifier = Verifier(Trust(()))

    def authorise(
        self, *, caller: GID, documents: Sequence[str], operation: str, target: URN, now: datetime
    ) -> Authorization:
        """The first credential that lets `caller` do `operation` on `target`.

        operation: a name of the SFA rights table, such as "createsliver"
        Raises Forbidden with the reason of the credential that came nearest.
        """
        return self._first(
            documents,
            lambda verifier, document: verifier.verify(
                document, caller=caller, target=target, operation=operation, now=now
            ),
            wanted=f"{operation} on {target}",
            now=now,
        )

    def authorise_for_own_target(
        self, *, caller: GID, documents: Sequence[str], operation: str, now: datetime
    ) -> Authorization:
        """As `authorise`, for calls that name no slice: what the credential is about is its own target.

        The caller of this method must then look only at things that belong to `Authorization.target`.
        """
        return self._first(
            documents,
            lambda verifier, document: verifier.verify(
                document, caller=caller, target=None, operation=operation, now=now
            ),
            wanted=operation,
            now=now,
        )

    def _first(
        self,
        documents: Sequence[str],
        check: Callable[[Verifier, str], Authorization],
        *,
        wanted: str,
        now: datetime,
    ) -> Authorization:
        if not documents:
            raise Forbidden(f"no credential of type geni_sfa was sent; {wanted} needs one")
        if len(documents) > MOST_CREDENTIALS:
            raise Forbidden(f"{len(documents)} credentials were sent; at most {MOST_CREDENTIALS} are looked at")
        verifier = self._current(now)
        reasons = []
        for document in documents:
            try:
                return check(verifier, document)
            except CredentialRefused as refusal:
                reasons.append(f"{refusal} (check: {refusal.check})")
            except CredentialError as refusal:
                reasons.append(str(refusal))
        if len(reasons) == 1:
            raise Forbidden(f"the credential does not allow {wanted}: {reasons[0]}")
        numbered = "; ".join(f"credential {number}: {reason}" for number, reason in enumerate(reasons, start=1))
        raise Forbidden(f"none of the {len(reasons)} credentials allows {wanted}: {numbered}")

    def _current(self, now: datetime) -> Verifier:
        """The verifier for the roots of this moment; made anew when an operator changed them."""
        with self._lock:
            if self._looked_at is None or not timedelta(0) <= now - self._looked_at < _LOOK_AGAIN_AFTER:
                with self._store.reading() as tx:
                    version = trust.version(tx)
                    if version != self._version:
                        roots = [
                            Root(GID.parse(row.gid), names=row.names, legacy_sha1=row.legacy_sha1)
                            for row in trust.everything(tx)
                        ]
                        self._verifier = Verifier(Trust(roots))
                        self._version = version
                self._looked_at = now
            return self._verifier
