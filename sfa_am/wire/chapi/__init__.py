"""The clearinghouse over XML-RPC: Common Federation API version 2, as clients of the field speak it. Translation."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.authority.clearinghouse import Clearinghouse
from sfa_am.wire.chapi import member_authority, service_registry, slice_authority
from sfa_am.wire.chapi.gcf import GcfCalls
from sfa_am.wire.chapi.objects import Objects, ProjectObjects, Slices, SliverInfos


def doors(
    reactor: IReactorFromThreads,
    pool: ThreadPool,
    clearinghouse: Clearinghouse,
    *,
    authority: URN,
    base: str,
    now: Callable[[], datetime],
) -> dict[bytes, Any]:
    """The three doors under the paths that clients know. base: the URL before them, without a slash."""
    name = authority.authority
    parts = clearinghouse
    gcf = GcfCalls(parts.slices, parts.members, parts.services, now=now)
    kinds: list[Objects] = [Slices(parts.slices), ProjectObjects(parts.projects), SliverInfos(parts.slivers)]
    sr: Any = service_registry.ServiceRegistryDoor(
        reactor,
        pool,
        parts.services,
        now=now,
        version=service_registry.version(f"{base}/sr", URN(name, "authority", "sr")),
    )
    ma: Any = member_authority.MemberAuthorityDoor(
        reactor,
        pool,
        parts.members,
        now=now,
        version=member_authority.version(f"{base}/ma", URN(name, "authority", "ma")),
    )
    sa: Any = slice_authority.SliceAuthorityDoor(
        reactor,
        pool,
        parts.slices,
        {one.kind: one for one in kinds},
        gcf,
        now=now,
        version=slice_authority.version(f"{base}/sa", authority),
    )
    return {path: door for door, paths in ((sr, b"sr SR"), (ma, b"ma MA"), (sa, b"sa SA")) for path in paths.split()}


__all__ = ["doors"]
