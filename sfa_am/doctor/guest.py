"""Proof that virtual machines run here: a guest of one disk sector, started, and its word waited for.

Opening /dev/kvm proves little: on nested hosts it opens, makes a machine, and the guest then hangs in its firmware.
"""

import subprocess
import tempfile
from pathlib import Path

QEMU = "qemu-system-x86_64"
TIMEOUT = 5
"""Seconds. A working guest takes less than one, emulated or not."""

# Real-mode code: mov al, 0x10 ; out 0xf4, al ; hlt ; jmp back to hlt. The device at port 0xf4 ends the emulator with
# status 2 * 0x10 + 1, which nothing else does.
_CODE = bytes.fromhex("b010e6f4f4ebfd")
_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
_STATUS = 2 * 0x10 + 1


def runs(accelerator: str) -> bool:
    """Whether a guest runs with "kvm" or "tcg". Raises FileNotFoundError without the emulator."""
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "sector.img"
        disk.write_bytes(_SECTOR)
        command = [QEMU, "-accel", accelerator, "-machine", "pc", "-m", "32", "-display", "none", "-nodefaults"]
        command += ["-no-user-config", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x01"]
        command += ["-drive", f"file={disk},format=raw"]
        try:
            return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False).returncode == _STATUS
        except subprocess.TimeoutExpired:
            return False
