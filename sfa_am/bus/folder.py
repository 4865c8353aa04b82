"""What an installation keeps of its bus: a folder with an authority for its certificates, and the server's files.

The bus has roots of its own. What the federation trusts, users' certificates above all, must not open it; and whoever
is on it is named in no certificate that the federation sees.

    bus.toml           how it was set up
    authority/         root.key, root.gid: who certifies the bus's users and servers
    server.key .pem    of the server in the middle
    nats-server.conf   what it runs with; nodes.conf beside it says who may connect
    leaves/NAME.pem    certificates of leaf servers
"""

import fcntl
import json
import os
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from backends import enrolment
from credentials import GID, URN
from credentials.keys import PublicKey, new_ec_key, private_pem, read_private_key, write_private
from sfa_am.authority.keys import ROOT_FOR, SERVER_FOR, Authority
from sfa_am.bus import configuration
from sfa_am.bus.configuration import Files
from sfa_am.errors import BadArgs, Unavailable

log = structlog.get_logger()

_SERVER = "authority"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """How a bus was set up.

    url:       where hosts reach the server in the middle, nats://HOST:PORT; several are joined by commas
    listen:    the address it listens on
    leaf_port: where it listens for leaf servers; 0 for nowhere
    """

    url: str
    listen: str = "0.0.0.0"  # noqa: S104 - hosts reach it from outside, with a certificate
    leaf_port: int = 0

    def __post_init__(self) -> None:
        try:
            enrolment.bus_urls(self.url)
            ip_address(self.listen)
        except ValueError as e:
            raise BadArgs(str(e)) from e

    @property
    def urls(self) -> tuple[str, ...]:
        """One by one."""
        return enrolment.bus_urls(self.url)

    @property
    def port(self) -> int:
        """Of the server in the middle: the first address's."""
        return urlsplit(self.urls[0]).port or 0

    @property
    def hosts(self) -> list[str]:
        """Names and addresses that its certificate is for."""
        named = [urlsplit(url).hostname or "" for url in self.urls]
        return list(dict.fromkeys([*named, "localhost", "127.0.0.1", "::1"]))


class BusFolder:
    """The folder `bus` of an installation, with the credentials of its controllers in their backends' folders."""

    def __init__(self, state: Path, authority: str) -> None:
        """authority: the installation's name; the bus's certificates are below it"""
        self._state = state
        self._home = state / "bus"
        self._name = f"{authority}:bus"

    @property
    def is_founded(self) -> bool:
        """Whether there is a bus. The last thing that `found` writes says so."""
        return self._settings_file.is_file()

    @property
    def server_file(self) -> Path:
        """What to run `nats-server -c` with."""
        return self._home / "nats-server.conf"

    @property
    def users_file(self) -> Path:
        """Who may connect: the part that changes when hosts come and go."""
        return self._home / configuration.NODES

    @property
    def pid_file(self) -> Path:
        """Where the server writes its process id."""
        return self._home / "nats-server.pid"

    @property
    def _settings_file(self) -> Path:
        return self._home / "bus.toml"

    @property
    def settings(self) -> BusSettings:
        """Raises Unavailable: there is no bus."""
        if not self.is_founded:
            raise Unavailable("there is no bus here yet; `sfa-am bus init` makes one")
        return BusSettings(**tomllib.loads(self._settings_file.read_text()))

    def roots(self) -> str:
        """PEM."""
        return self._authority().issuer.gid.leaf_pem

    # Making it

    def found(self, settings: BusSettings, backends: list[str], *, now: datetime) -> None:
        """Make what is missing, and the server's files anew. backends: those whose controllers are on the bus."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._certify_server(settings, now=now)
        write_private(self._home / "roots.pem", self.roots().encode())
        for backend in backends:
            self._equip_controller(backend, now=now)
        text = configuration.server(
            listen=settings.listen,
            port=settings.port,
            files=self._files,
            pid_file=self.pid_file.absolute(),
            leaf_port=settings.leaf_port,
        )
        write_private(self.server_file, text.encode())
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in asdict(settings).items()]
        write_private(self._settings_file, "".join(lines).encode())

    def renew(self, *, now: datetime) -> None:
        """Make certificates anew that are in the last third of their lives."""
        settings = self.settings
        held = GID.parse((self._home / "server.pem").read_bytes())
        if held.not_after - now < (held.not_after - held.not_before) / 3:
            self._certify_server(settings, now=now)
            self.reload()
            log.info("the bus server's certificate was made anew")

    def certify(self, urn_type: str, name: str, key: PublicKey, *, now: datetime) -> GID:
        """A certificate for a user of the bus, good for as long as the roots are: taking its nkey out ends it."""
        urn = URN(self._name, urn_type, name)
        return self._authority().issuer.issue_gid(urn, key, lifetime=ROOT_FOR, now=now)

    def add_leaf(self, name: str, *, host: str, port: int, folder: Path, now: datetime) -> None:
        """Write all that a leaf server needs into a folder, for an operator to carry to its host.

        host: names and addresses by which nodes reach it, joined by commas. Raises BadArgs, Unavailable.
        """
        settings = self.settings
        if not settings.leaf_port:
            raise BadArgs("this bus takes no leaf servers; `sfa-am bus init --leaf-port 7422` lets it")
        if not enrolment.NAME.fullmatch(name):
            raise BadArgs(f"{name!a:.60} is no name for a leaf server: letters, digits, _ and - are")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = _key(folder / "leaf.key")
        urn = URN(self._name, _SERVER, f"leaf-{name}")
        hosts = [*(one.strip() for one in host.split(",")), "localhost", "127.0.0.1", "::1"]
        issuer = self._authority().issuer
        gid = issuer.issue_gid(urn, key, lifetime=ROOT_FOR, now=now, hosts=list(dict.fromkeys(hosts)))
        hub = f"nats-leaf://{urlsplit(settings.urls[0]).hostname}:{settings.leaf_port}"
        files = Files(*(Path(one) for one in ("leaf.key", "leaf.pem", "roots.pem")))
        text = configuration.leaf(port=port, hub=hub, files=files, pid_file=Path("nats-server.pid"))
        write_private(folder / "leaf.pem", gid.leaf_pem.encode())
        write_private(folder / "roots.pem", self.roots().encode())
        write_private(folder / "nats-server.conf", text.encode())
        (self._home / "leaves").mkdir(exist_ok=True, mode=0o700)
        write_private(self._home / "leaves" / f"{name}.pem", gid.leaf_pem.encode())

    # Who may connect

    def controllers(self) -> dict[str, str]:
        """Subject prefix -> nkey, of each backend that was equipped."""
        seeds = sorted(self._state.glob("backends/*/bus/bus.seed"))
        return {enrolment.prefix_of(seed.parent.parent.name): enrolment.public_nkey(seed.read_text()) for seed in seeds}

    def leaves(self) -> list[str]:
        """Names in the certificates of leaf servers."""
        return [str(GID.parse(file.read_bytes()).urn) for file in sorted((self._home / "leaves").glob("*.pem"))]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the list of those who may connect: what was read before somebody else's change must not be written."""
        lock = os.open(self._home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def admit(self, text: str) -> None:
        """Let those connect whom this text names, and have the server read it if it runs here and has not yet."""
        file, told = self.users_file, self._home / "nodes.told"
        if _read(file) != text:
            write_private(file, text.encode())
        if _read(told) != text and self.reload():
            write_private(told, text.encode())

    def reload(self) -> bool:
        """Have the server read its files again; those who may not be there any more are cut off. False: none here."""
        pid = self._server_pid()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGHUP)
        except PermissionError:
            log.warning("the bus's server must be told to read its files again: nats-server --signal reload", pid=pid)
            return False
        except ProcessLookupError:
            return False
        return True

    def _server_pid(self) -> int | None:
        """A number in a file may be another's by now."""
        try:
            pid = int(self.pid_file.read_text())
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == "nats-server" else None

    # Inside

    @property
    def _files(self) -> Files:
        home = self._home.absolute()
        return Files(home / "server.key", home / "server.pem", home / "roots.pem")

    def _authority(self) -> Authority:
        return Authority.load(self._home / "authority")

    def _certify_server(self, settings: BusSettings, *, now: datetime) -> None:
        issuer = Authority.found(self._home / "authority", self._name, now=now).issuer
        key = _key(self._home / "server.key")
        urn = URN(self._name, _SERVER, "server")
        gid = issuer.issue_gid(urn, key, lifetime=SERVER_FOR, now=now, hosts=settings.hosts)
        write_private(self._home / "server.pem", gid.leaf_pem.encode())

    def _equip_controller(self, backend: str, *, now: datetime) -> None:
        folder = self._state / "backends" / backend / "bus"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        gid = self.certify("service", f"controller-{backend}", _key(folder / "bus.key"), now=now)
        write_private(folder / "bus.pem", gid.leaf_pem.encode())
        write_private(folder / "roots.pem", self.roots().encode())
        if not (folder / "bus.seed").is_file():
            write_private(folder / "bus.seed", enrolment.new_seed(os.urandom(32)).encode())


def _key(path: Path) -> PublicKey:
    """The public half of a key that is made when it is missing."""
    if not path.is_file():
        write_private(path, private_pem(new_ec_key()))
    return read_private_key(path.read_bytes()).public_key()


def _read(file: Path) -> str:
    return file.read_text() if file.is_file() else ""
