"""Signed SFA credentials: bytes in, a chain of unverified statements with good signatures out.

Implements the reading side of https://groups.geni.net/geni/wiki/GeniApiCredentials. What is returned has been signed by
whom it says, and no more: whether the signers may be believed, and what the statements allow, is decided in `verify`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from lxml import etree

from credentials import signature
from credentials.errors import BadGID, BadName, CredentialRefused
from credentials.gid import GID
from credentials.privilege import Privilege
from credentials.signature import DSIG, XML_ID, Signed
from credentials.urn import URN

LARGEST = 1024 * 1024
"""Bytes. A credential delegated five times with chains of four certificates stays below 100 KiB."""

DEEPEST_DELEGATION = 10

MOST_ELEMENTS = 5000
MOST_ATTRIBUTES = 32
MOST_NAMESPACES = 64
"""Elements of a credential, attributes of one element, namespaces declared in all of it; the field needs 450, five and
ten. The time to canonicalise grows with the square of the latter and worse, and anybody can send us a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedStatement:
    """One credential element, read from the bytes that its signature covers.

    signer:  whose key made the signature; not yet believed
    is_sha1: whether the signature rests on SHA-1
    """

    owner: GID
    target: GID
    expires_at: datetime
    privileges: tuple[Privilege, ...]
    signer: GID
    is_sha1: bool
    serial: str


def read(document: bytes | str) -> tuple[UnverifiedStatement, ...]:
    """The statements of a signed credential: the one presented first, then those it was delegated from.

    Every one has a signature that covers it. Raises CredentialRefused ("parse", "signature", "algorithm").
    """
    return tuple(map(_statement, signed_elements(document)))


def signed_elements(document: bytes | str) -> list[Signed]:
    """What the signatures of a credential of any type cover: the one presented first, then those it was delegated from.

    Raises CredentialRefused ("parse", "signature", "algorithm").
    """
    root = parse(document)
    elements = _chain(root)
    signatures = root.find("signatures")
    if signatures is None:
        raise CredentialRefused("signature", "the credential is not signed")
    return [_signed(element, signatures) for element in elements]


def unverified_target(document: bytes | str) -> URN | None:
    """What a credential says it is about, unchecked: to choose among credentials, never to allow anything."""
    element = _chain(parse(document))[0]
    return _Fields(element).gid("target_gid").urn


def _parser() -> etree.XMLParser:
    """An XML parser that fetches nothing, expands nothing, and stays within bounds."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
    )


def parse(document: bytes | str) -> etree._Element:
    """The document as a tree of which nothing is known but that it is XML without a DTD, within bounds.

    Raises CredentialRefused.
    """
    octets = document.encode("utf-8", "surrogatepass") if isinstance(document, str) else document
    if len(octets) > LARGEST:
        raise CredentialRefused("parse", f"the credential has {len(octets)} bytes; at most {LARGEST} are read")
    if isinstance(document, str):
        # The text was decoded once already: what its declaration says of an encoding is no longer so.
        octets = re.sub(rb"^\s*<\?xml[^>]*\?>", b"", octets)
    try:
        root = etree.fromstring(octets.strip(), _parser())
    except (etree.XMLSyntaxError, ValueError) as e:
        raise CredentialRefused("parse", f"the credential is not well-formed XML: {ascii(str(e))[1:-1]:.200}") from e
    # Without a declaration there are no entities either but the five that every document has.
    if root.getroottree().docinfo.internalDTD is not None:
        raise CredentialRefused("parse", "document type declarations are not accepted in credentials")
    _check_size(root)
    return root


def _check_size(root: etree._Element) -> None:
    if cast(float, _NODES(root)) > MOST_ELEMENTS:
        raise CredentialRefused("parse", f"the credential has more than {MOST_ELEMENTS} elements")
    if _HAS_MANY_ATTRIBUTES(root):
        raise CredentialRefused("parse", f"an element of the credential has more than {MOST_ATTRIBUTES} attributes")
    namespaces = etree.iterwalk(root, events=("start-ns",))
    if any(number > MOST_NAMESPACES for number, _ in enumerate(namespaces, start=1)):
        raise CredentialRefused("parse", f"the credential declares more than {MOST_NAMESPACES} namespaces")


_NODES = etree.XPath("count(//node())")
_HAS_MANY_ATTRIBUTES = etree.XPath(f"boolean(//*[@*[{MOST_ATTRIBUTES + 1}]])")
_IDENTIFIERS = etree.XPath("//@xml:id", smart_strings=False)
_CREDENTIALS = etree.XPath("count(//credential)")


def _chain(root: etree._Element) -> list[etree._Element]:
    """The credential elements, outermost first, in a document that has nothing else. Raises CredentialRefused.

    A fixed shape is what keeps signature wrapping out: there is one place for a credential, one for its parent, one for
    signatures, and every identifier is there once.
    """
    if root.tag != "signed-credential":
        raise CredentialRefused("parse", f"<signed-credential> is expected, not <{_local(root)}>")
    children = [child.tag for child in root if isinstance(child.tag, str)]
    if sorted(children) not in (["credential"], ["credential", "signatures"]):
        raise CredentialRefused("parse", f"<signed-credential> holds {', '.join(map(_short, children)) or 'nothing'}")
    identifiers = cast(list[str], _IDENTIFIERS(root))
    if len(identifiers) != len(set(identifiers)):
        raise CredentialRefused("parse", "two elements of the credential have the same xml:id")
    elements: list[etree._Element] = []
    element = root.find("credential")
    while element is not None:
        elements.append(element)
        if len(elements) > DEEPEST_DELEGATION:
            raise CredentialRefused("delegation", f"delegated more than {DEEPEST_DELEGATION - 1} times")
        element = _parent(element)
    if _CREDENTIALS(root) != len(elements):
        raise CredentialRefused("parse", "there are credentials in places where none belongs")
    return elements


def _parent(element: etree._Element) -> etree._Element | None:
    parents = element.findall("parent")
    if not parents:
        return None
    if len(parents) > 1 or len(parents[0].findall("credential")) > 1:
        raise CredentialRefused("parse", "a credential has several parents")
    return parents[0].find("credential")


def _signed(element: etree._Element, signatures: etree._Element) -> Signed:
    identifier = element.get(XML_ID)
    if not identifier:
        raise CredentialRefused("parse", "a credential has no xml:id")
    mine = [one for one in signatures.iterchildren(f"{{{DSIG}}}Signature") if _refers_to(one) == f"#{identifier}"]
    if len(mine) != 1:
        raise CredentialRefused("signature", f"credential {identifier!a:.80} has {len(mine)} signatures, not one")
    return signature.check(mine[0], element)


def _statement(signed: Signed) -> UnverifiedStatement:
    # From here on only what was signed: the canonical bytes, read anew.
    statement = _Fields(etree.fromstring(signed.octets, _parser()))
    kind = statement.text("type")
    if kind != "privilege":
        raise CredentialRefused("type", f"a credential of type privilege is expected, not {kind!a:.40}")
    owner, target = statement.gid("owner_gid"), statement.gid("target_gid")
    _same_name(statement, "owner_urn", owner)
    _same_name(statement, "target_urn", target)
    return UnverifiedStatement(
        owner=owner,
        target=target,
        expires_at=moment(statement.text("expires")),
        privileges=tuple(_privilege(one) for one in statement.below("privileges", "privilege")),
        signer=signed.signer,
        is_sha1=signed.is_sha1,
        serial=statement.text("serial"),
    )


def _refers_to(one: etree._Element) -> str | None:
    """What the first reference of a signature leads to."""
    for info in one.iterchildren(f"{{{DSIG}}}SignedInfo"):
        for reference in info.iterchildren(f"{{{DSIG}}}Reference"):
            return reference.get("URI")
    return None


class _Fields:
    """The children of an element by their names; each that is asked for is there once at most."""

    def __init__(self, element: etree._Element) -> None:
        self._children: dict[object, list[etree._Element]] = {}
        for child in element:
            self._children.setdefault(child.tag, []).append(child)

    def text(self, name: str) -> str:
        """What a child says, or "". Raises CredentialRefused: there are several."""
        found = self._children.get(name, ())
        if len(found) > 1:
            raise CredentialRefused("parse", f"a credential has {len(found)} {name} elements")
        return (found[0].text or "").strip() if found else ""

    def gid(self, name: str) -> GID:
        """The certificate in a child. Raises CredentialRefused."""
        try:
            return GID.parse(self.text(name))
        except BadGID as e:
            raise CredentialRefused("parse", f"{name} in the credential: {e}") from e

    def below(self, name: str, child: str) -> Iterator[etree._Element]:
        """The children of that name of all children of this."""
        for one in self._children.get(name, ()):
            yield from one.iterchildren(child)


def _same_name(statement: _Fields, name: str, gid: GID) -> None:
    """The URN written beside a certificate is optional, and if there must be the certificate's."""
    written = statement.text(name)
    if not written or written == str(gid.urn):
        return
    try:
        agrees = URN.parse(written) == gid.urn
    except BadName as e:
        raise CredentialRefused("parse", f"{name} in the credential: {e}") from e
    if not agrees:
        raise CredentialRefused("parse", f"{name} is {written!a:.100} and the certificate beside it is for {gid}")


def _privilege(element: etree._Element) -> Privilege:
    said = [(child.tag, (child.text or "").strip().lower()) for child in element]
    named = dict(said)
    if len(named) < len(said):
        raise CredentialRefused("parse", "a privilege says something twice")
    return Privilege(named.get("name", ""), named.get("can_delegate", "") in ("true", "1"))


def moment(written: str) -> datetime:
    """An expiry time. Without a zone it is UTC: credentials of the field are written so."""
    try:
        at = datetime.fromisoformat(written)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as e:
        raise CredentialRefused("parse", f"expires {written!a:.40} in the credential is not a time") from e


def _local(element: etree._Element) -> str:
    return _short(element.tag)


def _short(tag: object) -> str:
    return ascii(str(tag))[1:-1][:60]
