"""The service registry: where the services of the federation answer, and which roots it trusts. Public."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from credentials import URN
from sfa_am.errors import BadArgs
from sfa_am.store import Store, services, trust
from sfa_am.store.services import ServiceRow as ServiceRow  # told to clients as it is stored

AGGREGATE_MANAGER = "AGGREGATE_MANAGER"
SLICE_AUTHORITY = "SLICE_AUTHORITY"
MEMBER_AUTHORITY = "MEMBER_AUTHORITY"
TYPES = (AGGREGATE_MANAGER, SLICE_AUTHORITY, MEMBER_AUTHORITY)
"""The types that every federation has; an operator may enter others."""

_ANSWERS_FOR = {"slice": SLICE_AUTHORITY, "project": SLICE_AUTHORITY, "user": MEMBER_AUTHORITY}
"""Which type of service knows names of a type; all others are an aggregate's."""

MOST_NAMES = 1000


class ServiceRegistry:
    """The services of this installation, and those that an operator entered."""

    def __init__(self, store: Store, own: Sequence[ServiceRow]) -> None:
        self._store = store
        self._own = tuple(own)

    def everything(self) -> tuple[ServiceRow, ...]:
        """All services, our own first."""
        with self._store.reading() as tx:
            return (*self._own, *services.everything(tx))

    def trusted_roots(self) -> list[str]:
        """Certificates of all roots trusted here, PEM."""
        with self._store.reading() as tx:
            return [row.gid for row in trust.everything(tx)]

    def answering_for(self, names: Sequence[URN]) -> dict[URN, str]:
        """The URL of the service that knows each name; names that nobody here answers for are left out.

        The nearest authority above a name is the one: plc:princeton before plc.
        """
        if len(names) > MOST_NAMES:
            raise BadArgs(f"{len(names)} names in one call; at most {MOST_NAMES} are looked for")
        known = self.everything()
        found = {}
        for name in names:
            kind = _ANSWERS_FOR.get(name.type, AGGREGATE_MANAGER)
            possible = [one for one in known if one.type == kind and one.urn.covers(name)]
            if possible:
                found[name] = max(possible, key=lambda one: len(one.urn.labels)).url
        return found

    def enter(self, one: ServiceRow) -> None:
        """Make a service known, or change what is told of it: for the operator. Raises BadArgs."""
        where = urlsplit(one.url)
        if where.scheme not in ("https", "http") or not where.hostname or not one.url.isprintable():
            raise BadArgs(f"{one.url!a:.80} is not a URL; one such as https://am.example.org:12346/am/3 is needed")
        if not one.type or not one.name:
            raise BadArgs(f"{one.urn} needs a type, such as {AGGREGATE_MANAGER}, and a name")
        with self._store.transaction() as tx:
            services.put(tx, one)

    def forget(self, urn: URN, url: str) -> bool:
        """Take a service out again, for the operator. False when it was not there."""
        with self._store.transaction() as tx:
            return services.remove(tx, urn, url)


def own_services(
    *, authority: URN, root: str, base: str, am_url: str | None, title: str, now: datetime
) -> tuple[ServiceRow, ...]:
    """What this installation itself offers. root: its certificate, PEM; base: URL of the clearinghouse, no slash.

    am_url: None when no aggregate is served beside it
    """
    name = authority.authority

    def one(kind: str, suffix: str, url: str, description: str) -> ServiceRow:
        return ServiceRow(
            urn=URN(name, "authority", suffix),
            url=url,
            type=kind,
            name=f"{name} {suffix}",
            description=description,
            certificate=root,
            created_at=now,
        )

    return (
        *([one(AGGREGATE_MANAGER, "am", am_url, title)] if am_url is not None else []),
        one(SLICE_AUTHORITY, "sa", f"{base}/sa", f"slice authority of {name}"),
        one(MEMBER_AUTHORITY, "ma", f"{base}/ma", f"member authority of {name}"),
    )
