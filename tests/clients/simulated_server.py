"""A whole server as its own process, whose slivers are entries in memory: it needs no root and no containers.

with SimulatedServer(home) as server:
    server.sfi("slice", "add", "demo")
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_PLUGIN = "[sfa_am.backends]\nsimulated = backends.simulated:create\n"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class SimulatedServer:
    """`sfa-am serve` with the simulated backend, as a package of somebody else's would bring it."""

    def __init__(
        self, home: Path, *, authority: str = "plc", capacity: int = 20, delay: float = 0.0, **more: str
    ) -> None:
        """more: settings, as `section__key="value in TOML"`."""
        self.state = home / "state"
        self.log = home / "server.log"
        self.am_port, self.registry_port = free_port(), free_port()
        plugin = home / "plugin" / "simulated-1.dist-info"
        plugin.mkdir(parents=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: simulated\nVersion: 1\n")
        (plugin / "entry_points.txt").write_text(_PLUGIN)
        path = os.pathsep.join([str(ROOT), str(plugin.parent)])
        self.environment = {**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"}
        settings = (
            f"server.am_port={self.am_port}",
            f"server.registry_port={self.registry_port}",
            *(f"{key.replace('__', '.')}={value}" for key, value in more.items()),
        )
        changes = [part for setting in settings for part in ("--set", setting)]
        self._run("sfa_am", "--state", self.state, "init", "--authority", authority, *changes)
        settings_file = self.state / "sfa-am.toml"
        text = settings_file.read_text().replace('plugin = "native"', 'plugin = "simulated"')
        settings_file.write_text(
            text.replace("settings = {}", f"settings = {{capacity = {capacity}, delay = {delay}}}")
        )

    def __enter__(self) -> "SimulatedServer":
        command = self._command("sfa_am", "--state", self.state, "serve")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        self.wait_for(lambda: all(map(_is_listening, (self.am_port, self.registry_port))))
        self.wait_for(lambda: "backend started" in self.log.read_text())
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
