"""The tutorial's commands work, in their order, as they stand there."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from system.server import PROGRAMS, RunningServer, free_port

from backends.native.cleanup import clean, leftovers

pytestmark = [pytest.mark.needs("root", "lxc"), pytest.mark.timeout(180)]

SKIPPED = ("make ", "export PATH")
"""What setting up this very checkout has done already."""


def test_the_first_slice(repo_root, images, place):
    page = (repo_root / "docs" / "tutorial" / "first-slice.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    commands = [command for command in commands if not command.startswith(SKIPPED)]
    assert len(commands) == 18
    home = Path(tempfile.mkdtemp(prefix="sfa-am-tutorial-"))
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    server = None
    try:
        for command in commands:
            if command.startswith("export "):
                name, _, value = command.removeprefix("export ").partition("=")
                environment[name] = value
            elif command.endswith(" serve"):
                with (home / "log").open("wb") as log:
                    server = subprocess.Popen(command.split(), cwd=home, env=environment, stdout=log, stderr=log)
                RunningServer.wait_for(lambda: "backend started" in (home / "log").read_text())
            else:
                if " init " in command:  # the one thing that tests need otherwise: ports and an image that is built
                    command += f" --set server.am_port={free_port()} --set server.registry_port={free_port()}"
                    command += f" --set 'backend.image_folder=\"{images}\"' --set backend.first_port={place.first_port}"
                    command += f" --set 'backend.control_network=\"{place.control_network}\"'"
                done = subprocess.run(
                    command,
                    shell=True,
                    cwd=home,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=90,
                    check=False,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=30)
        backend = home / "state" / "backends" / "local"
        if backend.is_dir():
            clean(backend)
            left = leftovers(backend, slivers_only=False)
        shutil.rmtree(home)
    assert left == []
