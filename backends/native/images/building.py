"""Making an image from a recipe: Debian's packages by mmdebstrap, the recipe's own files, a disk of them.

Nothing is mounted for it, and nothing of it needs a network but Debian's packages.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from backends.native.images.recipes import LEFT_OUT, Recipe
from backends.protocol import Form, Unavailable

_TIMEOUT = 900
_DISK_MIB = 2048
"""Size of a disk image; what is made of it may be larger, not smaller."""


def container(recipe: Recipe, folder: Path) -> None:
    """Files in `folder`/rootfs. Raises Unavailable."""
    rootfs = folder / "rootfs"
    _bootstrap(recipe, rootfs)
    _finish(recipe, rootfs)


def disk(recipe: Recipe, folder: Path) -> None:
    """A disk with one file system and no partitions in `folder`, with its kernel beside it. Raises Unavailable."""
    rootfs, raw = folder / "rootfs", folder / "disk.raw"
    container(recipe, folder)
    for kind, name in (("vmlinuz", "kernel"), ("initrd.img", "initrd")):
        newest = max(rootfs.glob(f"boot/{kind}-*"))
        shutil.copyfile(newest, folder / name)
        (folder / name).chmod(0o644)
    _run("mke2fs", "-q", "-t", "ext4", "-L", "sliver", "-d", str(rootfs), str(raw), f"{_DISK_MIB}M")
    _run("qemu-img", "convert", "-O", "qcow2", str(raw), str(folder / "disk.qcow2"))
    raw.unlink()
    shutil.rmtree(rootfs)


BUILDERS: Mapping[Form, Callable[[Recipe, Path], None]] = {Form.CONTAINER: container, Form.VM: disk}


def _bootstrap(recipe: Recipe, rootfs: Path) -> None:
    commands = ['--customize-hook=chroot "$1" sh -ec "$COMMANDS"'] if recipe.commands else []
    _run(
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(recipe.packages)}",
        "--aptopt=Acquire::Languages none",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        *commands,
        recipe.suite,
        str(rootfs),
        environment={"COMMANDS": recipe.commands},
    )


def _finish(recipe: Recipe, rootfs: Path) -> None:
    for pattern in recipe.removed:
        for path in rootfs.glob(pattern):
            path.unlink()
    for name, content in recipe.files.items():
        path = rootfs / name
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)
        path.write_text(content)
        path.chmod(recipe.modes.get(name, 0o644))
    for name, target in recipe.links.items():
        (rootfs / name).unlink(missing_ok=True)
        (rootfs / name).symlink_to(target)


def _run(program: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as e:
        raise Unavailable(f"images are built with {program}, which is not installed; see `sfa-am doctor`") from e
    except subprocess.TimeoutExpired as e:
        raise Unavailable(f"building an image took more than {_TIMEOUT} seconds") from e
    if done.returncode != 0:
        problem = Unavailable("an image could not be built; the log of the node says why")
        problem.add_note(done.stderr.strip()[-4000:])
        raise problem
