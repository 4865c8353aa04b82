"""What this host can do, found out by doing it: the examination behind `sfa-am doctor`."""

from sfa_am.doctor.command import doctor
from sfa_am.doctor.examination import examine
from sfa_am.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "doctor", "examine"]
