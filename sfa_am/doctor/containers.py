"""Containers: the programs, name spaces for users, disks that share an image, limits."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sfa_am.doctor.finding import Answer, limited, missing, ok
from sfa_am.doctor.probe import TIMEOUT, Probe, first_line, succeeds

CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory", "cpu", "pids")
_DISK = Path("/var/tmp")  # noqa: S108 - a folder with a name of its own is made in it; /tmp may be no disk


def _lxc() -> Answer:
    programs = ("lxc-start", "lxc-stop", "lxc-attach", "mmdebstrap")
    lacking = [name for name in programs if not shutil.which(name)]
    if lacking:
        return missing(f"lacks {', '.join(lacking)}", "apt-get install lxc mmdebstrap")
    return ok(f"LXC {first_line('lxc-start', '--version')}")


def _user_namespaces() -> Answer:
    if succeeds("unshare", "--user", "true"):
        return ok("can be made")
    return missing(
        "can't be made",
        "sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1; not inside a chroot",
    )


def _disks() -> Answer:
    with tempfile.TemporaryDirectory(dir=_DISK, prefix="sfa-am-doctor-") as folder:
        command = ["unshare", "--mount", "--propagation", "private"]
        command += [sys.executable, "-m", "sfa_am.doctor.overlay_trial", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode == 0:
        return ok(f"an id-mapped overlay was made on the disk of {_DISK}")
    why = done.stderr.strip().rpartition("\n")[2]
    return missing(
        f"an id-mapped overlay can't be made on the disk of {_DISK}: {why}",
        "a kernel of 5.19 or newer with overlayfs, and ext4, xfs or btrfs; Debian 12 has them",
    )


def _cgroups() -> Answer:
    return limits_under(CGROUPS)


def limits_under(root: Path) -> Answer:
    """What the control groups mounted at `root` can limit, in either version or both side by side."""
    if (root / "cgroup.controllers").is_file():
        version, controllers = "version 2", set((root / "cgroup.controllers").read_text().split())
    else:
        version, controllers = "version 1", {entry.name for entry in root.iterdir() if entry.is_dir()}
        unified = root / "unified" / "cgroup.controllers"
        if unified.is_file():
            version, controllers = "version 1 beside 2", controllers | set(unified.read_text().split())
    lacking = [name for name in _LIMITS if name not in controllers]
    if lacking:
        return limited(
            f"{version}; no limits for {', '.join(lacking)}",
            "boot with cgroup_enable=memory" if "memory" in lacking else "a kernel with these control groups",
        )
    return ok(f"{version}; {', '.join(_LIMITS)}")


PROBES = (
    Probe(subject="containers", look=_lxc, needed=True),
    Probe(subject="user namespaces", look=_user_namespaces, needed=True),
    Probe(subject="disks", look=_disks, needed=True, as_root=True),
    Probe(subject="cgroups", look=_cgroups, needed=True),
)
