"""The calls of the aggregate, in no API's words: what GENI AM API v2 and v3 ask, and any other door can.

Each call has the same steps: pass the gate, read and check what was sent, one transaction (look, refuse, change,
write the event), answer from what was stored. No call waits for a backend: it writes what is wanted and wakes the
workers.
"""

from sfa_am.slices.imaging import Imaging
from sfa_am.slices.looking import Looking
from sfa_am.slices.reserving import Reserving
from sfa_am.slices.tending import Tending


class AggregateService(Looking, Reserving, Tending, Imaging):
    """One aggregate. Every method may run in any thread; `now` is aware UTC and the same for the whole call.

    All methods raise AMError subclasses: Forbidden from the gate, and what their text says.
    """
