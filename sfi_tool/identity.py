"""Who the user is to servers: their certificate, and credentials fetched and kept until shortly before they end."""

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from sfi_tool import first_trust
from sfi_tool.aggregates import Aggregate, Spoken, aggregate_for, ask_version
from sfi_tool.errors import Refusal, Unreadable
from sfi_tool.folder import Folder
from sfi_tool.servers import TIMEOUT, Server, Watcher

_FRESH_FOR_AT_LEAST = timedelta(minutes=30)
_BOOTSTRAP_FOR = timedelta(days=1)
_SPOKEN_FOR = 20 * 60
"""Seconds for which an aggregate's API version is remembered, as SFA tools do."""


class Session:
    """A folder with open connections to its servers."""

    def __init__(
        self,
        folder: Folder,
        *,
        timeout: float = TIMEOUT,
        watcher: Watcher | None = None,
        agreed: Sequence[str] = (),
    ) -> None:
        """timeout: seconds for one answer. agreed: fingerprints of roots that may be trusted without asking."""
        self.folder = folder
        self._timeout = timeout
        self._watcher = watcher
        self._agreed = agreed

    @cached_property
    def registry(self) -> Server:
        """The user's registry and slice authority."""
        return self._server(self.folder.registry)

    @cached_property
    def aggregate(self) -> Server:
        """The aggregate manager, at the address in the settings."""
        return self._server(self.folder.aggregate)

    @cached_property
    def am(self) -> Aggregate:
        """The aggregate manager in the version of the API that it speaks."""
        url, path = self.aggregate.url, self.folder.cached("aggregates.json")
        known = _remembered(path)
        spoken = Spoken.from_struct(known.get(url))
        if spoken is None:
            spoken = ask_version(self.aggregate)
            path.write_text(json.dumps({**known, url: {**spoken.struct, "at": time.time()}}))
        server = self.aggregate if spoken.url == url else self._server(spoken.url)
        return aggregate_for(server, spoken)

    @property
    def gid(self) -> Path:
        """The certificate's file; fetched with a self-signed one if it is not there yet."""
        if not self.folder.gid.is_file():
            self.fetch_gid()
        return self.folder.gid

    def fetch_gid(self) -> None:
        """Get the certificate that the registry has made for our key."""
        from credentials.keys import write_private

        folder = self.folder
        shown = self._self_signed()
        server = self._server(folder.registry, gid=shown)
        credential = self._first_credential(server, shown.read_text())
        records = server.call("Resolve", [folder.user], [credential])
        gid = next((record["gid"] for record in records if record["type"] == "user"), None)
        if gid is None:
            raise click.ClickException(f"the registry has no certificate for {folder.user}")
        write_private(folder.gid, gid.encode())
        if not folder.has_sfa_names:
            shown.unlink()

    def user_credential(self) -> str:
        """The credential about oneself."""
        path = self.folder.credential_file(self.folder.user, "user")
        return _kept(path) or _keep(
            path, self.registry.call("GetSelfCredential", self.gid.read_text(), self.folder.user, "user")
        )

    def credential(self, hrn: str, kind: str) -> str:
        """A credential about a slice or an authority."""
        path = self.folder.credential_file(hrn, kind)
        return _kept(path) or _keep(path, self.registry.call("GetCredential", [self.user_credential()], hrn, kind))

    def forget(self, hrn: str, kind: str) -> None:
        """Fetch a credential anew next time: what it stands for has changed."""
        self.folder.credential_file(hrn, kind).unlink(missing_ok=True)

    def resolve(self, *names: str, details: bool = False) -> list[dict[str, Any]]:
        """Records of the registry."""
        options = [{"details": True}] if details else []
        found: list[dict[str, Any]] = self.registry.call("Resolve", list(names), [self.user_credential()], *options)
        return found

    def _server(self, url: str, *, gid: Path | None = None) -> Server:
        if not self.folder.key.is_file():
            raise Unreadable(
                f"your private key {self.folder.key} is not there; -k FILE puts one in its place, such as the one "
                "whose public half your authority has registered"
            )
        roots = self._roots()
        return Server(
            url,
            key=self.folder.key,
            gid=gid or self.gid,
            roots=roots,
            timeout=self._timeout,
            watcher=self._watcher,
        )

    def _roots(self) -> Path:
        """Whom to believe; the registry's word for it, agreed to by the user, where nothing is there yet."""
        if not self.folder.roots.is_file():
            shown = self._self_signed()
            unverified = Server(
                self.folder.registry,
                key=self.folder.key,
                gid=shown,
                roots=None,
                timeout=self._timeout,
                watcher=self._watcher,
            )
            first_trust.fetch_roots(unverified, self.folder.roots, agreed=self._agreed)
        return self.folder.roots

    def _self_signed(self) -> Path:
        """A certificate that proves our key and names nobody, made anew: an old one may be of another key."""
        from credentials import BadKey, self_signed_user
        from credentials.keys import read_private_key, write_private

        folder = self.folder
        try:
            key = read_private_key(folder.key.read_bytes())
        except BadKey as e:
            raise Unreadable(f"{folder.key}: {e}") from e
        shown = self_signed_user(folder.user, key, lifetime=_BOOTSTRAP_FOR, now=datetime.now(UTC))
        write_private(folder.self_signed, shown.pem.encode())
        return folder.self_signed

    def _first_credential(self, registry: Server, certificate: str) -> str:
        user = self.folder.user
        try:
            credential: str = registry.call("GetSelfCredential", certificate, user, "user")
        except Refusal:
            if "\\." not in user:
                raise
            # Registries of the SFA have kept names with dots in either way.
            credential = registry.call("GetSelfCredential", certificate, user.replace("\\.", "_"), "user")
        return credential


def as_struct(credential: str) -> dict[str, str]:
    """A credential as version 3 of the AM API wants it."""
    return {"geni_type": "geni_sfa", "geni_version": "3", "geni_value": credential}


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._start:.2f} s"


def _remembered(path: Path) -> dict[str, dict[str, Any]]:
    """What aggregates said not long ago, by address."""
    known: dict[str, dict[str, Any]] = {}
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        for url, said in json.loads(path.read_text()).items():
            if 0 <= time.time() - said["at"] < _SPOKEN_FOR:
                known[url] = said
    return known


def _kept(path: Path) -> str | None:
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
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return text if at - datetime.now(UTC) > _FRESH_FOR_AT_LEAST else None


def _keep(path: Path, credential: str) -> str:
    from credentials.keys import write_private

    write_private(path, credential.encode())
    return credential
