"""What answers at which path: the aggregate's port and the authority's, each as one tree."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import Resource

from sfa_am.authority import Clearinghouse, Registry
from sfa_am.authority.revocation import Revocations
from sfa_am.bus import Enrolment
from sfa_am.slices.service import AggregateService
from sfa_am.wire import nodes_door, revocation_page
from sfa_am.wire.am_either import EitherVersion
from sfa_am.wire.am_v2 import AggregateV2
from sfa_am.wire.am_v3 import AggregateV3
from sfa_am.wire.am_version import About
from sfa_am.wire.chapi import doors
from sfa_am.wire.nodes_door import NodesDoor
from sfa_am.wire.revocation_page import RevocationPage
from sfa_am.wire.sfa_registry import RegistryDoor

Now = Callable[[], datetime]


def of_aggregate(
    reactor: IReactorFromThreads,
    pool: ThreadPool,
    service: AggregateService,
    about: About,
    enrolment: Enrolment,
    *,
    now: Now,
) -> Any:
    """Each version of the AM API at a path of its own; both for tools that know a host and a port only.

    Beside them, where hosts ask to join.
    """
    v2: Any = AggregateV2(reactor, pool, service, about, now=now)
    v3: Any = AggregateV3(reactor, pool, service, about, now=now)
    either: Any = EitherVersion(reactor, pool, v2, v3)
    versions = _tree({b"2": v2, b"3": v3, b"": either})
    nodes = NodesDoor(reactor, pool, enrolment, now=now)
    return _tree({b"am": versions, b"": either, b"RPC2": either, nodes_door.PATH.encode(): nodes})


def of_authority(
    reactor: IReactorFromThreads,
    pool: ThreadPool,
    registry: Registry,
    clearinghouse: Clearinghouse,
    revocations: Revocations,
    *,
    base: str,
    hostname: str,
    now: Now,
) -> Any:
    """The SFA registry, the clearinghouse, the revocation list. base: URL of all this, without a slash at its end."""
    door = RegistryDoor(reactor, pool, registry, hostname=hostname, now=now)
    page = RevocationPage(reactor, pool, revocations.current, now=now)
    federation = doors(reactor, pool, clearinghouse, authority=registry.urn, base=base, now=now)
    return _tree({b"": door, b"RPC2": door, revocation_page.PATH.encode(): page, **federation})


def _tree(children: dict[bytes, Any]) -> Any:
    root: Any = Resource()
    for path, child in children.items():
        root.putChild(path, child)
    root.render_POST = children[b""].render_POST  # the same without a slash at the end
    return root
