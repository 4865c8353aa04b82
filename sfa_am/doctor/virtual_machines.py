"""Virtual machines: whether a guest runs, on the processor or emulated."""

import shutil
from pathlib import Path

from sfa_am.doctor import guest
from sfa_am.doctor.finding import Answer, limited, missing, ok
from sfa_am.doctor.probe import Probe

KVM = Path("/dev/kvm")
_INSTALL = "apt-get install qemu-system-x86"


def _virtual_machines() -> Answer:
    if not shutil.which(guest.QEMU):
        return missing("no emulator, so it can't be tried", _INSTALL)
    if not KVM.exists():
        why = f"no {KVM}"
    elif guest.runs("kvm"):
        return ok("a guest ran under KVM")
    else:
        why = f"{KVM} is there and a guest does not run on it"
    if guest.runs("tcg"):
        return limited(
            f"{why}; a guest ran emulated",
            "switch on (nested) virtualisation; emulated machines are many times slower",
        )
    return missing(f"{why}, nor emulated", _INSTALL)


PROBES = (Probe(subject="virtual machines", look=_virtual_machines),)
