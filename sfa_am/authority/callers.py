"""Who calls the clearinghouse: a member known by their certificate, or one for whom a tool may speak.

No credential says what they may do here: that follows from their roles, which are ours. So the certificate alone
decides who it is, and it must be one that a trusted root vouches for now, with the key that our record binds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from credentials import GID, URN
from sfa_am.authority import roles
from sfa_am.authority.project_names import authority_over
from sfa_am.authority.roles import DECIDES, OVERSEES, WORKS, Role
from sfa_am.errors import Forbidden
from sfa_am.slices.gate import Gate
from sfa_am.store import registry
from sfa_am.store.registry import Member


class NotKnown(Forbidden):
    """The caller is nobody we know: another certificate is needed, not another right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a caller brings.

    certificate:  the one whose key the TLS handshake proved
    documents:    credentials; only one of type geni_abac that lets the caller speak for somebody is looked at
    speaking_for: the user for whom the caller, a tool, says to speak
    """

    certificate: GID
    documents: tuple[str, ...] = ()
    speaking_for: URN | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """Whose key was proved, by the user or by their word for a tool. Not yet found among our members."""

    urn: URN
    certificate: GID
    spoken_by: URN | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member who calls, with their roles at this moment.

    top:         our own authority
    authorities: their roles in it and in those below
    slices:      their roles in slices
    """

    member: Member
    top: URN
    authorities: Mapping[URN, Role]
    slices: Mapping[URN, Role]
    spoken_by: URN | None
    request_id: str | None

    @property
    def urn(self) -> URN:
        """Their name."""
        return self.member.urn

    def decides_over(self, authority: URN) -> bool:
        """Whether they lead or administer an authority, or one above it."""
        return any(role in DECIDES and held.covers(authority) for held, role in self.authorities.items())

    def oversees(self, authority: URN) -> bool:
        """Whether they may look at all that is below an authority: those who decide, auditors and operators."""
        return any(role in OVERSEES and held.covers(authority) for held, role in self.authorities.items())

    def sees(self, authority: URN) -> bool:
        """Whether they may look at the slices of an authority: its members, and those who oversee it.

        Everybody here belongs to the top authority, so membership in that says nothing.
        """
        return self.oversees(authority) or (authority != self.top and authority in self.authorities)

    def works_in(self, authority: URN) -> bool:
        """Whether they may make slices in an authority."""
        is_worker = authority != self.top and self.authorities.get(authority) in WORKS
        return is_worker or self.decides_over(authority)

    def sees_slice(self, urn: URN) -> bool:
        """Whether they may look at a slice."""
        return urn in self.slices or self.sees(authority_over(urn))

    def works_with(self, urn: URN) -> bool:
        """Whether they may use and renew a slice."""
        return self.slices.get(urn) in WORKS or self.decides_over(authority_over(urn))

    def inspects(self, urn: URN) -> bool:
        """Whether they may look at what a slice holds."""
        return urn in self.slices or self.oversees(authority_over(urn))

    def decides_over_slice(self, urn: URN) -> bool:
        """Whether they say who belongs to a slice."""
        return self.slices.get(urn) in DECIDES or self.decides_over(authority_over(urn))


class Callers:
    """Finds out who calls."""

    def __init__(self, gate: Gate, top: URN) -> None:
        self._gate = gate
        self._top = top

    def prove(self, shown: Shown, *, now: datetime) -> Proven:
        """Check certificate and signatures, before anything is looked up. Raises NotKnown."""
        try:
            if shown.speaking_for is None:
                urn, certificate, spoken_by = self._gate.recognise(shown.certificate, now=now), shown.certificate, None
            else:
                word = self._gate.speaks_for(
                    caller=shown.certificate, documents=shown.documents, user=shown.speaking_for, now=now
                )
                urn, certificate, spoken_by = word.user_urn, word.user, word.tool_urn
        except Forbidden as refusal:
            raise NotKnown(str(refusal)) from refusal
        if urn.type != "user" or not self._top.covers(urn):
            raise NotKnown(f"{urn} is no member of {self._top}: only services and trusted roots are told to others")
        return Proven(urn=urn, certificate=certificate, spoken_by=spoken_by, request_id=shown.request_id)

    def person(self, tx: Connection, proven: Proven) -> Person:
        """The member, with their roles as `tx` sees them. Raises NotKnown."""
        member = registry.member_by_urn(tx, proven.urn)
        # One answer for both: strangers are not to learn who is registered.
        if member is None or not GID.parse(member.gid).same_key(proven.certificate):
            raise NotKnown(f"{proven.urn} is not registered here with the key of this certificate")
        return Person(
            member=member,
            top=self._top,
            authorities=roles.in_authorities(tx, member.urn),
            slices=roles.in_slices(tx, member.urn),
            spoken_by=proven.spoken_by,
            request_id=proven.request_id,
        )
