"""A whole server as its own process, whose slivers are entries in memory: it needs no root and no containers.

with SimulatedServer(home) as server:
    server.sfi("slice", "add", "demo")
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfi_tool.folder import Folder
from sfi_tool.identity import Session
from sfi_tool.people_commands import register_record
from sfi_tool.slices import Slice

ROOT = Path(__file__).resolve().parent.parent.parent
_PLUGIN = "[sfa_am.backends]\nsimulated = backends.simulated:create\n"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class SimulatedServer:
    """`sfa-am serve` with the simulated backend, as a package of somebody else's would bring it."""

    def __init__(
        self,
        home: Path,
        *,
        authority: str = "plc",
        capacity: int = 20,
        offers: int = 1,
        delay: float = 0.0,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """capacity: slivers that each of so many offers holds; settings: as `sfa-am init --set` takes them."""
        self.home = home
        self._doors = str((settings or {}).get("server.doors", "aggregate, authority"))
        self.state = home / "state"
        self.log = home / "server.log"
        self.am_port, self.registry_port = free_port(), free_port()
        plugin = home / "plugin" / "simulated-1.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: simulated\nVersion: 1\n")
        (plugin / "entry_points.txt").write_text(_PLUGIN)
        path = os.pathsep.join([str(ROOT), str(plugin.parent)])
        self.environment = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}
        values = {"server.am_port": self.am_port, "server.registry_port": self.registry_port, **(settings or {})}
        changes = [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
        self._run("sfa_am", "--state", self.state, "init", "--authority", authority, *changes)
        settings_file = self.state / "sfa-am.toml"
        text = settings_file.read_text().replace('plugin = "native"', 'plugin = "simulated"')
        settings_file.write_text(
            text.replace("settings = {}", f"settings = {{capacity = {capacity}, offers = {offers}, delay = {delay}}}")
        )
        self._sessions: dict[str, Session] = {}

    def __enter__(self) -> "SimulatedServer":
        command = self._command("sfa_am", "--state", self.state, "serve")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        try:
            ports = {"aggregate": self.am_port, "authority": self.registry_port}
            self.wait_for(lambda: all(_is_listening(port) for door, port in ports.items() if door in self._doors))
            if "aggregate" in self._doors:
                self.wait_for(lambda: "backend started" in self.log.read_text())
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)

    @property
    def operator(self) -> Path:
        return self.state / "operator"

    def sfa_am(self, *arguments: str | Path) -> str:
        """What it printed; it must have succeeded."""
        return self._run("sfa_am", "--state", self.state, *arguments)

    def sfa_am_refuses(self, *arguments: str | Path) -> str:
        """What it said against it."""
        done = self._try("sfa_am", "--state", self.state, *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    def sfi(self, *arguments: str | Path, folder: Path | None = None) -> str:
        """What it printed; it must have succeeded."""
        return self._run("sfi_tool", "-d", folder or self.operator, *arguments)

    def session(self, name: str = "operator") -> Session:
        """A user's folder with its connections, opened once."""
        if name not in self._sessions:
            folder = self.operator if name == "operator" else self.home / name
            if not folder.is_dir():
                self.sfi("user", "add", name, "--email", f"{name}@example.org", "--out", folder)
            self._sessions[name] = Session(Folder.open(folder))
        return self._sessions[name]

    def slice(self, name: str, member: str = "operator") -> Slice:
        """A new slice; its member is registered if need be."""
        session = self.session(member)
        record = {"hrn": f"plc.{name}", "type": "slice", "reg-researchers": [session.folder.user]}
        register_record(self.session(), record)
        return Slice(session, name)

    def status(self) -> Any:
        """What there is, what is given out, as the operator sees it."""
        return json.loads(self._run("sfa_am", "--state", self.state, "status", "--json"))

    def memory_kib(self) -> int:
        """Resident memory of the server."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def open_files(self) -> int:
        """Files and connections that the server holds open."""
        return len(list(Path(f"/proc/{self._process.pid}/fd").iterdir()))

    def _run(self, package: str, *arguments: str | Path) -> str:
        done = self._try(package, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _try(self, package: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(package, *arguments),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=60,
        )

    @staticmethod
    def _command(package: str, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-c", f"from {package}.cli import run; run()", *map(str, arguments)]

    def wait_for(self, condition, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)


def _is_listening(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
