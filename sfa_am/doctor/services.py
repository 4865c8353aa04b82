"""Programs beside us that more than one host, or virtual machines, will need."""

import os
import shutil

from sfa_am.doctor.finding import Answer, missing, ok
from sfa_am.doctor.probe import Probe, first_line


def _program(name: str, package: str, purpose: str) -> Answer:
    # Daemons lie where only root's PATH leads.
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        return missing(f"no {name}", f"apt-get install {package} ({purpose}; not used yet)")
    return ok(first_line(path, "--version"))


PROBES = (
    Probe(
        subject="libvirt",
        look=lambda: _program("libvirtd", "libvirt-daemon-system", "for virtual machines"),
    ),
    Probe(
        subject="Gluster",
        look=lambda: _program("glusterd", "glusterfs-server", "for storage over several hosts"),
    ),
    Probe(
        subject="NATS",
        look=lambda: _program("nats-server", "nats-server", "for several hosts"),
    ),
)
