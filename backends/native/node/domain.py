"""One virtual machine as the hypervisor has it: starting and stopping it, speaking with its agent. The only module that
knows libvirt.

Domains are transient: one that has ended is gone, and what should run is for our own records to say. They outlive the
hypervisor's daemon and us.
"""

import base64
import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring, tostring

import libvirt
import libvirt_qemu

from backends.protocol import BackendError, Unavailable

URI = "qemu:///system"
_PROCESSES = Path("/run/libvirt/qemu")
_GRACE = 10
"""Seconds a machine gets to shut down by itself."""
_SCRIPT_TIMEOUT = 60
_PAUSE = 0.1

_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)
_NO_AGENT = (
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    libvirt.VIR_ERR_AGENT_UNSYNCED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_OPERATION_INVALID,
)

libvirt.registerErrorHandler(lambda _, error: None, None)  # it would print what we raise


class Hypervisor:
    """The connection to this host's hypervisor, made when it is needed and again when it was lost. Thread-safe."""

    def __init__(self) -> None:
        self._connection: libvirt.virConnect | None = None
        self._lock = threading.Lock()

    def connection(self) -> "libvirt.virConnect":
        """Raises Unavailable when nobody answers."""
        with self._lock:
            if self._connection is None or not self._connection.isAlive():
                try:
                    self._connection = libvirt.open(URI)
                except libvirt.libvirtError as e:
                    raise _failed(Unavailable("virtual machines can't be changed here now; try again later"), e) from e
            return self._connection

    def close(self) -> None:
        """Machines stay."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class Domain:
    """A virtual machine by its name."""

    def __init__(self, name: str, hypervisor: Hypervisor) -> None:
        self._name = name
        self._hypervisor = hypervisor

    def first_process(self) -> int:
        """The process that emulates it; 0 when there is none. Asks nobody, so it is known without the daemon, too."""
        try:
            pid = int((_PROCESSES / f"{self._name}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return 0
        return pid if f"guest={self._name}".encode() in (part.split(b",")[0] for part in command) else 0

    def start(self, description: str) -> None:
        """Start it by its XML. Raises BackendError, Unavailable."""
        try:
            self._wait_until_forgotten()
            self._hypervisor.connection().createXML(description, 0)
        except libvirt.libvirtError as e:
            raise _failed(BackendError("the machine could not be started"), e) from e

    def stop(self, *, gracefully: bool) -> None:
        """Stop it, after asking it to shut down by itself if wanted; nothing happens when it is not there."""
        try:
            domain = self._hypervisor.connection().lookupByName(self._name)
            if gracefully and self._has_shut_down(domain):
                return
            domain.destroy()
        except libvirt.libvirtError as e:
            if e.get_error_code() not in _GONE:
                raise _failed(BackendError("the machine could not be stopped"), e) from e

    def run(self, script: str) -> bool:
        """Have its agent run a shell script. False when none answers. Raises BackendError when the script fails."""
        try:
            domain = self._hypervisor.connection().lookupByName(self._name)
            wish = {
                "path": "/bin/sh",
                "arg": ["-s"],
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                "input-data": base64.b64encode(script.encode()).decode(),
                "capture-output": True,
            }
            pid = self._agent(domain, "guest-exec", wish)["pid"]
            deadline = time.monotonic() + _SCRIPT_TIMEOUT
            while time.monotonic() < deadline:
                status = self._agent(domain, "guest-exec-status", {"pid": pid})
                if status["exited"]:
                    break
                time.sleep(_PAUSE)
            else:
                raise BackendError("the machine did not answer in time")
        except libvirt.libvirtError as e:
            if e.get_error_code() in _NO_AGENT:
                return False
            raise _failed(BackendError("the machine could not be changed"), e) from e
        if status.get("exitcode") != 0:
            problem = BackendError("the machine could not be changed")
            problem.add_note(base64.b64decode(status.get("err-data", "")).decode("utf-8", "replace")[-2000:])
            raise problem
        return True

    def plug(self, device: str) -> None:
        """Give it a device by its XML, while it runs. Raises BackendError, Unavailable."""
        try:
            domain = self._hypervisor.connection().lookupByName(self._name)
            domain.attachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as e:
            raise _failed(BackendError("the machine takes no more interfaces while it runs; restart it"), e) from e

    def unplug(self, mac: str) -> None:
        """Take from it the interface with a hardware address; absent is fine. Raises BackendError, Unavailable."""
        try:
            domain = self._hypervisor.connection().lookupByName(self._name)
            deadline = time.monotonic() + _GRACE
            while (device := _interface(domain, mac)) is not None:
                if time.monotonic() > deadline:
                    raise BackendError("the machine does not let go of an interface; restart it")
                # Asked again: what runs in it may not have listened yet.
                with contextlib.suppress(libvirt.libvirtError):
                    domain.detachDeviceFlags(device, libvirt.VIR_DOMAIN_AFFECT_LIVE)
                time.sleep(_PAUSE)
        except libvirt.libvirtError as e:
            if e.get_error_code() not in _GONE:
                raise _failed(BackendError("the machine could not be changed"), e) from e

    def suspend(self) -> None:
        """Have it stand still, with all that it has written on its disk. Raises BackendError."""
        try:
            self._hypervisor.connection().lookupByName(self._name).suspend()
        except libvirt.libvirtError as e:
            if e.get_error_code() not in _GONE:
                raise _failed(BackendError("the machine could not be held"), e) from e

    def resume(self) -> None:
        """Let it go on; nothing happens when it does, or is gone. Raises BackendError."""
        try:
            domain = self._hypervisor.connection().lookupByName(self._name)
            if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                domain.resume()
        except libvirt.libvirtError as e:
            if e.get_error_code() not in _GONE:
                raise _failed(BackendError("the machine could not go on"), e) from e

    def _has_shut_down(self, domain: "libvirt.virDomain") -> bool:
        try:
            domain.shutdown()
        except libvirt.libvirtError as e:
            return e.get_error_code() in _GONE
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline:
            if self.first_process() <= 0:
                return True
            time.sleep(_PAUSE)
        return False

    def _wait_until_forgotten(self) -> None:
        """The daemon still knows a machine for a moment after its process has ended."""
        deadline = time.monotonic() + _GRACE
        while time.monotonic() < deadline and self.first_process() <= 0:
            try:
                self._hypervisor.connection().lookupByName(self._name)
            except libvirt.libvirtError as e:
                if e.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return
                raise
            time.sleep(_PAUSE)

    def _agent(self, domain: "libvirt.virDomain", command: str, arguments: dict[str, object]) -> dict[str, Any]:
        said = libvirt_qemu.qemuAgentCommand(
            domain, json.dumps({"execute": command, "arguments": arguments}), _SCRIPT_TIMEOUT, 0
        )
        answer: dict[str, Any] = json.loads(said)["return"]
        return answer


def _interface(domain: "libvirt.virDomain", mac: str) -> str | None:
    """The XML of a machine's interface, by its hardware address."""
    described = fromstring(domain.XMLDesc())  # noqa: S314 - the hypervisor's own
    for found in described.iterfind("devices/interface"):
        address = found.find("mac")
        if address is not None and address.get("address") == mac:
            return tostring(found, encoding="unicode")
    return None


def names_beginning(prefix: str) -> list[str]:
    """The virtual machines of this host whose names begin so; none where there is no hypervisor."""
    return sorted(path.stem for path in _PROCESSES.glob(f"{prefix}*.pid")) if _PROCESSES.is_dir() else []


def _failed(problem: BackendError, e: "libvirt.libvirtError") -> BackendError:
    problem.add_note(str(e))
    return problem
