"""The folder a user works from: who they are, where the servers are, keys, certificates, credentials fetched."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sfi_tool import sfi_config
from sfi_tool.errors import Unreadable

CONFIG = "sfi.toml"
DEFAULT = Path("~/.sfi")
ROOTS = "roots.pem"

_NEEDED = ("user", "registry", "aggregate", "key", "gid", "roots")
_LAST_DOT = re.compile(r"(?<!\\)\.(?=(?:[^.\\]|\\.)*$)")
"""Before the last label of an HRN: dots within a label have a backslash before them."""


def default_path() -> Path:
    """The folder that nobody named: where one stands, if SFAWrap's settings are there, as its own client has it."""
    return Path() if Path(sfi_config.NAME).is_file() else DEFAULT


@dataclass(frozen=True)
class Folder:
    """What the settings say, with paths made absolute.

    user: HRN.  key, gid, roots: PEM files; the GID with its chain
    auth: HRN of the authority in whose name things are done, where it isn't the one above the user
    has_sfa_names: whether keys and credentials have the file names of SFAWrap
    source: the settings file; None when all was said on the command line
    """

    path: Path
    user: str
    registry: str
    aggregate: str
    key: Path
    gid: Path
    roots: Path
    auth: str = ""
    has_sfa_names: bool = False
    source: Path | None = None

    @classmethod
    def open(cls, path: Path, overrides: Mapping[str, str] | None = None) -> "Folder":
        """Read a folder: `sfi.toml`, or else SFAWrap's `sfi_config`.

        overrides: values of user, auth, registry, aggregate that count instead
        Raises Unreadable that says how to make one.
        """
        path, given = path.expanduser(), dict(overrides or {})
        if (path / CONFIG).is_file():
            return _of_toml(path, given)
        if (path / sfi_config.NAME).is_file():
            source, values = path / sfi_config.NAME, sfi_config.read(path / sfi_config.NAME)
        else:
            source, values = None, {}
        values |= given
        missing = [key for key in ("user", "registry", "aggregate") if key not in values]
        if source is None and missing:
            raise Unreadable(
                f"{path / CONFIG} is not there: name your folder with -d DIR or SFI_DIR. A PI makes "
                f"one with `sfi user add`, the server's operator has one in its state folder. SFAWrap's "
                f"{sfi_config.NAME} is read as well, and -u, -r and -s together do without a file"
            )
        if missing:
            names = {"user": "user (or -u)", "registry": "registry (or -r)", "aggregate": "sm (or -s)"}
            raise Unreadable(f"{source}: lacks {', '.join(names[key] for key in missing)}")
        return _with_sfa_names(path, values, source)

    @property
    def authority(self) -> str:
        """HRN of the user's authority."""
        return self.auth or _LAST_DOT.split(self.user)[0]

    def hrn_of(self, name: str) -> str:
        """A name as typed: alone it means one of the user's own authority."""
        return name if "." in name or name.startswith("urn:") else f"{self.authority}.{name}"

    def cached(self, name: str) -> Path:
        """Where something fetched is kept."""
        (self.path / "cache").mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.path / "cache" / name

    def credential_file(self, hrn: str, kind: str) -> Path:
        """Where a credential about a user, slice or authority is kept."""
        is_own = kind == "user" and hrn == self.user
        hrn = hrn.replace("/", "_")
        if self.has_sfa_names:
            return self.path / (f"{hrn}.user.cred" if is_own else f"{self.user}-{hrn}.{kind}.cred")
        return self.cached("user.cred" if is_own else f"{hrn}.{kind}.cred")

    @property
    def credential_files(self) -> list[Path]:
        """All credentials that were fetched."""
        return sorted(self.path.glob("*.cred") if self.has_sfa_names else (self.path / "cache").glob("*.cred"))

    @property
    def known_slices(self) -> list[str]:
        """Slices that a credential is kept for, as one would type them."""
        kept = [path.name for path in self.credential_files if path.name.endswith(".slice.cred")]
        hrns = [name.removeprefix(f"{self.user}-").removesuffix(".slice.cred") for name in kept]
        near = f"{self.authority}."
        return [hrn.removeprefix(near) if "." not in hrn.removeprefix(near) else hrn for hrn in hrns]

    @property
    def self_signed(self) -> Path:
        """The certificate with which the first GID is fetched."""
        return self.path / f"{self.user}.sscert" if self.has_sfa_names else self.cached("bootstrap.pem")


def write(path: Path, *, user: str, registry: str, aggregate: str, key: str, gid: str, roots: str) -> None:
    """Write `sfi.toml` into a folder."""
    values = {"user": user, "registry": registry, "aggregate": aggregate, "key": key, "gid": gid, "roots": roots}
    text = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    descriptor = os.open(path / CONFIG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _of_toml(path: Path, given: dict[str, str]) -> Folder:
    source = path / CONFIG
    try:
        values = tomllib.loads(source.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise Unreadable(f"{source}: {e}") from e
    if missing := [key for key in _NEEDED if key not in values]:
        raise Unreadable(f"{source}: lacks {', '.join(missing)}")
    if wrong := [key for key in (*_NEEDED, "auth") if not isinstance(values.get(key, ""), str)]:
        raise Unreadable(f"{source}: {', '.join(wrong)} must be text in quotes")
    if given.get("user", values["user"]) != values["user"]:  # the key and certificate named there are another's
        return _with_sfa_names(path, values | given, source)
    values |= given
    return Folder(
        path=path,
        user=values["user"],
        registry=values["registry"],
        aggregate=values["aggregate"],
        key=path / values["key"],
        gid=path / values["gid"],
        roots=path / values["roots"],
        auth=values.get("auth", ""),
        source=source,
    )


def _with_sfa_names(path: Path, values: Mapping[str, str], source: Path | None) -> Folder:
    user = values["user"].replace("/", "_")
    plain = user.replace("\\.", ".")
    return Folder(
        path=path,
        user=values["user"],
        registry=values["registry"],
        aggregate=values["aggregate"],
        key=path / f"{plain}.pkey",
        gid=path / f"{user}.user.gid",
        roots=path / ROOTS,
        auth=values.get("auth", ""),
        has_sfa_names=True,
        source=source,
    )
