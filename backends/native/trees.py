"""Deleting what researchers have written: as deep as they liked, named as they liked, linked to wherever they liked."""

import subprocess
from pathlib import Path

from backends.protocol import Unavailable

_TIMEOUT = 600


def delete_tree(path: Path) -> None:
    """Delete a directory with everything in it; absent is fine. Raises Unavailable when something stays.

    By `rm`, which follows no links, crosses into no mounted file system, and goes down without limit: Python's own
    would give up at a thousand directories, and a researcher could keep a sliver from ever being removed.
    """
    command = ["rm", "-rf", "--one-file-system", "--", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode != 0 or path.exists():
        problem = Unavailable("a disk could not be deleted; it will be tried again")
        problem.add_note(done.stderr.strip()[-2000:])
        raise problem
