"""The probes. Each looks at one subject, takes some seconds at most, leaves nothing behind and never raises.

What changes the network is tried in a network namespace of its own, which ends with the process that tried it.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sfa_am.doctor import guest
from sfa_am.doctor.finding import Finding, Verdict

_TIMEOUT = 10
_GIB = 1024**3

Probe = Callable[[], Finding]


def examine() -> list[Finding]:
    """Look at everything."""
    return [_bounded(probe) for probe in _PROBES]


def _bounded(probe: Probe) -> Finding:
    try:
        return probe()
    except (OSError, subprocess.SubprocessError) as e:
        subject = probe.__name__.strip("_").replace("_", " ")
        return Finding(subject=subject, verdict=Verdict.MISSING, says=f"could not be tried: {e}")


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding(subject="root", verdict=Verdict.OK, says="runs as root", needed=True)
    return Finding(
        subject="root",
        verdict=Verdict.MISSING,
        says="not root: containers can't be made, and what follows may look worse than it is",
        remedy="run as root",
        needed=True,
    )


def _machine() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    disk = shutil.disk_usage("/").free / _GIB
    says = (
        f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {disk:.0f} GiB of disk free, Linux {platform.release()}"
    )
    return Finding(subject="machine", verdict=Verdict.OK, says=says)


def _python_packages() -> Finding:
    missing = [name for name in ("lxc", "pyroute2") if importlib.util.find_spec(name) is None]
    if missing:
        return Finding(
            subject="Python packages",
            verdict=Verdict.MISSING,
            says=f"lacks {', '.join(missing)}",
            remedy="apt-get install gcc python3-dev lxc-dev, then pip install 'sfa-am[native]'",
            needed=True,
        )
    return Finding(subject="Python packages", verdict=Verdict.OK, says="lxc and pyroute2 are there", needed=True)


def _containers() -> Finding:
    missing = [name for name in ("lxc-start", "lxc-stop", "lxc-attach", "mmdebstrap") if not shutil.which(name)]
    if missing:
        says, remedy = f"lacks {', '.join(missing)}", "apt-get install lxc mmdebstrap"
        return Finding(subject="containers", verdict=Verdict.MISSING, says=says, remedy=remedy, needed=True)
    version = _output("lxc-start", "--version")
    return Finding(subject="containers", verdict=Verdict.OK, says=f"LXC {version}", needed=True)


def _user_namespaces() -> Finding:
    made = _tried("unshare", "--user", "true")
    return Finding(
        subject="user namespaces",
        verdict=Verdict.OK if made else Verdict.MISSING,
        says="can be made" if made else "can't be made",
        remedy="" if made else "sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0",
        needed=True,
    )


def _id_mapped_overlays() -> Finding:
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    overlay = "overlay" in Path("/proc/filesystems").read_text() or _tried("modprobe", "overlay")
    good = overlay and release >= (5, 19)
    return Finding(
        subject="id-mapped overlays",
        verdict=Verdict.OK if good else Verdict.MISSING,
        says=f"overlayfs {'is there' if overlay else 'is missing'}, kernel {release[0]}.{release[1]}",
        remedy="" if good else "a kernel of 5.19 or newer with overlayfs; Debian 12 has one",
        needed=True,
    )


def _cgroups() -> Finding:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        version, controllers = "version 2", set((root / "cgroup.controllers").read_text().split())
    else:
        version, controllers = "version 1", {entry.name for entry in root.iterdir() if entry.is_dir()}
    missing = {"memory", "cpu", "pids"} - controllers
    return Finding(
        subject="cgroups",
        verdict=Verdict.LIMITED if missing else Verdict.OK,
        says=f"{version}; {'no limits for ' + ', '.join(sorted(missing)) if missing else 'memory, cpu and pids'}",
        remedy="boot with cgroup_enable=memory" if "memory" in missing else "",
        needed=True,
    )


def _nftables() -> Finding:
    if not shutil.which("nft"):
        remedy = "apt-get install nftables"
        return Finding(subject="nftables", verdict=Verdict.MISSING, says="no nft", remedy=remedy, needed=True)
    rules = """
        table inet t { map m { type ipv4_addr . inet_service : ipv4_addr . inet_service; }
          chain o { type nat hook output priority -100; dnat ip to ip daddr . tcp dport map @m; }
          chain i { type filter hook input priority 0; ct state established accept; }
        }
        table bridge t { set s { type ifname . ether_addr . ipv4_addr; }
          chain p { type filter hook prerouting priority -300; iifname . ether saddr . ip saddr @s accept; }
        }
    """
    good = _in_namespace(f"nft -f - <<'END'\n{rules}\nEND")
    stateful = _in_namespace(
        "nft 'table bridge u { chain c { type filter hook forward priority 0; ct state new accept; }; }'"
    )
    return Finding(
        subject="nftables",
        verdict=Verdict.OK if good else Verdict.MISSING,
        says=("address translation, maps and bridge filters work" if good else "what is needed is refused")
        + ("" if stateful else "; no connection tracking on bridges, which is not needed"),
        remedy="" if good else "a kernel with nf_tables, nft_nat and nf_tables_bridge",
        needed=True,
    )


def _bridges() -> Finding:
    made = _in_namespace(
        "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0"
    )
    return Finding(
        subject="bridges",
        verdict=Verdict.OK if made else Verdict.MISSING,
        says="bridges and veth pairs can be made" if made else "can't be made",
        remedy="" if made else "a kernel with bridge and veth",
        needed=True,
    )


def _traffic_shaping() -> Finding:
    kinds = {"tbf": "rate 1mbit burst 2k latency 50ms", "htb": "", "netem": "delay 1ms"}
    works = [
        kind
        for kind, words in kinds.items()
        if _in_namespace(f"ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root {kind} {words}")
    ]
    return Finding(
        subject="traffic shaping",
        verdict=Verdict.OK if len(works) == len(kinds) else Verdict.LIMITED,
        says=f"works: {', '.join(works) or 'nothing'} of {', '.join(kinds)}",
        remedy="" if "tbf" in works else "a kernel with sch_tbf, for the capacity of links",
    )


def _vxlan() -> Finding:
    made = _in_namespace("ip link add vx0 type vxlan id 7 dstport 4789 nolearning")
    return Finding(
        subject="VXLAN",
        verdict=Verdict.OK if made else Verdict.MISSING,
        says="can be made" if made else "can't be made",
        remedy="" if made else "a kernel with vxlan, for links between hosts",
    )


def _virtual_machines() -> Finding:
    remedy = "apt-get install qemu-system-x86"
    if not shutil.which(guest.QEMU):
        says = "no emulator, so it can't be tried"
        return Finding(subject="virtual machines", verdict=Verdict.MISSING, says=says, remedy=remedy)
    has_device = Path("/dev/kvm").exists()
    if has_device and guest.runs("kvm"):
        return Finding(subject="virtual machines", verdict=Verdict.OK, says="a guest ran under KVM")
    why = "/dev/kvm is there and a guest does not run on it" if has_device else "no /dev/kvm"
    if guest.runs("tcg"):
        remedy = "switch on (nested) virtualisation; emulated machines are many times slower"
        says = f"{why}; a guest ran emulated"
        return Finding(subject="virtual machines", verdict=Verdict.LIMITED, says=says, remedy=remedy)
    return Finding(subject="virtual machines", verdict=Verdict.MISSING, says=f"{why}, nor emulated", remedy=remedy)


def _libvirt() -> Finding:
    return _program("libvirt", "libvirtd", "libvirt-daemon-system", "for virtual machines")


def _gluster() -> Finding:
    return _program("Gluster", "glusterd", "glusterfs-server", "for storage over several hosts")


def _nats() -> Finding:
    return _program("NATS", "nats-server", "nats-server", "for several hosts")


_PROBES: tuple[Probe, ...] = (
    _root,
    _machine,
    _python_packages,
    _containers,
    _user_namespaces,
    _id_mapped_overlays,
    _cgroups,
    _nftables,
    _bridges,
    _traffic_shaping,
    _vxlan,
    _virtual_machines,
    _libvirt,
    _gluster,
    _nats,
)


def _program(subject: str, program: str, package: str, purpose: str) -> Finding:
    if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        return Finding(subject=subject, verdict=Verdict.OK, says=_output(program, "--version").split("\n")[0])
    remedy = f"apt-get install {package} ({purpose}; not used yet)"
    return Finding(subject=subject, verdict=Verdict.MISSING, says=f"no {program}", remedy=remedy)


def _in_namespace(script: str) -> bool:
    """Whether a shell script succeeds in a network namespace that ends with it."""
    return _tried("unshare", "--net", "/bin/sh", "-c", script)


def _tried(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False).returncode == 0


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False).stdout.strip()
