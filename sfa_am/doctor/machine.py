"""The machine as such: who runs this, how large it is, whether its clock can be believed, what Python has."""

import ctypes
import importlib.util
import os
import platform
import shutil
from pathlib import Path

from sfa_am.doctor.finding import Answer, limited, missing, ok
from sfa_am.doctor.probe import Probe

_GIB = 1024**3
_LITTLE_MEMORY = 1 * _GIB  # a server, an image build and a handful of containers
_LITTLE_DISK = 2 * _GIB  # an image, the archive it is built from, and room for slivers

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 256  # more than struct timex has anywhere; zeroed, it asks and changes nothing


def _root() -> Answer:
    if os.geteuid() == 0:
        return ok("runs as root")
    return missing("not root, so containers can't be made and not all can be told", "run as root")


def _size() -> Answer:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    disk = shutil.disk_usage(Path.cwd()).free
    says = (
        f"{os.cpu_count()} cores, {memory / _GIB:.1f} GiB of memory, "
        f"{disk / _GIB:.0f} GiB free on the disk of {Path.cwd()}, Linux {platform.release()}"
    )
    if memory < _LITTLE_MEMORY or disk < _LITTLE_DISK:
        return limited(
            says, "1 GiB of memory and 2 GiB of disk are little more than an image and a few containers take"
        )
    return ok(says)


def _clock() -> Answer:
    clock = ctypes.create_string_buffer(_TIMEX_BYTES)
    if ctypes.CDLL(None).adjtimex(clock) == _TIME_ERROR:
        return limited(
            "the kernel does not know its clock to be synchronised; leases and credentials go by it",
            "apt-get install chrony",
        )
    return ok("synchronised")


def _python_packages() -> Answer:
    lacking = [name for name in ("lxc", "pyroute2") if importlib.util.find_spec(name) is None]
    if lacking:
        return missing(
            f"lacks {', '.join(lacking)}",
            "apt-get install gcc python3-dev lxc-dev, then pip install 'sfa-am[native]'",
        )
    return ok(f"Python {platform.python_version()}; lxc and pyroute2 are there")


PROBES = (
    Probe(subject="root", look=_root, needed=True),
    Probe(subject="machine", look=_size),
    Probe(subject="clock", look=_clock),
    Probe(subject="Python packages", look=_python_packages, needed=True),
)
