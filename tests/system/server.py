"""A whole server as its own process, with the native backend, and a client's view of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from system.place import Place

from backends.native.cleanup import clean, leftovers
from sfi_tool.aggregate_commands import RSPEC_VERSION, Slice
from sfi_tool.folder import Folder
from sfi_tool.identity import Session

PROGRAMS = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class RunningServer:
    """`sfa-am serve` on a state folder of its own.

    run_by: a command before all of its commands, which sees to their surroundings
    """

    def __init__(self, home: Path, images: Path, *, run_by: Sequence[str | Path] = (), **settings: str) -> None:
        self._run_by = run_by
        self.state = home / "state"
        self.am_port, self.registry_port = free_port(), free_port()
        self.place = Place.take()
        values = {
            "server.am_port": str(self.am_port),
            "server.registry_port": str(self.registry_port),
            "backend.image_folder": f'"{images}"',
            "backend.first_port": str(self.place.first_port),
            "backend.first_door": str(self.place.first_door),
            "backend.doors": "50",
            "backend.control_network": f'"{self.place.control_network}"',
            "log.format": '"json"',
            **settings,
        }
        changes = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        self.sfa_am("init", "--authority", "plc", *changes)
        self.log = home / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def backend(self) -> Path:
        return self.state / "backends" / "local"

    def sfa_am(self, *arguments: str) -> str:
        command = [*self._run_by, PROGRAMS / "sfa-am", "--state", self.state, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sfa_am_exits(self, status: int, *arguments: str) -> str:
        command = [PROGRAMS / "sfa-am", "--state", self.state, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def sfa_am_fails(self, *arguments: str) -> str:
        command = [*self._run_by, PROGRAMS / "sfa-am", "--state", self.state, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def start(self, *, until: str = "backend started") -> None:
        """Run it, until it listens and has logged that."""
        with self.log.open("ab") as log:
            command = [*self._run_by, PROGRAMS / "sfa-am", "--state", self.state, "serve"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            self.wait_for(lambda: f'"{until}' in self.log.read_text() and self.is_listening())
        except AssertionError as e:
            raise AssertionError(f"it did not start:\n{self.log.read_text()[-4000:]}") from e

    def is_listening(self) -> bool:
        with socket.socket() as trial:
            return trial.connect_ex(("127.0.0.1", self.am_port)) == 0

    def remove(self) -> None:
        """End it and remove what it has made on this host, the slivers too."""
        self.stop()
        clean(self.backend)
        self.place.leave()

    def kill(self) -> None:
        """As the kernel would: no goodbye."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.write_text("")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=30)
            finally:
                self.process.kill()

    def session(self, name: str = "operator") -> Session:
        return Session(Folder.open(self.state / "operator" if name == "operator" else self.state.parent / name))

    def sfi(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        folder = self.state / "operator" if name == "operator" else self.state.parent / name
        command = [PROGRAMS / "sfi", "-d", folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    def add_user(self, name: str) -> Session:
        out = self.state.parent / name
        done = self.sfi("operator", "user", "add", name, "--email", f"{name}@example.org", "--out", out)
        assert done.returncode == 0, done.stderr
        return self.session(name)

    def add_slice(self, name: str, member: str) -> Slice:
        done = self.sfi("operator", "slice", "add", name, "--member", member)
        assert done.returncode == 0, done.stderr
        return Slice(self.session(member), name)

    def status(self) -> Any:
        return json.loads(self.sfa_am("status", "--json"))

    def left(self) -> list[str]:
        return leftovers(self.backend, slivers_only=True)

    def used(self) -> int:
        return sum(offer["used"].get("slivers", 0) for offer in self.status()["offers"])

    @staticmethod
    def wait_for(condition, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)


def allocate(slice_: Slice, request: str) -> Any:
    return slice_.session.aggregate.call_am("Allocate", slice_.urn, slice_.credentials, request, {})


def provision(slice_: Slice) -> Any:
    return slice_.call("Provision", {"geni_rspec_version": RSPEC_VERSION, "geni_users": slice_.users()})


def states(slice_: Slice) -> dict[str, str]:
    """Operational states by sliver URN."""
    return {s["geni_sliver_urn"]: s["geni_operational_status"] for s in slice_.call("Status", {})["geni_slivers"]}
