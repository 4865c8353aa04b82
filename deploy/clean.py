"""End what runs from the state folders given and remove them, with everything the native backend made for them."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from backends.native.cleanup import clean, leftovers
from sfa_am.config import CONFIG_NAME


def main(folders: list[str]) -> int:
    """Returns the exit status: 1 when something could not be removed."""
    left: list[str] = []
    for folder in map(Path, folders):
        if not folder.is_dir():
            continue
        if not (folder / CONFIG_NAME).is_file():
            left.append(f"{folder} is no state folder of ours (it has no {CONFIG_NAME}), so it is not removed")
            continue
        _stop_server(folder)
        for backend in sorted((folder / "backends").glob("*")):
            clean(backend)
            left += leftovers(backend, slivers_only=False)
        shutil.rmtree(folder)
        print(f"removed {folder}")
    for line in left:
        print(f"left: {line}", file=sys.stderr)
    return 1 if left else 0


def _stop_server(state: Path) -> None:
    """Stop the server that holds this folder's lock, if there is one."""
    lock = state / "lock"
    text = lock.read_text().strip() if lock.is_file() else ""
    if not text.isdecimal() or not _is_server(int(text)):
        return
    os.kill(int(text), signal.SIGTERM)
    for _ in range(300):
        if not _is_server(int(text)):
            return
        time.sleep(0.1)
    sys.exit(f"the server with process number {text} does not stop")


def _is_server(pid: int) -> bool:
    """Whether this process is one of our servers: numbers are used again."""
    try:
        return b"sfa-am" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
