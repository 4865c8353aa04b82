"""A server of its own for measuring, and a client of it that adds as little as it can."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from backends.native.cleanup import clean, leftovers
from sfi_tool.aggregate_commands import RSPEC_VERSION, Slice
from sfi_tool.folder import Folder
from sfi_tool.identity import Session

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / ".cache" / "images"
HOME = ROOT / ".cache" / "bench"
PROGRAMS = Path(sys.executable).parent
_POLL = 0.01


class BenchServer:
    """`sfa-am serve` with an operator's session; a context."""

    def __init__(self) -> None:
        self.state = HOME / "state"
        self.am_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._slices: set[str] = set()

    def __enter__(self) -> "BenchServer":
        self._tidy()
        HOME.mkdir(parents=True)
        settings = (
            f"server.am_port={self.am_port}",
            f"server.registry_port={free_port()}",
            f'backend.image_folder="{IMAGES}"',
            "backend.first_port=27000",
            'backend.control_network="100.70.0.0/22"',
            "backend.memory_mib=200000",  # more than there is: idle containers take some megabytes each
            "backend.cpus=200",
            "backend.disk_mib=2000000",
            "log.level=warning",
        )
        changes = [part for setting in settings for part in ("--set", setting)]
        self._sfa_am("init", *changes)
        self._process = subprocess.Popen([PROGRAMS / "sfa-am", "--state", self.state, "serve"])
        wait_for_port(self.am_port)
        while not any(offer["up"] for offer in self._status()["offers"]):
            time.sleep(0.1)
        self.session = Session(Folder.open(self.state / "operator"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
        self._tidy()

    def slice(self, name: str) -> Slice:
        """A slice of the operator's, made when it is not there."""
        if name not in self._slices:
            command = [PROGRAMS / "sfi", "-d", self.state / "operator", "slice", "add", name]
            subprocess.run(command, check=True, capture_output=True)
            self._slices.add(name)
        return Slice(self.session, name)

    def allocate(self, slice_: Slice, nodes: int) -> None:
        """Reserve so many containers."""
        elements = "".join(f'<node client_id="n{number}"/>' for number in range(nodes))
        request = f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{elements}</rspec>'
        self.session.aggregate.call_am("Allocate", slice_.urn, slice_.credentials, request, {})

    def provision(self, slice_: Slice, users: list[dict[str, Any]]) -> None:
        """Have them made. `users`: as `Slice.users` gives them; asking the registry is not part of what is measured."""
        slice_.call("Provision", {"geni_rspec_version": RSPEC_VERSION, "geni_users": users})

    def wait_until_ready(self, slice_: Slice) -> None:
        """Until all are geni_ready. Looks the more rarely the more there are, as looking takes time from the server."""
        while True:
            slivers = slice_.call("Status", {})["geni_slivers"]
            states = {sliver["geni_operational_status"] for sliver in slivers}
            if states == {"geni_ready"}:
                return
            if "geni_failed" in states:
                raise RuntimeError("a sliver failed")
            time.sleep(max(_POLL, len(slivers) / 1000))

    def wait_until_empty(self) -> None:
        """Until nothing is left of any slice."""
        backend = self.state / "backends" / "local"
        while any((backend / "slivers").iterdir()):  # what goes last; looking at the rest takes time from the server
            time.sleep(_POLL)
        while leftovers(backend, slivers_only=True):
            time.sleep(_POLL)

    def _sfa_am(self, *arguments: str) -> str:
        command = [PROGRAMS / "sfa-am", "--state", self.state, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def _status(self) -> Any:
        return json.loads(self._sfa_am("status", "--json"))

    def _tidy(self) -> None:
        if (self.state / "backends" / "local").is_dir():
            clean(self.state / "backends" / "local")
        shutil.rmtree(HOME, ignore_errors=True)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")
