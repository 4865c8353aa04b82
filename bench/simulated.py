"""A server of its own process whose slivers are entries in memory: for what is measured or tried without a host.

The plugin `simulated` is no part of an installation; it is put beside it here, as a third party's package would be.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.server import PROGRAMS, ROOT, free_port, wait_for_port
from sfi_tool.aggregate_commands import Slice
from sfi_tool.folder import Folder
from sfi_tool.identity import Session

_PLUGIN = "[sfa_am.backends]\nsimulated = backends.simulated:create\n"


class SimulatedServer:
    """`sfa-am serve` on the loopback, with an operator's session; a context. Needs no root."""

    def __init__(
        self, home: Path, *, settings: Mapping[str, str] | None = None, backend: Mapping[str, object] | None = None
    ) -> None:
        """home: an empty folder; settings: as `sfa-am init --set` takes them; backend: those of the backend."""
        self.home = home
        self.state = home / "state"
        self.log = home / "server.log"
        self.am_port, self.registry_port = free_port(), free_port()
        self._settings = {
            "server.am_port": str(self.am_port),
            "server.registry_port": str(self.registry_port),
            **(settings or {}),
        }
        plugin = home / "plugins" / "simulated-0.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: simulated\nVersion: 0\n")
        (plugin / "entry_points.txt").write_text(_PLUGIN)
        found = [str(ROOT), str(plugin.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        chosen = [{"name": "memory", "plugin": "simulated", "settings": dict(backend or {})}]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(found),
            "SFA_AM_BACKEND": json.dumps(chosen),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._sessions: dict[str, Session] = {}

    def __enter__(self) -> "SimulatedServer":
        changes = [part for key, value in self._settings.items() for part in ("--set", f"{key}={value}")]
        self.sfa_am("init", "--authority", "plc", *changes)
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *wrapped_in: str) -> None:
        """Serve, and wait until there is something to give out. wrapped_in: a program and its arguments, a profiler."""
        program = [*wrapped_in, str(PROGRAMS / "sfa-am")]
        with self.log.open("ab") as log:
            command = [*program, "--state", self.state, "serve"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)
        wait_for_port(self.am_port)
        deadline = time.monotonic() + 60
        while not any(offer["up"] for offer in self.status()["offers"]):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it as an operator would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=60)

    def url(self, version: int = 3) -> str:
        """Where a version of the AM API is spoken."""
        return f"https://localhost:{self.am_port}/am/{version}"

    def folder(self, name: str = "operator") -> Path:
        """The folder a user works from."""
        return (self.state if name == "operator" else self.home) / name

    def session(self, name: str = "operator") -> Session:
        """A user's session, open once."""
        if name not in self._sessions:
            self._sessions[name] = Session(Folder.open(self.folder(name)))
        return self._sessions[name]

    def add_user(self, name: str) -> Session:
        """Register somebody."""
        self._sfi("user", "add", name, "--email", f"{name}@example.org", "--out", self.folder(name))
        return self.session(name)

    def add_slice(self, name: str, member: str = "") -> Slice:
        """A new slice, of the operator or of a member."""
        self._sfi("slice", "add", name, *(["--member", member] if member else []))
        return Slice(self.session(member or "operator"), name)

    def sfa_am(self, *arguments: str) -> str:
        """What the server's command prints."""
        return self._run(PROGRAMS / "sfa-am", "--state", self.state, *arguments)

    def status(self) -> Any:
        """What there is and what is given out."""
        return json.loads(self.sfa_am("status", "--json"))

    def memory_kib(self) -> int:
        """Resident memory of the server."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def open_files(self) -> int:
        """Files and connections that the server has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _sfi(self, *arguments: str | Path) -> None:
        self._run(PROGRAMS / "sfi", "-d", self.folder(), *arguments)

    def _run(self, *command: str | Path) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=self._environment)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
        return done.stdout
