"""The calls that change nothing: ListResources, Describe, Status."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from credentials import URN
from sfa_am.slices.advertisement import Advertised, Advertiser
from sfa_am.slices.change import cancelled
from sfa_am.slices.desk import Desk, Presented
from sfa_am.slices.replies import Described, SliverState
from sfa_am.slices.selection import require_some, select
from sfa_am.slices.states import Allocation


class Looking(Desk):
    """Each passes the gate, reads one state of the rows, and answers."""

    @cached_property
    def _advertiser(self) -> Advertiser:
        return Advertiser(self._store, self._identity)

    def list_resources(self, who: Presented, *, available_only: bool, now: datetime) -> Advertised:
        """The advertisement. Any credential that allows looking will do: it need not be about a slice."""
        self._authorise(who, None, "listnodes", now)
        return self._advertiser.advertised(available_only=available_only, now=now)

    def describe(
        self, who: Presented, urns: Sequence[str], *, without_update: bool = False, now: datetime
    ) -> Described:
        """Manifest and states. A slice without slivers here has an empty manifest.

        without_update: as it would be after Cancel
        """
        named, auth = self._admit(who, urns, "sliverstatus", now)
        with self._store.reading() as tx:
            selected = select(tx, named, auth.target, self._identity)
        rows = [cancelled(row) for row in selected.slivers if row.allocation != Allocation.ALLOCATED]
        return self._described(auth.target, selected.slice, rows if without_update else selected.slivers, now)

    def status(self, who: Presented, urns: Sequence[str], *, now: datetime) -> tuple[URN, Sequence[SliverState]]:
        """The slice and the states of the slivers named. Raises NotFound when there are none."""
        named, auth = self._admit(who, urns, "sliverstatus", now)
        with self._store.reading() as tx:
            selected = select(tx, named, auth.target, self._identity)
        require_some(selected, auth.target)
        return auth.target, self._states(selected.slivers)
