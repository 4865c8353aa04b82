"""The keys of this installation's authority: made once, kept in files that only the server's user may read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from credentials import GID, URN, Issuer, self_signed_root
from credentials.keys import PrivateKey, new_ec_key, new_rsa_key, private_pem, read_private_key, write_private

ROOT_FOR = timedelta(days=20 * 365)
"""Lifetime of the root: replacing it means that every peer confirms a new one."""

SERVER_FOR = timedelta(days=2 * 365)


@dataclass(frozen=True)
class Authority:
    """The top authority of this installation, with the key that signs for it."""

    issuer: Issuer

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """From the folder that `found` made. Raises FileNotFoundError, BadKey, BadGID."""
        key = read_private_key((folder / "root.key").read_bytes())
        return cls(Issuer(GID.parse((folder / "root.gid").read_bytes()), key))

    @classmethod
    def found(cls, folder: Path, name: str, *, now: datetime) -> "Authority":
        """Make the root key and certificate of authority `name`, unless they are there."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (folder / "root.gid").is_file():
            key = _key(folder / "root.key", new_rsa_key)
            gid = self_signed_root(URN(name, "authority", "sa"), key, lifetime=ROOT_FOR, now=now)
            write_private(folder / "root.gid", gid.pem.encode())
        return cls.load(folder)

    @property
    def urn(self) -> URN:
        """Its name."""
        if self.issuer.gid.urn is None:
            raise ValueError("the root certificate has no URN")
        return self.issuer.gid.urn

    def renew_server(self, folder: Path, hosts: list[str], *, now: datetime) -> bool:
        """Make the server's certificate anew when it is in the last third of its life. Returns whether it was."""
        if not (folder / "am-rsa.gid").is_file():  # founded before there was one
            self.certify_server(folder, hosts, now=now)
            return True
        held = GID.parse((folder / "am.gid").read_bytes())
        is_old = held.not_after - now < (held.not_after - held.not_before) / 3
        root_ends_at = self.issuer.gid.not_after
        # One that ends with the root can't be made to last longer, and a root that has ended signs nothing.
        if not is_old or held.not_after >= root_ends_at or root_ends_at <= now:
            return False
        self.certify_server(folder, hosts, now=now)
        return True

    def certify_server(self, folder: Path, hosts: list[str], *, now: datetime) -> None:
        """Make the server's keys and their certificates for these host names; keys stay when they are there.

        The one on elliptic curves makes handshakes cheap; the other is for old clients, which know RSA alone.
        """
        urn = URN(self.urn.authority, "authority", "am")
        for name, new_key in (("am", new_ec_key), ("am-rsa", new_rsa_key)):
            key = _key(folder / f"{name}.key", new_key)
            gid = self.issuer.issue_gid(urn, key.public_key(), lifetime=SERVER_FOR, now=now, hosts=hosts)
            write_private(folder / f"{name}.gid", gid.pem.encode())


def _key(path: Path, make: Callable[[], PrivateKey]) -> PrivateKey:
    if not path.is_file():
        write_private(path, private_pem(make()))
    return read_private_key(path.read_bytes())
