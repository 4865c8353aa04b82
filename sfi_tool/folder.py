"""The folder a user works from: who they are, where the servers are, keys, certificates, credentials fetched."""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click

CONFIG = "sfi.toml"
DEFAULT = Path("~/.sfi")


@dataclass(frozen=True)
class Folder:
    """The contents of `sfi.toml`, with paths made absolute.

    user: HRN.  key, gid, roots: PEM files; the GID with its chain
    """

    path: Path
    user: str
    registry: str
    aggregate: str
    key: Path
    gid: Path
    roots: Path

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """Read a folder. Raises ClickException that says how to make one."""
        path = path.expanduser()
        try:
            values = tomllib.loads((path / CONFIG).read_text())
        except FileNotFoundError:
            raise click.ClickException(
                f"{path / CONFIG} is not there: name your folder with -d DIR or SFI_DIR. A PI makes "
                "one with `sfi user add`, the server's operator has one in its state folder"
            ) from None
        except tomllib.TOMLDecodeError as e:
            raise click.ClickException(f"{path / CONFIG}: {e}") from e
        missing = [key for key in ("user", "registry", "aggregate", "key", "gid", "roots") if key not in values]
        if missing:
            raise click.ClickException(f"{path / CONFIG}: lacks {', '.join(missing)}")
        return cls(
            path=path,
            user=values["user"],
            registry=values["registry"],
            aggregate=values["aggregate"],
            key=path / values["key"],
            gid=path / values["gid"],
            roots=path / values["roots"],
        )

    @property
    def authority(self) -> str:
        """HRN of the user's authority."""
        return self.user.rpartition(".")[0]

    def hrn_of(self, name: str) -> str:
        """A name as typed: alone it means one of the user's own authority."""
        return name if "." in name or name.startswith("urn:") else f"{self.authority}.{name}"

    def cached(self, name: str) -> Path:
        """Where something fetched is kept."""
        (self.path / "cache").mkdir(exist_ok=True, mode=0o700)
        return self.path / "cache" / name


def write(path: Path, *, user: str, registry: str, aggregate: str, key: str, gid: str, roots: str) -> None:
    """Write `sfi.toml` into a folder."""
    values = {"user": user, "registry": registry, "aggregate": aggregate, "key": key, "gid": gid, "roots": roots}
    text = "".join(f'{name} = "{value}"\n' for name, value in values.items())
    descriptor = os.open(path / CONFIG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
