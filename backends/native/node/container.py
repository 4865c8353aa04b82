"""One container: its settings, starting and stopping it, looking at it. The only module that knows LXC.

Containers are unprivileged: root inside is a number outside that owns nothing. They are started by `lxc-start`, not
from this process: what stays behind to watch a container would otherwise be a copy of us, with all we hold in memory.
"""

import contextlib
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import lxc

from backends.native.images.records import DEFAULT_INIT
from backends.native.node.body import Plug
from backends.native.node.consoles import MOST_OF_A_CONSOLE
from backends.native.node.idmap import IDS
from backends.protocol import BackendError, Machine

_START_TIMEOUT = 60
_STOP_TIMEOUT = 60
_GRACE = 10
"""Seconds a machine gets to shut down by itself."""

_CGROUPS = Path("/sys/fs/cgroup")
_SECCOMP = Path("/usr/share/lxc/config/common.seccomp")


CONSOLE_LOG = "console.log"
"""In the container's own folder."""


class Container:
    """A container by its name, in a folder where each has one of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        """folder: where the folder `name` is."""
        self._name = name
        self._folder = folder

    def is_running(self) -> bool:
        """Whether its first process is there."""
        return self.first_process() > 0

    def first_process(self) -> int:
        """The number of its first process on this host; 0 or less when it has none."""
        if not (self._folder / self._name / "config").is_file():
            return 0
        pid: int = lxc.Container(self._name, str(self._folder)).init_pid
        return pid

    def start(self, settings: str) -> None:
        """Start it with these settings. Raises BackendError; the reason stays in its log."""
        own = self._folder / self._name
        (own / "config").write_text(settings)
        log = own / "start.log"
        log.unlink(missing_ok=True)
        try:
            self._run("lxc-start", "--daemon", f"--logfile={log}", "--logpriority=WARN", timeout=_START_TIMEOUT)
        except BackendError as e:
            if log.exists():
                e.add_note(log.read_text(errors="replace")[-2000:])
            remove_cgroups(f"lxc.*.{self._name}*")
            raise

    def stop(self, *, gracefully: bool) -> None:
        """Stop it, after letting it shut down by itself if wanted; nothing happens when it is stopped."""
        if self.is_running():
            how = [f"--timeout={_GRACE}"] if gracefully else ["--kill"]
            self._run("lxc-stop", *how, timeout=_STOP_TIMEOUT)

    def freeze(self) -> None:
        """Have none of its processes run; nothing happens when it is stopped. Raises BackendError."""
        if self.is_running():
            self._run("lxc-freeze", timeout=_STOP_TIMEOUT)

    def thaw(self) -> None:
        """Let them run again; nothing happens when they do. Raises BackendError."""
        if self.is_running():
            self._run("lxc-unfreeze", timeout=_STOP_TIMEOUT)

    def forget(self) -> None:
        """Remove what a start that was cut short has left; it must be stopped."""
        for kind in ("monitor", "payload"):
            remove_cgroups(f"lxc.{kind}.{self._name}")

    def run(self, script: str) -> None:
        """Run a shell script in it, as its root. Raises BackendError."""
        command = ["--clear-env", "--set-var=PATH=/usr/sbin:/usr/bin:/sbin:/bin", "--", "/bin/sh", "-s"]
        self._run("lxc-attach", *command, timeout=_START_TIMEOUT, stdin=script)

    def _run(self, program: str, *arguments: str, timeout: int, stdin: str = "") -> None:
        command = [program, f"--name={self._name}", f"--lxcpath={self._folder}", *arguments]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, errors="replace"
            )
        except subprocess.TimeoutExpired as e:
            raise BackendError("the machine did not answer in time") from e
        if done.returncode != 0 and not (program == "lxc-stop" and not self.is_running()):
            problem = BackendError("the machine could not be changed")
            problem.add_note(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
            raise problem


def settings_of(
    machine: Machine, rootfs: Path, init: str, base: int, plugs: Sequence[Plug], processes: int, console: Path
) -> str:
    """The container's settings for a machine. The same machine gives the same text.

    init: command it begins with. console: file it is logged to
    """
    lines = [
        f"lxc.uts.name = {machine.hostname}",
        f"lxc.rootfs.path = dir:{rootfs}",
        f"lxc.idmap = u 0 {base} {IDS}",
        f"lxc.idmap = g 0 {base} {IDS}",
        f"lxc.init.cmd = {init}",
        *(["lxc.signal.halt = SIGUSR1"] if init == DEFAULT_INIT else []),
        # Kept small by LXC itself, since whoever is root inside may write to it without end.
        f"lxc.console.logfile = {console}",
        f"lxc.console.size = {MOST_OF_A_CONSOLE}",
        f"lxc.console.buffer.size = {MOST_OF_A_CONSOLE}",
        "lxc.tty.max = 0",
        "lxc.pty.max = 1024",
        "lxc.autodev = 1",
        "lxc.mount.auto = proc:mixed sys:ro",
        "lxc.mount.entry = tmpfs run tmpfs rw,nosuid,nodev,mode=0755,size=64m 0 0",
        "lxc.mount.entry = tmpfs dev/shm tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0",
        "lxc.cap.drop = mac_admin mac_override sys_module sys_rawio sys_time",
        *_limits(machine, processes),
    ]
    if _SECCOMP.is_file():
        lines.append(f"lxc.seccomp.profile = {_SECCOMP}")
    for number, plug in enumerate(plugs):
        key = f"lxc.net.{number}"
        lines += [
            f"{key}.type = veth",
            f"{key}.name = {plug.name}",
            f"{key}.link = {plug.bridge}",
            f"{key}.veth.pair = {plug.outside}",
            f"{key}.hwaddr = {plug.mac}",
            f"{key}.mtu = {plug.mtu}",
            f"{key}.flags = up",
            *(f"{key}.ipv{address.version}.address = {address}" for address in plug.given),
        ]
        if plug.gateway is not None:
            lines.append(f"{key}.ipv4.gateway = {plug.gateway}")
    if asking := [plug.name for plug in plugs if plug.asks]:
        lines.append(f"lxc.environment = SLIVER_DHCP={' '.join(asking)}")
    return "\n".join(lines) + "\n"


def remove_cgroups(pattern: str) -> None:
    """Remove the control groups of such a name in which nothing runs: LXC leaves those of failed starts."""
    for place in (_CGROUPS, *_CGROUPS.iterdir()):
        for group in place.glob(pattern) if place.is_dir() else ():
            with contextlib.suppress(OSError):
                group.rmdir()


def _limits(machine: Machine, processes: int) -> list[str]:
    """Memory, CPU and process limits, in the words of the cgroup version this host has."""
    octets = machine.memory_mib * 1024 * 1024
    period = 100_000
    quota = max(1000, round(machine.cpus * period))
    if _is_unified():
        return [
            f"lxc.cgroup2.memory.max = {octets}",
            "lxc.cgroup2.memory.swap.max = 0",
            f"lxc.cgroup2.cpu.max = {quota} {period}",
            f"lxc.cgroup2.pids.max = {processes}",
        ]
    return [
        f"lxc.cgroup.memory.limit_in_bytes = {octets}",
        f"lxc.cgroup.cpu.cfs_period_us = {period}",
        f"lxc.cgroup.cpu.cfs_quota_us = {quota}",
        f"lxc.cgroup.pids.max = {processes}",
    ]


@cache
def _is_unified() -> bool:
    return (_CGROUPS / "cgroup.controllers").is_file()
