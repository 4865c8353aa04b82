"""The main job, once, with the real parts: from nothing to two containers one can log in to, and back to nothing.

Uses the installed programs `sfa-am` and `sfi` as a person would, and checks what they promise; exit status 0 only if
all of it held. With KEEP=1 in the environment the server and the slice stay, and the commands to go on are printed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from backends.native.cleanup import clean, leftovers
from rspec import read_manifest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
HOME = ROOT / ".cache" / "demo"
STATE = HOME / "state"
BACKEND = STATE / "backends" / "local"
ALICE = HOME / "alice"
IMAGES = ROOT / ".cache" / "images"
LEFT, RIGHT, PEER = "left", "right", "10.0.1.2"
SERVER_START_TIMEOUT = 60


class Failed(Exception):
    """A step did not do what it should."""


class Steps:
    """What was done and how long it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[tuple[str, str]] = []

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """Time a step and say that it is done."""
        begin = time.monotonic()
        yield
        took = f"{time.monotonic() - begin:.2f} s"
        self._rows.append((words, took))
        self._console.print(f"[green]ok[/]  {words}  [dim]{took}[/]", highlight=False)

    def note(self, words: str, seconds: float) -> None:
        """A time that spans several steps."""
        self._rows.append((words, f"{seconds:.2f} s"))

    def table(self) -> None:
        """Print all steps."""
        table = Table("step", "time", box=box.SIMPLE_HEAD, pad_edge=False)
        for words, took in self._rows:
            table.add_row(words, took)
        self._console.print(table)


def run(*command: str | Path, folder: Path | None = None) -> str:
    """Run a program and return what it printed. Raises Failed with what it said."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    if folder is not None:
        environment["SFI_DIR"] = str(folder)
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=600, check=False)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(words)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def sfi(folder: Path, *arguments: str | Path) -> str:
    """Run `sfi` as the owner of a folder."""
    return run(PROGRAMS / "sfi", *arguments, folder=folder)


def sfa_am(*arguments: str | Path) -> str:
    """Run `sfa-am` on the demo's state."""
    return run(PROGRAMS / "sfa-am", "--state", STATE, *arguments)


def found() -> tuple[int, int]:
    """Make a new installation. Returns the ports of the registry and the aggregate."""
    registry, aggregate = free_port(), free_port()
    sfa_am(
        "init",
        "--set",
        f"server.registry_port={registry}",
        "--set",
        f"server.am_port={aggregate}",
        "--set",
        f'backend.image_folder="{IMAGES}"',
        "--set",
        "backend.first_port=23000",
        "--set",
        'backend.control_network="100.65.0.0/24"',
    )
    return registry, aggregate


def serve(port: int) -> subprocess.Popen[bytes]:
    """Start the server and wait until it has something to offer."""
    with (HOME / "server.log").open("wb") as log:
        command = [PROGRAMS / "sfa-am", "--state", STATE, "serve"]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + SERVER_START_TIMEOUT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        if answers(port) and any(offer["up"] for offer in json.loads(sfa_am("status", "--json"))["offers"]):
            return server
        time.sleep(0.1)
    raise Failed(f"the server did not start:\n{(HOME / 'server.log').read_text()[-3000:]}")


def wait_for_ssh(manifest: str) -> None:
    """Until both machines greet as SSH servers."""
    logins = [node.logins[0] for node in read_manifest(manifest).nodes]
    if len(logins) != 2:
        raise Failed("the manifest has no login for each of two nodes")
    for login in logins:
        with socket.create_connection((login.hostname, login.port), timeout=10) as connection:
            if not connection.recv(8).startswith(b"SSH-"):
                raise Failed(f"port {login.port} does not greet as SSH")


def expect(output: str, *wanted: str) -> None:
    """Raises Failed when something is not in a program's output."""
    for words in wanted:
        if words not in output:
            raise Failed(f"{words!r} is not in:\n{output}")


def wait_until_gone() -> None:
    """Until nothing of the slice is left on this host."""
    deadline = time.monotonic() + 20
    while found_things := leftovers(BACKEND, slivers_only=True):
        if time.monotonic() > deadline:
            raise Failed("left on this host:\n" + "\n".join(found_things))
        time.sleep(0.05)


def demonstrate(steps: Steps, console: Console, keep: bool, undo: ExitStack) -> None:
    """The walk. Raises Failed."""
    with steps.step("built the disk image (cached after the first time)"):
        build = "import sys; from backends.native.images.__main__ import main; sys.exit(main(sys.argv[1:]))"
        run(sys.executable, "-c", build, IMAGES)
    with steps.step("founded an authority with its certificates"):
        _, aggregate = found()
    with steps.step("started aggregate manager, registry and backend in one process"):
        server = serve(aggregate)
        undo.callback(stop, server)
    with steps.step("sfi user add alice: registered, with certificate and key"):
        sfi(STATE / "operator", "user", "add", "alice", "--email", "alice@example.org", "--out", ALICE)
    with steps.step("sfi slice add demo"):
        sfi(STATE / "operator", "slice", "add", "demo", "--member", "alice")
    request = HOME / "request.xml"
    request.write_text(sfi(ALICE, "rspec"))
    begin = time.monotonic()
    with steps.step("sfi create demo: allocated, provisioned, geni_ready"):
        console.print(sfi(ALICE, "create", "demo", request), highlight=False)
    with steps.step("sfi describe demo: the manifest"):
        manifest = sfi(ALICE, "describe", "demo")
    wait_for_ssh(manifest)
    steps.note("-- from Allocate until both answer SSH, all together", time.monotonic() - begin)
    for node in (LEFT, RIGHT):
        with steps.step(f"logged in to {node} over SSH"):
            expect(sfi(ALICE, "ssh", "demo", node, "hostname; sudo id -u"), f"{node}\n0\n")
    with steps.step(f"pinged {RIGHT} from {LEFT} across the link"):
        expect(sfi(ALICE, "ssh", "demo", LEFT, f"ping -c 2 -i 0.2 {PEER}"), "2 received, 0% packet loss")
    console.print(f"\n[bold]The manifest[/]\n{manifest}", highlight=False, soft_wrap=True, markup=True)
    if keep:
        return
    with steps.step("sfi delete demo"):
        sfi(ALICE, "delete", "demo")
    with steps.step("nothing of the slice is left: container, mount, bridge, veth, rule, cgroup, file"):
        wait_until_gone()


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server as an operator would."""
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def tidy() -> None:
    """Remove what an earlier demo left, and at the end this one."""
    if HOME.is_dir():
        if (STATE / "sfa-am.toml").is_file():
            run(sys.executable, ROOT / "deploy" / "clean.py", STATE)
        if BACKEND.is_dir():
            clean(BACKEND)
        shutil.rmtree(HOME)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this host."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """Returns the exit status."""
    console = Console()
    keep = os.environ.get("KEEP", "") not in ("", "0")
    if os.geteuid() != 0:
        console.print("The demo makes containers, which needs root.")
        return 1
    tidy()
    HOME.mkdir(parents=True, mode=0o700)
    steps = Steps(console)
    begin = time.monotonic()
    try:
        with ExitStack() as undo:
            demonstrate(steps, console, keep, undo)
            if keep:
                undo.pop_all()
    except Failed as e:
        console.print(f"[red bold]FAILED[/] {e}", highlight=False)
        log = HOME / "server.log"
        console.print(f"[dim]{log.read_text()[-4000:] if log.is_file() else ''}[/]", highlight=False, markup=False)
        tidy()
        return 1
    steps.note("-- the whole demo", time.monotonic() - begin)
    steps.table()
    if keep:
        console.print("[bold]It goes on running.[/] Try:", highlight=False)
        for command in ("status demo", "ssh demo left", "action demo restart left", "renew demo +1d", "delete demo"):
            console.print(f"  SFI_DIR={ALICE} {PROGRAMS / 'sfi'} {command}", highlight=False, soft_wrap=True)
        console.print("and `make clean` at the end.")
    else:
        tidy()
        if left := leftovers(BACKEND, slivers_only=False):
            console.print("[red bold]FAILED[/] left: " + ", ".join(left))
            return 1
        console.print("[green bold]All of it held.[/] KEEP=1 make demo leaves it running.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
