"""What the client tools jFed and Jacks put into requests."""

from dataclasses import dataclass
from typing import Self

from lxml import etree

from rspec.extensions.reading import number, source_of
from rspec.model import Extension
from rspec.namespaces import CLIENT, JACKS, JFED, JFED_COMMAND, JFED_SSH_KEYS


@dataclass(frozen=True, kw_only=True)
class ClientInfo(Extension):
    """At the top: the tool that made the document."""

    name: str
    environment: str | None
    version: str | None
    url: str | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <client_info>."""
        return cls(
            source=source_of(element),
            name=element.get("name") or "",
            environment=element.get("environment"),
            version=element.get("version"),
            url=element.get("url"),
        )


@dataclass(frozen=True, kw_only=True)
class Drawn(Extension):
    """On a node: where the tool drew it, in its own units; None where it is odd."""

    x: float | None
    y: float | None

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From jFed's <location>."""
        return cls(source=source_of(element), x=number(element.get("x")), y=number(element.get("y")))


@dataclass(frozen=True, kw_only=True)
class Site(Extension):
    """On a node: the word for the site at which Jacks shall place it."""

    id: str

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <site>."""
        return cls(source=source_of(element), id=element.get("id") or "")


@dataclass(frozen=True, kw_only=True)
class SshKeys(Extension):
    """At the top: SSH keys of a person who shall be able to log in. `user`: URN, or None."""

    user: str | None
    keys: tuple[str, ...]

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From <user-ssh-keys>."""
        keys = ((key.text or "").strip() for key in element.iterchildren(f"{{{JFED_SSH_KEYS}}}sshkey"))
        return cls(source=source_of(element), user=element.get("user"), keys=tuple(keys))


@dataclass(frozen=True, kw_only=True)
class ExperimentCommands(Extension):
    """At the top: what jFed itself runs on the nodes once they are up; nothing for an aggregate to do."""

    @classmethod
    def read(cls, element: etree._Element) -> Self:
        """From any element of jFed's command namespace."""
        return cls(source=source_of(element))


READERS = {
    f"{{{CLIENT}}}client_info": ClientInfo.read,
    f"{{{JFED}}}location": Drawn.read,
    f"{{{JACKS}}}site": Site.read,
    f"{{{JFED_SSH_KEYS}}}user-ssh-keys": SshKeys.read,
    f"{{{JFED_COMMAND}}}experimentBarrierSegment": ExperimentCommands.read,
    f"{{{JFED_COMMAND}}}experimentCommands": ExperimentCommands.read,
}
