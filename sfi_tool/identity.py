"""Who the user is to servers: their certificate, and credentials fetched and kept until shortly before they end."""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from sfi_tool.folder import Folder
from sfi_tool.servers import Server

_FRESH_FOR_AT_LEAST = timedelta(minutes=30)
_BOOTSTRAP_FOR = timedelta(days=1)


class Session:
    """A folder with open connections to its servers."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @cached_property
    def registry(self) -> Server:
        """The user's registry and slice authority."""
        return Server(self.folder.registry, key=self.folder.key, gid=self.gid, roots=self.folder.roots)

    @cached_property
    def aggregate(self) -> Server:
        """The aggregate manager."""
        return Server(self.folder.aggregate, key=self.folder.key, gid=self.gid, roots=self.folder.roots)

    @property
    def gid(self) -> Path:
        """The certificate's file; fetched with a self-signed one if it is not there yet."""
        if not self.folder.gid.is_file():
            self.fetch_gid()
        return self.folder.gid

    def fetch_gid(self) -> None:
        """Get the certificate that the registry has made for our key."""
        from credentials import self_signed_user
        from credentials.keys import read_private_key, write_private

        folder = self.folder
        key = read_private_key(folder.key.read_bytes())
        shown = self_signed_user(folder.user, key, lifetime=_BOOTSTRAP_FOR, now=datetime.now(UTC))
        bootstrap = folder.cached("bootstrap.pem")
        write_private(bootstrap, shown.pem.encode())
        server = Server(folder.registry, key=folder.key, gid=bootstrap, roots=folder.roots)
        credential = server.call("GetSelfCredential", shown.pem, folder.user, "user")
        records = server.call("Resolve", [folder.user], [as_struct(credential)])
        gid = next((record["gid"] for record in records if record["type"] == "user"), None)
        if gid is None:
            raise click.ClickException(f"the registry has no certificate for {folder.user}")
        write_private(folder.gid, gid.encode())
        bootstrap.unlink()

    def user_credential(self) -> str:
        """The credential about oneself."""
        name = "user.cred"
        return self._kept(name) or self._keep(
            name, self.registry.call("GetSelfCredential", self.gid.read_text(), self.folder.user, "user")
        )

    def credential(self, hrn: str, kind: str) -> str:
        """A credential about a slice or an authority."""
        name = f"{hrn}.{kind}.cred"
        return self._kept(name) or self._keep(
            name, self.registry.call("GetCredential", [as_struct(self.user_credential())], hrn, kind)
        )

    def forget(self, hrn: str, kind: str) -> None:
        """Fetch a credential anew next time: what it stands for has changed."""
        self.folder.cached(f"{hrn}.{kind}.cred").unlink(missing_ok=True)

    def resolve(self, name: str) -> list[dict[str, Any]]:
        """Records of the registry."""
        found: list[dict[str, Any]] = self.registry.call("Resolve", [name], [as_struct(self.user_credential())])
        return found

    def _kept(self, name: str) -> str | None:
        path = self.folder.cached(name)
        if not path.is_file():
            return None
        text = path.read_text()
        ends = re.search(r"<expires>([^<]+)</expires>", text)
        if ends is None:
            return None
        try:
            at = datetime.fromisoformat(ends[1])
        except ValueError:
            return None
        return text if at - datetime.now(UTC) > _FRESH_FOR_AT_LEAST else None

    def _keep(self, name: str, credential: str) -> str:
        from credentials.keys import write_private

        write_private(self.folder.cached(name), credential.encode())
        return credential


def as_struct(credential: str) -> dict[str, str]:
    """A credential as the APIs want it."""
    return {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": credential}


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._start:.2f} s"
