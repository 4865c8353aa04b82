"""Found an installation: the authority, the server's certificate, trust in ourselves, and the first operator.

Every step looks whether it is done, so that `sfa-am init` may be run again after it was interrupted.
"""

import json
from datetime import datetime
from pathlib import Path

from credentials import URN
from credentials.keys import (
    new_rsa_key,
    private_pem,
    read_private_key,
    read_ssh_public_key,
    ssh_public_key,
    write_private,
)
from sfa_am.authority.keys import Authority
from sfa_am.authority.records import PI, Wanted
from sfa_am.authority.registry import Registry
from sfa_am.config import Config
from sfa_am.slices.gate import Gate
from sfa_am.store import Store, registry, trust
from sfa_am.store.trust import RootRow

OPERATOR = "operator"


def found(state: Path, config: Config, store: Store, *, now: datetime) -> Authority:
    """Make what is missing of an installation in `state`, whose settings are written already."""
    authority = Authority.found(state / "authority", config.aggregate.authority, now=now)
    # Anew each time: the host may have another name by now. Clients trust the root.
    authority.certify_server(state / "authority", server_hosts(config), now=now)
    gid = authority.issuer.gid
    with store.transaction() as tx:
        registry.put_authority(tx, authority.urn, gid.pem, now=now)
        root = RootRow(
            fingerprint=gid.fingerprint,
            gid=gid.pem,
            names=(authority.urn.authority,),
            legacy_sha1=False,
            added_at=now,
            added_by="init",
        )
        trust.put(tx, root)
    _equip_operator(state / "operator", authority, config, store, now=now)
    return authority


def server_hosts(config: Config) -> list[str]:
    """The names and addresses that the server's certificate is for."""
    return list(dict.fromkeys([config.server.public_host, "localhost", "127.0.0.1", "::1"]))


def _equip_operator(folder: Path, authority: Authority, config: Config, store: Store, *, now: datetime) -> None:
    """The first member, who may register others, with a folder that the `sfi` program works from."""
    folder.mkdir(exist_ok=True, mode=0o700)
    if not (folder / f"{OPERATOR}.key").is_file():
        write_private(folder / f"{OPERATOR}.key", private_pem(new_rsa_key()))
    key = read_private_key((folder / f"{OPERATOR}.key").read_bytes())
    urn = URN(authority.urn.authority, "user", OPERATOR)
    public = ssh_public_key(key.public_key())
    kept = Registry(store, Gate(store), authority, config.registry)
    with store.reading() as tx:
        member = registry.member_by_urn(tx, urn)
    if member is None:
        wanted = Wanted(urn=urn, email=f"{OPERATOR}@{config.server.public_host}", keys=(public,), role=PI)
        gid = kept.enter(wanted, actor="init", now=now)
    elif read_ssh_public_key(member.keys[0]) != key.public_key():  # it was lost, and a new one made above
        gid = kept.set_key(urn, public, actor="init", now=now)
    else:
        gid = member.gid
    write_private(folder / f"{OPERATOR}.gid", gid.encode())
    write_private(folder / "roots.pem", authority.issuer.gid.pem.encode())
    server = config.server
    lines = {
        "user": urn.hrn,
        "registry": f"https://{server.public_host}:{server.registry_port}/",
        "aggregate": f"https://{server.public_host}:{server.am_port}/am/3",
        "key": f"{OPERATOR}.key",
        "gid": f"{OPERATOR}.gid",
        "roots": "roots.pem",
    }
    write_private(
        folder / "sfi.toml", "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()).encode()
    )
