"""Whom this installation trusts, and what an operator should know about it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from credentials import GID, CredentialError
from sfa_am.doctor.finding import Finding, Verdict
from sfa_am.store import Store, trust
from sfa_am.store.trust import RootRow

_SOON = timedelta(days=30)


def look(state: Path, *, now: datetime | None = None) -> list[Finding]:
    """Findings about the trusted roots of the installation in a state folder; none where none was founded."""
    if not (state / "store.sqlite").is_file():
        return []
    store = Store.in_folder(state)
    try:
        with store.reading() as tx:
            roots = trust.everything(tx)
    except SQLAlchemyError as e:
        said = type(e).__name__
        return [Finding(subject="trusted roots", verdict=Verdict.UNKNOWN, says=f"the store can't be read: {said}")]
    finally:
        store.close()
    found = [one for row in roots for one in _about(row, now or datetime.now(UTC))]
    return found or [Finding(subject="trusted roots", verdict=Verdict.OK, says=f"{len(roots)}, none with SHA-1")]


def _about(row: RootRow, now: datetime) -> list[Finding]:
    subject = f"trust in {', '.join(row.names)}"
    found = []
    if row.legacy_sha1:
        says = f"RSA-SHA1 signatures are accepted from it and below it ({row.fingerprint[:16]})"
        remedy = "ask its operator for RSA-SHA256, then sfa-am trust remove and add it without --legacy-sha1"
        found.append(Finding(subject=subject, verdict=Verdict.LIMITED, says=says, remedy=remedy))
    try:
        ends_at = GID.parse(row.gid).not_after
    except CredentialError as e:
        return [*found, Finding(subject=subject, verdict=Verdict.MISSING, says=str(e))]
    if ends_at <= now + _SOON:
        says = f"its certificate ends {ends_at:%Y-%m-%d}"
        remedy = "add the new one beside it: sfa-am trust add"
        found.append(Finding(subject=subject, verdict=Verdict.LIMITED, says=says, remedy=remedy))
    return found
