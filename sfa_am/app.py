"""The composition root: the one place that knows the classes and puts them together."""

import fcntl
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import structlog
from twisted.application.internet import StreamServerEndpointService, TimerService
from twisted.application.service import MultiService
from twisted.internet import endpoints, threads
from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from backends.protocol import Backend, Context, SliverId
from sfa_am.authority import Authority, Clearinghouse, Registry, server_hosts
from sfa_am.authority.revocation import Revocations
from sfa_am.authority.revocation_lists import RevocationLists
from sfa_am.authority.services import own_services
from sfa_am.bus import BusFolder, Enrolment
from sfa_am.config import Config, ConfigError
from sfa_am.errors import AMError, Unavailable
from sfa_am.orchestration.backend_service import BackendService
from sfa_am.orchestration.expiry import expire
from sfa_am.orchestration.imaging import see_to_images
from sfa_am.slices.gate import Gate
from sfa_am.slices.identity import Identity
from sfa_am.slices.policy import Policies, Policy
from sfa_am.slices.service import AggregateService
from sfa_am.store import Store, operations
from sfa_am.wire import addresses, outgoing
from sfa_am.wire.am_version import About
from sfa_am.wire.arrival import Arrivals
from sfa_am.wire.site import BoundedSite
from sfa_am.wire.tls import ClientCertificateTLS

log = structlog.get_logger()

BACKENDS = "sfa_am.backends"
"""Entry point group in which backends are found."""

POLICIES = "sfa_am.policies"
"""Entry point group in which policies are found."""

_EXPIRY_EVERY = 1.0
_IMAGES_EVERY = 1.0
_RENEWAL_EVERY = 3600.0
"""Certificates and lists live for days: more often than daily, because a laptop sleeps."""
_LOOK_FOR_LISTS_EVERY = 30.0
_WHO_MAY_CONNECT_EVERY = 30.0
_BACKLOG = 1024
"""Tools open several connections at once, each for one call."""


class AlreadyRunning(Exception):
    """Another server uses this state folder."""


def utc_now() -> datetime:
    """The clock of the running server."""
    return datetime.now(UTC)


@contextmanager
def sole_user_of(state: Path) -> Iterator[None]:
    """Hold the state folder for this process. Raises AlreadyRunning; the system lets go when the process ends."""
    lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise AlreadyRunning(f"{state} is in use by another server; stop that one first") from e
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        yield
    finally:
        os.close(lock)


def load_backends(config: Config, state: Path) -> dict[str, Backend]:
    """The backends that the settings name, and no others. Raises ConfigError."""
    known = {point.name: point for point in entry_points(group=BACKENDS)}
    made: dict[str, Backend] = {}
    for wanted in config.backend:
        if wanted.plugin not in known:
            raise ConfigError(
                f"backend {wanted.name!r}: no plugin {wanted.plugin!r} is installed; "
                f"installed are: {', '.join(sorted(known))}"
            )
        try:
            create: Callable[[Mapping[str, object], Context], Backend] = known[wanted.plugin].load()
        except ImportError as e:
            raise ConfigError(f"backend {wanted.name!r}: plugin {wanted.plugin!r} lacks a package: {e}") from e
        folder = state / "backends" / wanted.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            made[wanted.name] = create(wanted.settings, Context(name=wanted.name, state=folder))
        except ValueError as e:
            raise ConfigError(f"backend {wanted.name!r}: {e}") from e
    return made


def load_policies(config: Config) -> Policies:
    """The operator's rules; plugins that the settings name, and no others. Raises ConfigError."""
    known = {point.name: point for point in entry_points(group=POLICIES)}
    made: dict[str, Policy] = {}
    for wanted in config.policy:
        if wanted.plugin not in known:
            raise ConfigError(
                f"policy {wanted.name!r}: no plugin {wanted.plugin!r} is installed; "
                f"installed are: {', '.join(sorted(known)) or 'none'}"
            )
        try:
            create: Callable[[Mapping[str, object]], Policy] = known[wanted.plugin].load()
            made[wanted.name] = create(wanted.settings)
        except (ImportError, ValueError) as e:
            raise ConfigError(f"policy {wanted.name!r}: plugin {wanted.plugin!r}: {e}") from e
    return Policies(config.quota, made)


class Server(MultiService):
    """Everything that runs in one process: doors, loops, backends."""

    def __init__(self, state: Path, config: Config, reactor: Any, *, now: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._config = config
        self._reactor = reactor
        self._now = now
        self.store = Store.in_folder(state)
        self.store.migrate()
        with self.store.transaction() as tx:
            if abandoned := operations.release_all(tx):
                log.info("taking up what an earlier run left", operations=abandoned)
        self._pool = ThreadPool(minthreads=1, maxthreads=config.server.threads, name="calls")
        self._bus = BusFolder(state, config.aggregate.authority)
        self._enrolment = Enrolment(self.store, self._bus)
        made = load_backends(config, state) if "aggregate" in config.server.doors else {}
        self._made = made
        self._backends = {name: BackendService(name, backend, self.store, now) for name, backend in made.items()}
        for backend_service in self._backends.values():
            backend_service.setServiceParent(self)
        self._authority = Authority.load(state / "authority")
        self._revocations = Revocations(self.store, self._authority)
        self._lists = RevocationLists(self.store, self._authority.issuer.gid)
        self._folder = state / "authority"
        self._own = outgoing.Own.of(state)
        self._renew_certificate()
        keys = [(self._folder / f"{name}.key", self._folder / f"{name}.gid") for name in ("am", "am-rsa")]
        self._tls: Any = ClientCertificateTLS(*keys)
        self._every(_EXPIRY_EVERY, self._expire)
        self._every(_RENEWAL_EVERY, self._renew)
        self._every(_IMAGES_EVERY, self._see_to_images, apart=True)
        self._every(_WHO_MAY_CONNECT_EVERY, self._tell_who_may_connect)
        self._every(min(_LOOK_FOR_LISTS_EVERY, config.trust.crl_minutes * 60), self._fetch_lists, apart=True)
        self._open_doors()

    def startService(self) -> None:  # noqa: N802 - Twisted's name
        """Start the pool before the doors, which need it."""
        self._pool.start()
        super().startService()

    def stopService(self) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Close the doors, let what is under way end, then close the store."""
        stopped: Deferred[None] = Deferred.fromCoroutine(self._stop())
        return stopped

    async def _stop(self) -> None:
        await MultiService.stopService(self)
        await threads.deferToThread(self._pool.stop)
        self.store.close()

    def wake(self) -> None:
        """There may be work for the backends."""
        for backend_service in self._backends.values():
            backend_service.wake()

    def _console(self, backend: str, sliver: SliverId) -> str:
        if backend not in self._backends:
            raise Unavailable("the console can't be read: what made this sliver is not in the settings any more")
        return self._backends[backend].console(sliver)

    @property
    def am_url(self) -> str:
        """Where the aggregate manager answers; each version of the API below it."""
        return f"https://{self._config.server.public_host}:{self._config.server.am_port}/am"

    def _open_doors(self) -> None:
        server, gate = self._config.server, Gate(self.store)
        if "aggregate" in server.doors:
            self._listen(self._aggregate(gate), server.am_port)
        if "authority" in server.doors:
            self._listen(self._authority_tree(gate), server.registry_port)

    def _aggregate(self, gate: Gate) -> Any:
        config = self._config
        identity = Identity(config.aggregate.authority)
        policies = load_policies(config)
        service = AggregateService(
            self.store,
            gate,
            identity,
            config.leases,
            config.limits,
            self.wake,
            policies,
            self._console,
            config.placement,
        )
        urls = {"2": f"{self.am_url}/2", "3": f"{self.am_url}/3"}
        about = About(identity.manager, config.aggregate.title, urls)
        return addresses.of_aggregate(self._reactor, self._pool, service, about, self._enrolment, now=self._now)

    def _authority_tree(self, gate: Gate) -> Any:
        config, authority = self._config, self._authority
        registry = Registry(self.store, gate, authority, config.registry)
        base = f"https://{config.server.public_host}:{config.server.registry_port}"
        own = own_services(
            authority=authority.urn,
            root=authority.issuer.gid.pem,
            base=base,
            am_url=f"{self.am_url}/3" if "aggregate" in config.server.doors else None,
            title=config.aggregate.title,
            now=self._now(),
        )
        return addresses.of_authority(
            self._reactor,
            self._pool,
            registry,
            Clearinghouse.of(self.store, gate, registry, own),
            self._revocations,
            base=base,
            hostname=config.server.public_host,
            now=self._now,
        )

    def _listen(self, root: Any, port: int) -> None:
        server = self._config.server
        site: Any = BoundedSite(
            root,
            body_limit=server.request_limit_kib * 1024,
            headers_seconds=server.headers_seconds,
            body_seconds=server.body_seconds,
            idle_seconds=server.idle_seconds,
        )
        family = socket.AF_INET6 if server.listen.version == 6 else socket.AF_INET
        # Listening here and now, not when the reactor runs: a port that is in use must be told before anything starts.
        try:
            listening = socket.create_server((str(server.listen), port), family=family, backlog=_BACKLOG)
        except OSError as e:
            raise ConfigError(
                f"can't listen on {server.listen} port {port} ({e.strerror}); "
                "stop what uses it, or set other ports or another address in [server]"
            ) from e
        over_tls = TLSMemoryBIOFactory(self._tls, isClient=False, wrappedFactory=site)
        arrivals = Arrivals(
            over_tls,
            self._reactor,
            hello_seconds=server.headers_seconds,
            per_peer=server.connections_per_peer,
            most=_most_connections(),
        )
        adopted = endpoints.AdoptedStreamServerEndpoint(self._reactor, listening.detach(), family)
        StreamServerEndpointService(adopted, arrivals).setServiceParent(self)

    def _every(self, seconds: float, work: Callable[[], None], *, apart: bool = False) -> None:
        """Run `work` in a thread, again and again; what it raises is logged and the next turn comes.

        apart: not in a thread that calls are waiting for, since it may take its time
        """

        async def turn() -> None:
            try:
                pool = self._reactor.getThreadPool() if apart else self._pool
                await threads.deferToThreadPool(self._reactor, pool, work)
            except Exception:
                log.exception("a periodic task failed", task=work.__name__)

        TimerService(seconds, lambda: Deferred.fromCoroutine(turn())).setServiceParent(self)

    def _expire(self) -> None:
        if expire(self.store, self._now()):
            self.wake()

    def _see_to_images(self) -> None:
        see_to_images(self.store, self._made, self._config.limits.image_mib * 1024**2, self._now())

    def _renew_certificate(self) -> None:
        if self._authority.renew_server(self._folder, server_hosts(self._config), now=self._now()):
            log.info("the server's certificate was made anew")

    def _renew(self) -> None:
        """What ends by itself, made anew before it does."""
        self._renew_certificate()
        if self._tls.reload():
            log.info("new connections are shown another certificate")
        self._revocations.current(self._now())
        if self._bus.is_founded:
            self._bus.renew(now=self._now())

    def _tell_who_may_connect(self) -> None:
        """Make up for a command that was interrupted, or for a server of the bus that was not there."""
        if self._bus.is_founded:
            self._enrolment.publish()

    def _fetch_lists(self) -> None:
        """Ask for the revocation lists that are due; one that can't be had does not keep the others waiting."""
        every = timedelta(minutes=self._config.trust.crl_minutes)
        for url in self._lists.due(every=every, now=self._now()):
            if not self.running:
                return
            try:
                document = outgoing.get(url, own=self._own, roots=self._lists.roots())
                self._lists.take(document, source=url, now=self._now())
            except AMError as e:
                log.warning("a revocation list could not be fetched", url=url, reason=str(e))
                self._lists.note_failure(url, str(e), now=self._now())


def _most_connections() -> int:
    """How many connections a port may hold: of the files this process may have open, a quarter for each of the two."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(allowed // 4, 64) if allowed != resource.RLIM_INFINITY else sys.maxsize


def run(state: Path, config: Config, reactor: Any) -> None:
    """Run a server until it is told to stop. Raises ConfigError when it can't start."""
    server = Server(state, config, reactor)
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    reactor.callWhenRunning(server.startService)
    reactor.callWhenRunning(lambda: log.info("serving", am=server.am_url, authority=config.aggregate.authority))
    reactor.run()
