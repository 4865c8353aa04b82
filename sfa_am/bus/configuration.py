"""What the servers of the bus are told: the files of `nats-server`, as text.

Nothing in them is secret: users are known by their public keys. What a user may do follows from its name alone. A node
hears its own commands and nothing else, and speaks about itself; the controller is the other end of both. Replies go to
inboxes that only their owner may read.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backends import enrolment

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes; `backends.native.bus` sends no more."""

_REPLY_WITHIN = "1h"
"""How long after a command its one reply may be sent: a first image can take long to fetch."""

NODES = "nodes.conf"
"""Who may connect: the part that changes when hosts come and go."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a server shows and believes: its key, its certificate, the roots of its users."""

    key: Path
    certificate: Path
    roots: Path


def server(*, listen: str, port: int, files: Files, pid_file: Path, leaf_port: int) -> str:
    """The main file of the server in the middle. leaf_port: 0 for no leaf servers."""
    leaves = [f"leafnodes {{\n  listen: {_text(_at(listen, leaf_port))}\n{_tls(files, 'verify_and_map')}\n}}"]
    return _file(
        "Written by `sfa-am bus init`. Run: nats-server -c THIS FILE",
        f"listen: {_text(_at(listen, port))}",
        f"pid_file: {_text(pid_file)}",
        *_LIMITS,
        _tls(files, "verify"),
        *(leaves if leaf_port else []),
        f"include {_text(NODES)}",
    )


def leaf(*, port: int, hub: str, files: Files, pid_file: Path) -> str:
    """The main file of a leaf server, whose files lie beside it. hub: URL where the middle listens for leaves."""
    return _file(
        "Written by `sfa-am bus leaf`. Run in this folder: nats-server -c THIS FILE",
        f"listen: {_text(_at('0.0.0.0', port))}",  # noqa: S104 - nodes reach it from outside
        f"pid_file: {_text(pid_file)}",
        *_LIMITS,
        _tls(files, "verify"),
        f"leafnodes {{\n  remotes: [{{\n  url: {_text(hub)}\n{_tls(files)}\n  }}]\n}}",
        f"include {_text(NODES)}",
    )


def users(
    *,
    controllers: Mapping[str, str],
    nodes: Sequence[tuple[str, str, str]],
    leaves: Sequence[str] = (),
) -> str:
    """Who may connect, and what they may do.

    controllers: subject prefix -> nkey
    nodes:       subject prefix, name, nkey
    leaves:      names in the certificates of leaf servers, which carry for every backend
    """
    lines = [
        *(_user({"nkey": nkey}, _controller(prefix)) for prefix, nkey in sorted(controllers.items())),
        *(_user({"nkey": nkey}, _node(prefix, name)) for prefix, name, nkey in nodes),
        # The name is taken from the certificate that TLS has verified, on the port for leaf servers and nowhere else.
        *(_user({"user": name, "allowed_connection_types": ["LEAFNODE"]}, _leaf(controllers)) for name in leaves),
    ]
    return _file("Written by sfa-am; changes are lost.", "authorization {", "users: [", *lines, "]", "}")


def _controller(prefix: str) -> dict[str, object]:
    heard = [f"{prefix}.{kind}.*" for kind in ("beat", "seen", "hello")]
    return {
        "publish": [f"{prefix}.node.>", f"{prefix}.inbox.node.>"],
        "subscribe": [*heard, f"{enrolment.controller_inbox(prefix)}.>"],
    }


def _node(prefix: str, name: str) -> dict[str, object]:
    return {
        "publish": [f"{prefix}.{kind}.{name}" for kind in ("beat", "seen", "hello")],
        "subscribe": [f"{prefix}.node.{name}.>", f"{enrolment.node_inbox(prefix, name)}.>"],
        "allow_responses": {"max": 1, "expires": _REPLY_WITHIN},
    }


def _leaf(prefixes: Mapping[str, str]) -> dict[str, object]:
    """From the leaf to the middle is "publish"."""
    said = [f"{prefix}.{kind}.*" for prefix in sorted(prefixes) for kind in ("beat", "seen", "hello")]
    inboxes = [f"{enrolment.controller_inbox(prefix)}.>" for prefix in sorted(prefixes)]
    heard = [f"{prefix}.{kind}.>" for prefix in sorted(prefixes) for kind in ("node", "inbox.node")]
    return {"publish": [*said, *inboxes], "subscribe": heard}


_LIMITS = (
    f"max_payload: {LARGEST_BODY}",
    'ping_interval: "5s"',  # a host that vanished is noticed, and its subjects are served by nobody
    "ping_max: 2",
)


def _tls(files: Files, verify: str | None = None) -> str:
    lines = [
        f"cert_file: {_text(files.certificate)}",
        f"key_file: {_text(files.key)}",
        f"ca_file: {_text(files.roots)}",
        "timeout: 5",
        *([f"{verify}: true"] if verify else []),
    ]
    return "\n".join(["tls {", *(f"  {line}" for line in lines), "}"])


def _user(who: Mapping[str, object], permissions: Mapping[str, object]) -> str:
    return f"  {json.dumps({**who, 'permissions': permissions})}"


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _text(value: object) -> str:
    return json.dumps(str(value))


def _file(title: str, *lines: str) -> str:
    return "\n".join([f"# {title}", *lines]) + "\n"
