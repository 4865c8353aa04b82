"""What a host keeps of its membership: a folder for root alone, with its keys and what it was told when it joined.

bus.key bus.seed   made here, sent nowhere
bus.pem roots.pem  given by the aggregate manager
node.toml          who it is; written last, so that its being there says that the host has joined
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from backends import enrolment
from backends.enrolment import Admission
from backends.native.bus.credentials import Credentials

DEFAULT_HOME = Path("/var/lib/sfa-node")


class NotJoined(Exception):
    """This folder is not that of a host that has joined, or can't be read as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What node.toml says.

    bus:      URLs, joined by commas
    settings: this host's own, as in `settings` of a native backend
    """

    name: str
    bus: str
    prefix: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Home:
    """The folder."""

    folder: Path

    @property
    def credentials(self) -> Credentials:
        """Who we are on the bus."""
        return Credentials(self.folder)

    @property
    def settings_file(self) -> Path:
        """Who this host is."""
        return self.folder / "node.toml"

    @property
    def has_joined(self) -> bool:
        """Whether it has."""
        return self.settings_file.is_file()

    def membership(self) -> Membership:
        """Raises NotJoined."""
        if not self.has_joined:
            raise NotJoined(f"{self.folder}: this host has not joined; `sfa-node join TOKEN` does it")
        try:
            written = tomllib.loads(self.settings_file.read_text())
            found = Membership(**{"settings": {}, **written})
            enrolment.bus_urls(found.bus)
        except (ValueError, TypeError, AttributeError) as e:
            raise NotJoined(f"{self.settings_file} can't be used: {e}") from e
        return found

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the certificate, made when it is missing. Raises NotJoined: a file that is none."""
        path = self.credentials.key
        if not path.is_file():
            made = ec.generate_private_key(ec.SECP256R1())
            self.write(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as e:
            raise NotJoined(f"{path} can't be read as a key: {e}") from e
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NotJoined(f"{path} is not a key of ours")
        return key

    def nkey(self) -> str:
        """The public half of the key on the bus, made when it is missing. Raises NotJoined: a file that is none."""
        path = self.credentials.seed
        if not path.is_file():
            self.write(path, enrolment.new_seed(os.urandom(32)).encode())
        try:
            return enrolment.public_nkey(path.read_text())
        except ValueError as e:
            raise NotJoined(f"{path}: {e}") from e

    def keep(self, admission: Admission, *, bus: str | None) -> None:
        """Write down what the host was told. bus: URLs to use in place of those it was told."""
        self.write(self.credentials.roots, admission.roots.encode())
        self.write(self.credentials.certificate, admission.certificate.encode())
        values = {
            "name": admission.name,
            "bus": bus or ",".join(admission.bus),
            "prefix": admission.prefix,
        }
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
        self.write(self.settings_file, "".join([*lines, "\n", *_SETTINGS]).encode())

    def make(self) -> None:
        """Make the folder, for its owner alone. Raises NotJoined: somebody else may look into it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.folder.stat().st_mode & 0o077:
            raise NotJoined(f"{self.folder} is open to others; chmod 700 it, or name another folder with --state")

    def write(self, path: Path, content: bytes) -> None:
        """Write a file for its owner alone, whole or not at all, durably."""
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


_SETTINGS = (
    "# Of this host; the keys are those of `settings` of a native backend.\n",
    "[settings]\n",
    '# publish_address = "192.0.2.17"\n',
)
