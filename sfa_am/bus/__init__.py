"""The bus between this server and the hosts of its backends: who is on it, who may join. Messages are backends' own."""

from sfa_am.bus.enrolment import Enrolment
from sfa_am.bus.folder import BusFolder, BusSettings

__all__ = ["BusFolder", "BusSettings", "Enrolment"]
