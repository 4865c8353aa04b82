"""Whom this installation trusts, what it has signed itself, and what an operator should know about both."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from credentials import GID, CredentialError
from sfa_am.doctor.finding import Finding, Verdict
from sfa_am.store import Store, registry, revocation, trust
from sfa_am.store.registry import Member
from sfa_am.store.revocation import ListRow
from sfa_am.store.trust import RootRow

_SOON = timedelta(days=30)
_MOST_NAMED = 5


def look(state: Path, *, now: datetime | None = None) -> list[Finding]:
    """Findings about the trusted roots of the installation in a state folder; none where none was founded."""
    if not (state / "store.sqlite").is_file():
        return []
    now = now or datetime.now(UTC)
    store = Store.in_folder(state)
    try:
        with store.reading() as tx:
            roots, lists, people = trust.everything(tx), revocation.lists(tx), registry.members(tx)
    except SQLAlchemyError as e:
        said = type(e).__name__
        return [Finding(subject="trusted roots", verdict=Verdict.UNKNOWN, says=f"the store can't be read: {said}")]
    finally:
        store.close()
    found = [one for row in roots for one in _about(row, now)]
    found = found or [Finding(subject="trusted roots", verdict=Verdict.OK, says=f"{len(roots)}, none with SHA-1")]
    trusted = {row.fingerprint: row for row in roots}
    for row in lists:
        if row.issuer_fingerprint in trusted:
            found += _about_list(row, trusted[row.issuer_fingerprint], now)
    return [*found, *_about_server(state, now), *_about_members(people, now)]


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


def _about_list(row: ListRow, root: RootRow, now: datetime) -> list[Finding]:
    """Our own list is signed by whoever asks for it, so that it is late says only that nobody did."""
    subject = f"revocations of {', '.join(root.names)}"
    until = row.crl.next_update
    is_late = bool(row.source) and until is not None and until <= now
    if not is_late and not row.fault:
        return []
    said = [f"a newer list was promised for {until:%Y-%m-%d %H:%M} UTC"] if is_late and until is not None else []
    if row.fault:
        said.append(f"fetching it failed {row.tried_at:%Y-%m-%d %H:%M} UTC: {row.fault}")
    said.append("who was revoked since is still accepted")
    remedy = f"sfa-am trust crl add {row.source}, or the list from its operator"
    return [Finding(subject=subject, verdict=Verdict.LIMITED, says="; ".join(said), remedy=remedy)]


def _about_server(state: Path, now: datetime) -> list[Finding]:
    """A running server makes its certificate anew in time; one that ends soon belongs to a server that doesn't run."""
    subject, remedy = "certificate of the server", "sfa-am serve makes it anew; so does sfa-am init"
    try:
        ends_at = GID.parse((state / "authority" / "am.gid").read_bytes()).not_after
    except FileNotFoundError:
        return []
    except (OSError, CredentialError) as e:
        return [Finding(subject=subject, verdict=Verdict.UNKNOWN, says=str(e), remedy=remedy)]
    if ends_at > now + _SOON:
        return []
    says = f"it ends {ends_at:%Y-%m-%d}"
    return [Finding(subject=subject, verdict=Verdict.LIMITED, says=says, remedy=remedy)]


def _about_members(people: Sequence[Member], now: datetime) -> list[Finding]:
    """Those that have ended already are of people who left, or who will get a new one with the next call."""
    ending = [one.urn.hrn for one in people if now < GID.parse(one.gid).not_after <= now + _SOON]
    if not ending:
        return []
    more = f" and {len(ending) - _MOST_NAMED} more" if len(ending) > _MOST_NAMED else ""
    says = f"end within {_SOON.days} days: {', '.join(ending[:_MOST_NAMED])}{more}"
    remedy = "they are made anew when their owners next use their registry, as sfi does"
    return [Finding(subject="certificates of members", verdict=Verdict.LIMITED, says=says, remedy=remedy)]
