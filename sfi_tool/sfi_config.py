"""SFAWrap's settings file `sfi_config`, in its two forms: sections, and the older shell assignments.

Read as it stands and never changed: the same folder goes on working with SFAWrap's own client.
"""

import configparser
import re
import shlex
from pathlib import Path

from sfi_tool.errors import Unreadable

NAME = "sfi_config"

_SHELL = re.compile(r"^\s*(?:export\s+)?SFI_(\w+)=(.*)$", re.MULTILINE)
_KEYS = {"user": "user", "auth": "auth", "registry": "registry", "sm": "aggregate"}
"""What they are called there, and here."""


def read(path: Path) -> dict[str, str]:
    """The settings under our names: user, auth, registry, aggregate; those that are there. Raises Unreadable."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise Unreadable(f"{path} can't be read: {e}") from e
    found = _sections(path, text) if re.search(r"^\s*\[", text, re.MULTILINE) else _assignments(path, text)
    return {ours: found[theirs] for theirs, ours in _KEYS.items() if found.get(theirs)}


def _sections(path: Path, text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as e:
        raise Unreadable(f"{path} is not as SFAWrap writes it: {' '.join(str(e).split())}") from e
    if not parser.has_section("sfi"):
        raise Unreadable(f"{path} has no section [sfi]")
    return {key: value.strip().strip("'\"") for key, value in parser.items("sfi")}


def _assignments(path: Path, text: str) -> dict[str, str]:
    found = {}
    for name, written in _SHELL.findall(text):
        try:
            words = shlex.split(written, comments=True)
        except ValueError as e:
            raise Unreadable(f"{path}: SFI_{name}: {e}") from e
        found[name.lower()] = words[0] if words else ""
    if not found:
        raise Unreadable(f"{path} holds neither a section [sfi] nor assignments such as SFI_USER='plc.site.alice'")
    return found
