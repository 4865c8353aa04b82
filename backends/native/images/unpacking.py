"""A program of its own: unpack a tar from standard input into the folder given, and say what is in it.

    python -I unpacking.py FOLDER < TAR

It makes the folder its root directory first, so that no link in the tar leads anywhere else, whatever it says and in
whatever order. Names that would lead out are refused all the same: who packs such means harm, or has made a mistake.
Owners are kept as numbers; device nodes, pipes and sockets are left out, since a container gets its own.

Prints one JSON object on success. Ends with 3 and a sentence on standard error when it refuses.
Uses nothing of this project: all it needs must be loaded before the root directory is another.
"""

import bz2  # noqa: F401 - tarfile would look for these when it needs them, in the new root directory
import gzip  # noqa: F401
import json
import lzma
import os
import stat
import sys
import tarfile
import zlib
from pathlib import Path

REFUSED = 3
_IDS = 65536
_CAPABILITIES = "security.capability"
_NEEDED = ("passwd", "shadow", "group")
_BUSYBOX = ("/bin/busybox", "/etc/inittab")


class _Refused(Exception):
    pass


def main(folder: str) -> int:
    """Returns the exit status."""
    os.umask(0o022)
    try:
        os.chroot(folder)
        os.chdir("/")
        left_out = _unpack()
        _check()
        said = {"init": _init(), "left_out": left_out}
    except _Refused as e:
        return _refuse(str(e))
    except (tarfile.ReadError, EOFError, lzma.LZMAError, zlib.error) as e:
        return _refuse(f"this is not a tar file that can be read, plain or compressed by gzip, bzip2 or xz: {e}")
    except (OSError, OverflowError, ValueError, tarfile.TarError) as e:
        return _refuse(f"it can't be unpacked: {e}")
    print(json.dumps(said))
    return 0


def _refuse(sentence: str) -> int:
    print(sentence.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
    return REFUSED


def _unpack() -> int:
    left_out = 0
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r:*") as tar:
        # Newer releases of Python would change owners and modes by themselves; what may be in it is decided here.
        tar.extraction_filter = lambda member, path: member
        tar.errorlevel = 2  # an owner that can't be given is an error, too
        for member in tar:
            _look(member)
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                left_out += 1
                continue
            path = Path("/", member.name)
            if not (member.isdir() or stat.S_ISDIR(_mode(path))):
                path.unlink(missing_ok=True)  # or it would be written through a link
            # A further name of a file has nothing of its own.
            tar.extract(member, "/", set_attrs=not member.islnk(), numeric_owner=True)
            _give_capabilities(member, path)
    return left_out


def _look(member: tarfile.TarInfo) -> None:
    names = [("name", member.name)]
    if member.islnk():
        names.append(("link", member.linkname))
    for what, name in names:
        if name.startswith("/"):
            raise _Refused(
                f"a {what} in it begins with /: {name!r}; pack with names below the root directory: tar -C ROOT ."
            )
        if ".." in name.split("/"):
            raise _Refused(f"a {what} in it leads out of it: {name!r}")
        if "\0" in name:
            raise _Refused(f"a {what} in it is none: {name!r}")
    if not (0 <= member.uid < _IDS and 0 <= member.gid < _IDS):
        raise _Refused(
            f"{member.name!r} belongs to user {member.uid} and group {member.gid}; numbers up to {_IDS - 1} are there"
        )


def _give_capabilities(member: tarfile.TarInfo, path: Path) -> None:
    """Of all extended attributes only these: others would mean something to the file systems that we put together."""
    value = member.pax_headers.get(f"SCHILY.xattr.{_CAPABILITIES}")
    if value is not None and member.isreg():
        os.setxattr(path, _CAPABILITIES, value.encode("utf-8", "surrogateescape"))


def _check() -> None:
    """Whether it is what a container needs. The files read from outside later on must be files, and not links."""
    if not stat.S_ISDIR(_mode(Path("/etc"))):
        raise _Refused(
            "there is no folder etc in it: it must hold the files of a whole system, from its root directory on"
        )
    for name in _NEEDED:
        if not stat.S_ISREG(_mode(Path("/etc", name))):
            raise _Refused(f"etc/{name} is not a file in it")
        try:
            Path("/etc", name).read_text(encoding="utf-8")
        except ValueError:
            raise _Refused(f"etc/{name} is no text in UTF-8") from None
    groups = Path("/etc/group").read_text(encoding="utf-8")
    if not any(line.startswith("sudo:") for line in groups.splitlines()):
        raise _Refused("there is no group sudo in it, to which those who log in belong: groupadd --system sudo")
    for name, why in (("/bin/sh", "a shell"), ("/usr/sbin/sshd", "OpenSSH's server, by which one logs in")):
        if not Path(name).exists():
            raise _Refused(f"{name[1:]} is not in it: {why}")


def _mode(path: Path) -> int:
    """Of what is there itself, links not followed; 0 when nothing is."""
    try:
        return path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _init() -> str:
    """What it begins with."""
    if all(Path(path).exists() for path in _BUSYBOX):
        return "/bin/busybox init"
    if Path("/sbin/init").exists():
        return "/sbin/init"
    raise _Refused("there is nothing in it to begin with: sbin/init, or bin/busybox with etc/inittab")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
