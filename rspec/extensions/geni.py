"""GENI's own, but for the larger ones: accounts, shared VLANs, and what a manifest tells of a sliver."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from rspec.errors import Odd
from rspec.extensions.reading import empty_element, source_of, true
from rspec.model import Extension
from rspec.namespaces import SHARED_VLAN, SHARED_VLAN_OLD, SLIVER_INFO, USER
from rspec.vocabulary import moment


@dataclass(frozen=True, kw_only=True)
class ServicesUser(Extension):
    """In the services of a manifest's node: an account, whose it is, and the SSH keys that open it."""

    login: str
    user_urn: str
    public_keys: tuple[str, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <services_user>."""
        keys = (key.text or "" for key in element.iterchildren(f"{{{USER}}}public_key"))
        return cls(
            source=source_of(element),
            login=element.get("login") or "",
            user_urn=element.get("user_urn") or "",
            public_keys=tuple(key.strip() for key in keys),
        )

    @classmethod
    def of(cls, login: str, user_urn: str, public_keys: Iterable[str]) -> Self:
        """Anew."""
        keys = tuple(public_keys)
        inside = "".join(f"<user:public_key>{escape(key)}</user:public_key>" for key in keys)
        head = (
            f"<user:services_user xmlns:user={quoteattr(USER)} login={quoteattr(login)} user_urn={quoteattr(user_urn)}>"
        )
        return cls(source=f"{head}{inside}</user:services_user>", login=login, user_urn=user_urn, public_keys=keys)


@dataclass(frozen=True, kw_only=True)
class LinkSharedVlan(Extension):
    """On a link: it is to be part of a VLAN that several slices share. `vlantag`: as granted."""

    name: str
    vlantag: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <link_shared_vlan>."""
        return cls(source=source_of(element), name=element.get("name") or "", vlantag=element.get("vlantag"))


@dataclass(frozen=True, kw_only=True)
class SharedVlans(Extension):
    """In an advertisement: the shared VLANs there are, as (name, whether only some may use it)."""

    available: tuple[tuple[str, bool], ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <rspec_shared_vlan>."""
        names = [one for one in element.iterchildren(etree.Element) if etree.QName(one).localname == "available"]
        return cls(
            source=source_of(element),
            available=tuple((one.get("name") or "", true(one.get("restricted"))) for one in names),
        )


@dataclass(frozen=True, kw_only=True)
class SliverInfo(Extension):
    """On a node or link of a manifest: whose it is and until when. Times are aware, or None."""

    creator_urn: str | None
    creation_time: datetime | None
    expiration_time: datetime | None
    resource_id: str | None
    state: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <geni_sliver_info>."""
        return cls(
            source=source_of(element),
            creator_urn=element.get("creator_urn"),
            creation_time=_moment(element.get("creation_time")),
            expiration_time=_moment(element.get("expiration_time")),
            resource_id=element.get("resource_id"),
            state=element.get("state"),
        )

    @classmethod
    def of(
        cls,
        *,
        creator_urn: str | None = None,
        creation_time: datetime | None = None,
        expiration_time: datetime | None = None,
        resource_id: str | None = None,
        state: str | None = None,
    ) -> Self:
        """Anew."""
        attributes = {
            "creator_urn": creator_urn,
            "creation_time": creation_time and creation_time.isoformat(),
            "expiration_time": expiration_time and expiration_time.isoformat(),
            "resource_id": resource_id,
            "state": state,
        }
        return cls(
            source=empty_element(SLIVER_INFO, "geni_sliver_info", attributes),
            creator_urn=creator_urn,
            creation_time=creation_time,
            expiration_time=expiration_time,
            resource_id=resource_id,
            state=state,
        )


def _moment(text: str | None) -> datetime | None:
    try:
        return moment(text) if text else None
    except Odd:
        return None


READERS = {
    f"{{{USER}}}services_user": ServicesUser.read,
    f"{{{SHARED_VLAN}}}link_shared_vlan": LinkSharedVlan.read,
    f"{{{SHARED_VLAN_OLD}}}link_shared_vlan": LinkSharedVlan.read,
    f"{{{SHARED_VLAN}}}rspec_shared_vlan": SharedVlans.read,
    f"{{{SHARED_VLAN_OLD}}}rspec_shared_vlan": SharedVlans.read,
    f"{{{SLIVER_INFO}}}geni_sliver_info": SliverInfo.read,
}
