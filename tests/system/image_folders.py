"""Image folders of tests' own, which they may change."""

import subprocess
from pathlib import Path

from backends.native.images import DEBIAN_12, ImageFolder
from backends.protocol import Form


def folder_beside(images: Path, folder: Path) -> Path:
    """A new image folder of a test's own, in which the built-in images are those of all tests."""
    folder.mkdir()
    shared = ImageFolder(images)
    for form in Form:
        edition = shared.edition(DEBIAN_12.name, form)
        (folder / edition).symlink_to(images.absolute() / edition)
    return folder


def packed_rootfs(images: Path, room: Path) -> Path:
    """A tar of the built-in image's files with one more, /whose, packed as an operator would.

    room: an empty folder
    """
    shared = ImageFolder(images)
    path, note = room / "mine.tar", room / "whose"
    note.write_text("an operator's\n")
    rootfs = shared.rootfs(shared.edition(DEBIAN_12.name, Form.CONTAINER))
    subprocess.run(["tar", "--numeric-owner", "-C", rootfs, "-cf", path, "."], check=True)
    subprocess.run(["tar", "--numeric-owner", "-C", room, "-rf", path, "./whose"], check=True)
    return path
