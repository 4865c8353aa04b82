"""Issue GIDs and credentials.

The forms are those that the tools of the field read: GIDs as https://groups.geni.net/geni/wiki/GeniApiCertificates
asks, credentials as https://groups.geni.net/geni/wiki/GeniApiCredentials and TIEDABACCredential there, signed with
RSA-SHA256.
"""

import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from lxml import etree

from credentials import signature, speaks_for
from credentials.abac import VERSION, Rule, key_id
from credentials.credential import parse
from credentials.errors import CredentialError
from credentials.gid import GID
from credentials.keys import PrivateKey, PublicKey
from credentials.signature import XML_ID
from credentials.urn import URN

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.geni.net/resources/credential/2/credential.xsd"
_POLICY = "http://www.planet-lab.org/resources/sfa/ext/policy/1"

_BACKDATED = timedelta(minutes=5)
"""New certificates begin a little in the past: clocks differ."""

_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True)
class Issuer:
    """An authority, or a user who delegates: a certificate chain and its key."""

    gid: GID
    key: PrivateKey

    def issue_gid(
        self,
        urn: URN,
        public_key: PublicKey,
        *,
        lifetime: timedelta,
        now: datetime,
        email: str | None = None,
        uuid: uuids.UUID | None = None,
        is_authority: bool = False,
        hosts: Iterable[str] = (),
    ) -> GID:
        """A GID for a name below this authority, with the chain up to the root.

        lifetime: never past this authority's own end
        hosts:    DNS names and addresses, for a server's certificate

        Raises CredentialError: no authority over the name, an authority whose certificate has expired, or a mail
        address or host that a certificate can't carry.
        """
        if self.gid.urn is None or self.gid.urn.type != "authority" or not self.gid.urn.covers(urn):
            raise CredentialError(f"{self.gid} is no authority over {urn}")
        if self.gid.not_after <= now:
            raise CredentialError(
                f"{self.gid} expired {self.gid.not_after:%Y-%m-%dT%H:%M:%SZ} and can sign nothing more"
            )
        certificate = _certificate(
            urn,
            public_key,
            issuer=self.gid.leaf,
            key=self.key,
            ends_at=min(now + lifetime, self.gid.not_after),
            now=now,
            email=email,
            uuid=uuid,
            is_authority=is_authority,
            hosts=hosts,
        )
        return GID((certificate, *self.gid.chain))

    def issue_crl(self, revoked: Mapping[int, datetime], *, number: int, lifetime: timedelta, now: datetime) -> bytes:
        """A list of the certificates that this authority has taken back (RFC 5280, section 5). PEM.

        revoked: serial numbers, with the moment each was taken back
        number:  higher than that of every list before it
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.gid.leaf.subject)
            .last_update(now - _BACKDATED)
            .next_update(now + lifetime)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        for serial, at in revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue_credential(
        self, *, owner: GID, target: GID, privileges: Mapping[str, bool], expires_at: datetime
    ) -> bytes:
        """A credential: `owner` has `privileges` (name -> may be delegated) on `target`. UTF-8 XML.

        expires_at: aware; written in whole seconds, so a fraction is lost
        Raises CredentialError: `owner` or `target` has no name. That the issuer has authority over the target is for
        verifiers to check.
        """
        root = _new_envelope()
        return self._signed(root, _statement(root, "ref0", owner, target, privileges, expires_at))

    def issue_abac(self, rule: Rule, *, expires_at: datetime) -> bytes:
        """An ABAC credential that says `rule`, whose head must be a role of this issuer's. UTF-8 XML.

        expires_at: aware; written in whole seconds, so a fraction is lost
        Raises CredentialError: the role is another's.
        """
        if rule.head.keyid != key_id(self.gid):
            raise CredentialError(f"{self.gid} can't give a role of another: {rule}")
        root = _new_envelope()
        return self._signed(root, _abac_statement(root, rule, expires_at))

    def issue_speaks_for(self, tool: GID, *, expires_at: datetime) -> bytes:
        """A credential by which this issuer, a user, lets a tool speak for them. UTF-8 XML.

        expires_at: aware; written in whole seconds, so a fraction is lost
        Raises CredentialError: the issuer is no user, or the tool's key can't be used.
        """
        if self.gid.urn is None or self.gid.urn.type != "user":
            raise CredentialError(f"tools speak for users, and {self.gid} is none")
        return self.issue_abac(speaks_for.rule(self.gid, tool), expires_at=expires_at)

    def _signed(self, root: etree._Element, element: etree._Element) -> bytes:
        signature.sign(etree.SubElement(root, "signatures"), element, self.key, self.gid)
        return _document(root)

    def delegate(
        self, document: bytes | str, *, to: GID, privileges: Mapping[str, bool], expires_at: datetime
    ) -> bytes:
        """Pass a credential of one's own on to another: a new one that carries the old one as its parent.

        Whether the old one allows it is not checked here; a verifier will. Raises CredentialError: the old one can't be
        read.
        """
        old = parse(document)
        old_element, old_signatures = old.find("credential"), old.find("signatures")
        if old_element is None or old_signatures is None:
            raise CredentialError("what is to be delegated is not a signed credential")
        # The old signature covers what the old element inherits from its root: the new root must give it the same.
        root = _envelope(old.nsmap)
        for name, value in old.attrib.items():
            root.set(name, value)
        target = GID.parse(old_element.findtext("target_gid") or "")
        taken = {node.get(XML_ID) for node in old.iter()}
        identifier = next(name for number in range(len(taken) + 1) if (name := f"ref{number}") not in taken)
        element = _statement(root, identifier, to, target, privileges, expires_at)
        etree.SubElement(element, "parent").append(old_element)
        root.append(old_signatures)
        signature.sign(old_signatures, element, self.key, self.gid)
        return _document(root)


def self_signed_root(urn: URN, key: PrivateKey, *, lifetime: timedelta, now: datetime) -> GID:
    """The GID of a top authority."""
    certificate = _certificate(
        urn,
        key.public_key(),
        issuer=None,
        key=key,
        ends_at=now + lifetime,
        now=now,
        email=None,
        uuid=None,
        is_authority=True,
        hosts=(),
    )
    return GID((certificate,))


def self_signed_user(common_name: str, key: PrivateKey, *, lifetime: timedelta, now: datetime) -> GID:
    """A certificate that proves a key and names nobody: what a user shows a registry to fetch their first GID."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_LONGEST_COMMON_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .sign(key, hashes.SHA256())
    )
    return GID((certificate,))


def _certificate(
    urn: URN,
    public_key: PublicKey,
    *,
    issuer: x509.Certificate | None,
    key: PrivateKey,
    ends_at: datetime,
    now: datetime,
    email: str | None,
    uuid: uuids.UUID | None,
    is_authority: bool,
    hosts: Iterable[str],
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, urn.hrn[:_LONGEST_COMMON_NAME])])
    signer_key = key.public_key() if issuer is None else issuer.public_key()
    usage = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends_at)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(_names(urn, uuid, email, hosts), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer_key),  # type: ignore[arg-type]  # our own issuers
            critical=False,
        )
        .add_extension(_key_usage(is_authority), critical=True)
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    return builder.sign(key, hashes.SHA256())


def _names(urn: URN, uuid: uuids.UUID | None, email: str | None, hosts: Iterable[str]) -> x509.SubjectAlternativeName:
    """URN, UUID, mail address, hosts, in the order that the field's tools write them."""
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(str(urn)),
        x509.UniformResourceIdentifier((uuid or uuids.uuid4()).urn),
    ]
    if email:
        names.append(_written_as(x509.RFC822Name, email))
    names.extend(_host(host) for host in hosts)
    return x509.SubjectAlternativeName(names)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return _written_as(x509.DNSName, host)


def _written_as(kind: Callable[[str], x509.GeneralName], text: str) -> x509.GeneralName:
    try:
        return kind(text)
    except ValueError as e:
        raise CredentialError(f"{text!a:.80} can't be written into a certificate: {e}") from e


def _key_usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not is_authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _envelope(nsmap: Mapping[str | None, str]) -> etree._Element:
    return etree.Element("signed-credential", nsmap=dict(nsmap))  # type: ignore[arg-type]  # the stubs want str keys


def _new_envelope() -> etree._Element:
    root = _envelope({"xsi": _XSI})
    root.set(f"{{{_XSI}}}noNamespaceSchemaLocation", _SCHEMA)
    root.set(f"{{{_XSI}}}schemaLocation", f"{_POLICY} {_POLICY}/policy.xsd")
    return root


def _statement(
    root: etree._Element,
    identifier: str,
    owner: GID,
    target: GID,
    privileges: Mapping[str, bool],
    expires_at: datetime,
) -> etree._Element:
    if owner.urn is None or target.urn is None:
        raise CredentialError(f"a credential names its owner and its target; one has no URN: {owner}, {target}")
    names = {
        "owner_gid": owner.pem,
        "owner_urn": str(owner.urn),
        "target_gid": target.pem,
        "target_urn": str(target.urn),
    }
    element = _credential(root, identifier, "privilege", names, expires_at)
    granted = etree.SubElement(element, "privileges")
    for privilege, may_delegate in privileges.items():
        one = etree.SubElement(granted, "privilege")
        etree.SubElement(one, "name").text = privilege
        etree.SubElement(one, "can_delegate").text = "true" if may_delegate else "false"
    return element


def _abac_statement(root: etree._Element, rule: Rule, expires_at: datetime) -> etree._Element:
    """As the GENI tools write it: the fields that an ABAC credential has no use for are there and empty."""
    names = dict.fromkeys(("owner_gid", "owner_urn", "target_gid", "target_urn"), "")
    element = _credential(root, "ref0", "abac", names, expires_at)
    rt0 = etree.SubElement(etree.SubElement(element, "abac"), "rt0")
    etree.SubElement(rt0, "version").text = VERSION
    for name, term in (("head", rule.head), *(("tail", tail) for tail in rule.tails)):
        side = etree.SubElement(rt0, name)
        principal = etree.SubElement(side, "ABACprincipal")
        etree.SubElement(principal, "keyid").text = term.keyid
        for parent, field, text in (
            (principal, "mnemonic", term.mnemonic),
            (side, "role", term.role),
            (side, "linking_role", term.linking_role),
        ):
            if text:
                etree.SubElement(parent, field).text = text
    return element


def _credential(
    root: etree._Element, identifier: str, kind: str, names: Mapping[str, str], expires_at: datetime
) -> etree._Element:
    """What credentials of all types begin with, in the order of the schema."""
    if expires_at.tzinfo is None:
        raise ValueError("expires_at must be an aware time")
    element = etree.SubElement(root, "credential")
    element.set(XML_ID, identifier)
    for name, text in (
        ("type", kind),
        ("serial", str(uuids.uuid4().int >> 64)),
        *names.items(),
        ("uuid", ""),
        ("expires", expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
    ):
        etree.SubElement(element, name).text = text or None
    return element


def _document(root: etree._Element) -> bytes:
    octets: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return octets
