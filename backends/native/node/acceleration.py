"""Whether virtual machines run on this host's processor or are emulated: found out by running one.

That /dev/kvm opens and makes a machine is no proof: where the host is itself a guest, machines made so may hang in
their firmware, or take longer for it than emulated ones.
"""

import shutil
import subprocess
import tempfile
import time

_PROGRAM = "qemu-system-x86_64"
_PATIENCE = 20.0
"""Seconds that an emulated machine gets, on a busy host."""
_PORT, _SAYS = 0xF4, 0x10
_EXPECTED = (_SAYS << 1) | 1
"""What the emulator's exit device makes of the value written to its port."""

# mov al, 0x10; out 0xf4, al; hlt: a boot sector that ends the machine as soon as its firmware has done its work.
_BOOT_SECTOR = bytes([0xB0, _SAYS, 0xE6, _PORT, 0xF4]).ljust(510, b"\0") + b"\x55\xaa"


def program() -> str:
    """The emulator's path; empty when it is not installed."""
    return shutil.which(_PROGRAM) or ""


def kind() -> str:
    """What the hypervisor calls it: "kvm", or "qemu" for emulation; empty where neither runs a machine."""
    if not program():
        return ""
    begin = time.monotonic()
    if not _runs("tcg", _PATIENCE):
        return "kvm" if _runs("kvm", _PATIENCE) else ""
    emulated = time.monotonic() - begin
    return "kvm" if _runs("kvm", max(0.5, 3 * emulated)) else "qemu"


def _runs(accelerator: str, patience: float) -> bool:
    with tempfile.NamedTemporaryFile() as disk:
        disk.write(_BOOT_SECTOR)
        disk.flush()
        command = [program(), "-accel", accelerator, "-nodefaults", "-display", "none", "-m", "32"]
        command += ["-drive", f"file={disk.name},format=raw,snapshot=on"]
        command += ["-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=1"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=patience, check=False)
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == _EXPECTED
