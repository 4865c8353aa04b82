"""The gate: from a caller and a pile of credentials to an `Authorization`, or to a refusal that says why.

Every door comes through here, and nothing is looked up for a caller before. A caller is the certificate whose key the
TLS handshake proved; everything else is decided by the credentials, against the roots the operator trusts.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from credentials import (
    GID,
    URN,
    Authorization,
    CredentialError,
    CredentialRefused,
    SpeaksFor,
    Trust,
    Verifier,
    is_abac,
)
from sfa_am.errors import Forbidden
from sfa_am.store import Store, trust

log = structlog.get_logger()

T = TypeVar("T")

_LOOK_AGAIN_AFTER = timedelta(seconds=1)
"""How long what an operator's command removed or revoked may still be believed."""

_WITHOUT_OPTION = "a speaks-for credential counts only with the option geni_speaking_for, which names the user"

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
        self,
        *,
        caller: GID,
        documents: Sequence[str],
        operation: str,
        target: URN,
        now: datetime,
        speaking_for: URN | None = None,
    ) -> Authorization:
        """The first credential that lets `caller` do `operation` on `target`.

        operation:    a name of the SFA rights table, such as "createsliver"
        speaking_for: the user for whom the caller, a tool, says to speak; a speaks-for credential must be there then,
                      and the others are the user's

        Raises Forbidden with the reason of each credential.
        """
        return self._authorise(caller, documents, operation, target, now, speaking_for)

    def authorise_for_own_target(
        self,
        *,
        caller: GID,
        documents: Sequence[str],
        operation: str,
        now: datetime,
        speaking_for: URN | None = None,
    ) -> Authorization:
        """As `authorise`, for calls that name no slice: what the credential is about is its own target.

        The caller of this method must then look only at things that belong to `Authorization.target`.
        """
        return self._authorise(caller, documents, operation, None, now, speaking_for)

    def recognise(self, caller: GID, *, now: datetime) -> URN:
        """The name in a caller's certificate, when a trusted root vouches for it. Says nothing of any right.

        Raises Forbidden.
        """
        try:
            return self._current(now).verify_gid(caller, now=now)
        except CredentialError as refusal:
            raise Forbidden(f"your certificate says nothing here: {refusal}") from refusal

    def speaks_for(self, *, caller: GID, documents: Sequence[str], user: URN, now: datetime) -> SpeaksFor:
        """The first credential of type geni_abac that lets `caller`, a tool, speak for `user`. Raises Forbidden."""
        words = [one for one in enumerate(_some(documents), start=1) if is_abac(one[1])]
        if not words:
            raise Forbidden(f"{caller} needs a credential of type geni_abac to speak for {user}")
        verifier = self._current(now)
        return _first(
            words,
            lambda document: verifier.verify_speaks_for(document, tool=caller, user=user, now=now),
            wanted=f"{caller} to speak for {user}",
        )

    def _authorise(
        self,
        caller: GID,
        documents: Sequence[str],
        operation: str,
        target: URN | None,
        now: datetime,
        speaking_for: URN | None,
    ) -> Authorization:
        wanted = operation if target is None else f"{operation} on {target}"
        verifier = self._current(now)
        numbered = list(enumerate(_some(documents), start=1))
        speaks_for = None
        if speaking_for is not None:
            speaks_for = self.speaks_for(caller=caller, documents=documents, user=speaking_for, now=now)
            numbered = [(number, document) for number, document in numbered if not is_abac(document)]
        if not numbered:
            raise Forbidden(f"no credential of type geni_sfa was sent; {wanted} needs one")
        try:
            auth = _first(
                numbered,
                lambda document: verifier.verify(
                    document, caller=caller, target=target, operation=operation, now=now, speaks_for=speaks_for
                ),
                wanted=wanted,
            )
        except Forbidden as refusal:
            if speaking_for is None and any(map(is_abac, documents)):
                raise Forbidden(f"{refusal}; {_WITHOUT_OPTION}") from refusal
            raise
        log.info(
            "authorised",
            operation=operation,
            target=str(auth.target),
            actor=str(auth.actor),
            spoken_by=str(auth.spoken_by) if auth.spoken_by else None,
            sha1=auth.is_sha1,
        )
        return auth

    def _current(self, now: datetime) -> Verifier:
        """The verifier for the roots and revocation lists of this moment; made anew when these have changed."""
        with self._lock:
            if self._looked_at is None or not timedelta(0) <= now - self._looked_at < _LOOK_AGAIN_AFTER:
                with self._store.reading() as tx:
                    version = trust.version(tx)
                    if version != self._version:
                        self._verifier = Verifier(trust.whole(tx))
                        self._version = version
                self._looked_at = now
            return self._verifier


def _some(documents: Sequence[str]) -> Sequence[str]:
    """The credentials of a call. Raises Forbidden when they are too many."""
    if len(documents) > MOST_CREDENTIALS:
        raise Forbidden(f"{len(documents)} credentials were sent; at most {MOST_CREDENTIALS} are looked at")
    return documents


def _first(numbered: Sequence[tuple[int, str]], check: Callable[[str], T], *, wanted: str) -> T:
    """What `check` makes of the first document that passes. Raises Forbidden: none does, and why each doesn't.

    numbered: not empty; the numbers are those of the list that the client sent
    """
    reasons = {}
    for number, document in numbered:
        try:
            return check(document)
        except CredentialRefused as refusal:
            reasons[number] = f"{refusal} (check: {refusal.check})"
        except CredentialError as refusal:
            reasons[number] = str(refusal)
    if len(reasons) == 1:
        [reason] = reasons.values()
        raise Forbidden(f"the credential does not allow {wanted}: {reason}")
    each = "; ".join(f"credential {number}: {reason}" for number, reason in reasons.items())
    raise Forbidden(f"none of the {len(reasons)} credentials allows {wanted}: {each}")
