"""Say in plain words what a certificate or credential says, and which check fails first.

For people who look at a file. The verdicts come from the code that lets people in (`Trust`, `examine`), so they can't
differ; what stands above a verdict is what the document claims, which is worth what the verdict says.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lxml import etree

from credentials import abac, credential
from credentials.certificate import Certificate
from credentials.crl import CRL
from credentials.errors import BadGID, CredentialError, CredentialRefused, GIDRefused
from credentials.gid import GID
from credentials.signature import DSIG
from credentials.trust import Trust
from credentials.verify import examine

LARGEST = 4 * 1024 * 1024
"""Bytes of a file."""

_MOST_PARTS = 50
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]+)-----END \1-----")
_LONGEST = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One thing found in a file.

    kind:     "certificate", "credential", "speaks-for credential", "revocation list", "private key", ...
    facts:    (label, value) in the order in which one asks
    check:    the short name of the check that failed; None when none did
    verdict:  a sentence
    """

    kind: str
    facts: tuple[tuple[str, str], ...]
    check: str | None
    verdict: str

    @property
    def is_good(self) -> bool:
        """Whether no check failed."""
        return self.check is None

    def as_struct(self) -> dict[str, object]:
        """For programs."""
        return {
            "kind": self.kind,
            "facts": self.facts,
            "ok": self.is_good,
            "check": self.check,
            "verdict": self.verdict,
        }

    def __str__(self) -> str:
        verdict = self.verdict if self.check is None else f"{self.verdict} (check: {self.check})"
        lines = [*self.facts, ("good" if self.is_good else "REFUSED", verdict)]
        width = max(len(label) for label, _ in lines)
        return "\n".join([self.kind, *(f"  {label:<{width}}  {value}" for label, value in lines)])


def explain(document: bytes, *, trust: Trust | None, now: datetime) -> tuple[Explained, ...]:
    """Everything in a file: certificates in PEM or DER, credentials, and bundles of these; private keys aren't shown.

    trust: whom to believe; None to look at signatures and shape alone
    now:   aware UTC
    Raises CredentialError: nothing that is known here is in it.
    """
    if len(document) > LARGEST:
        raise CredentialError(f"the file has {len(document)} bytes; at most {LARGEST} are looked at")
    found = tuple(_explained(document, trust, now))[:_MOST_PARTS]
    if not found:
        raise CredentialError("neither a certificate nor a credential nor a bundle of these")
    return found


def _explained(document: bytes, trust: Trust | None, now: datetime) -> Iterator[Explained]:
    text = document.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:1] in (b"{", b"["):
        for value in _wrapped(text):
            yield from _explained(value, trust, now)
    elif text[:1] == b"<":
        yield _credential(text, trust, now)
    elif b"-----BEGIN" in text:
        yield from _pem(text, trust, now)
    elif text:
        try:
            # DER may end in what looks like white space.
            yield _certificate(GID.parse(document if document[:1] == b"\x30" else text), trust, now)
        except BadGID:
            return


def _wrapped(text: bytes) -> Iterator[bytes]:
    """The credentials in JSON, as XML-RPC would carry them: {"geni_value": ...}, or a list of those or of texts."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    for one in (value if isinstance(value, list) else [value])[:_MOST_PARTS]:
        inside = one.get("geni_value") if isinstance(one, dict) else one
        if isinstance(inside, str) and inside.lstrip()[:1] in ("<", "-"):
            yield inside.encode("utf-8", "surrogatepass")


def _pem(text: bytes, trust: Trust | None, now: datetime) -> Iterator[Explained]:
    """Certificates that follow one another are a chain, as in every PEM file of the field."""
    certificates: list[Certificate] = []
    for kind, body in _PEM.findall(text)[:_MOST_PARTS]:
        if kind == b"CERTIFICATE":
            try:
                certificates.append(Certificate.from_base64(body.strip()))
            except BadGID as e:
                yield Explained(kind="certificate", facts=(), check="parse", verdict=str(e))
        elif kind == b"X509 CRL":
            yield _revocations(b"-----BEGIN X509 CRL-----" + body + b"-----END X509 CRL-----", now)
        elif b"PRIVATE KEY" in kind:
            yield Explained(kind="private key", facts=(), check=None, verdict="not shown; nobody else should have it")
        else:
            yield Explained(kind=kind.decode().lower(), facts=(), check=None, verdict="not looked at")
    if certificates:
        yield _certificate(GID(certificates), trust, now)


# Certificates


def _certificate(gid: GID, trust: Trust | None, now: datetime) -> Explained:
    check, verdict = _verdict_on(gid, trust, now)
    return Explained(kind="certificate", facts=tuple(_facts(gid, now)), check=check, verdict=verdict)


def _facts(gid: GID, now: datetime) -> Iterator[tuple[str, str]]:
    yield "for", _plain(gid.urn) if gid.urn else f"nobody by URN; subject {gid.subject_name}"
    if gid.email:
        yield "mail", _plain(gid.email)
    if gid.uuid:
        yield "uuid", str(gid.uuid)
    yield "key", f"{gid.key_kind}, {gid.key_bits} bits" if gid.key_kind else "of a kind that is not used here"
    if gid.not_before > now:
        yield "from", _when(gid.not_before, now)
    yield "until", _when(gid.not_after, now)
    if gid.is_authority:
        below = "" if gid.path_length is None else f", with {gid.path_length} authorities below it at most"
        yield "may", f"sign other certificates{below}"
    yield "signed by", f"{gid.issuer_name}{_algorithm(gid)}"
    yield "serial", _serial(gid)
    yield "sha-256", gid.fingerprint
    for place, one in enumerate(gid.certificates[1:], start=1):
        above = GID([one])
        yield "chain" if place == 1 else "", f"{_plain(above)}, until {_when(above.not_after, now)}"


def _verdict_on(gid: GID, trust: Trust | None, now: datetime) -> tuple[str | None, str]:
    if trust is None:
        return None, "it can be read; whether anybody trusts it was not checked, for want of roots"
    try:
        root = trust.check_gid(gid, now=now)
    except GIDRefused as e:
        return e.check, _plain(e)
    return None, f"it leads to the trusted root {_plain(root.gid)}"


def _algorithm(gid: GID) -> str:
    used = gid.leaf.signature_hash_algorithm
    name = "an unknown digest" if used is None else used.name.upper()
    return f", with {name}{' (outdated)' if name in ('SHA1', 'MD5') else ''}"


def _serial(gid: GID) -> str:
    number = gid.leaf.serial_number
    return f"{number}" if number.bit_length() <= 64 else f"{number:x} (hex)"


def _revocations(document: bytes, now: datetime) -> Explained:
    try:
        crl = CRL.parse(document)
    except CredentialError as e:
        return Explained(kind="revocation list", facts=(), check="parse", verdict=_plain(e))
    newer = crl.next_update
    facts = [("of", crl.issuer_name), ("revokes", f"{len(crl)} certificates")]
    if newer is not None:
        facts.append(("newer one", _when(newer, now)))
    verdict = "what it revokes counts once its authority is known to have signed it"
    return Explained(kind="revocation list", facts=tuple(facts), check=None, verdict=verdict)


# Credentials


def _credential(document: bytes, trust: Trust | None, now: datetime) -> Explained:
    try:
        root = credential.parse(document)
    except CredentialRefused as e:
        return Explained(kind="credential", facts=(), check=e.check, verdict=_plain(e))
    outer = root.find("credential")
    if outer is None:
        said = f"<{_plain(root.tag)}> holds no credential"
        return Explained(kind="XML document", facts=(), check="parse", verdict=said)
    if _text(outer, "type") == "abac":
        return _abac(document, outer, trust, now)
    facts = tuple(_claims(root, outer, now))
    try:
        if trust is None:
            credential.read(document)
            verdict = "its signatures are good; whether the signers may be believed was not checked, for want of roots"
        else:
            examine(document, trust, now=now)
            verdict = "genuine; it serves who holds the owner's key"
    except CredentialError as e:
        check = e.check if isinstance(e, CredentialRefused) else "parse"
        return Explained(kind="credential", facts=facts, check=check, verdict=_plain(e))
    return Explained(kind="credential", facts=facts, check=None, verdict=verdict)


def _claims(root: etree._Element, outer: etree._Element, now: datetime) -> Iterator[tuple[str, str]]:
    yield "given to", _named(outer, "owner")
    yield "about", _named(outer, "target")
    yield "allows", _privileges(outer)
    yield "until", _expiry(outer, now)
    inner = outer.find("parent/credential")
    for _ in range(credential.DEEPEST_DELEGATION):
        if inner is None:
            break
        yield "passed on by", f"{_named(inner, 'owner')}, who had {_privileges(inner)} until {_expiry(inner, now)}"
        inner = inner.find("parent/credential")
    yield from _signers(root)
    if serial := _text(outer, "serial"):
        yield "serial", _plain(serial)


def _named(element: etree._Element, what: str) -> str:
    """Whom a certificate in the credential names, or else the text beside it."""
    try:
        gid = GID.parse(_text(element, f"{what}_gid"))
    except BadGID:
        return _plain(_text(element, f"{what}_urn")) or "nobody"
    return _plain(gid)


def _privileges(element: etree._Element) -> str:
    held = [
        (_plain(_text(one, "name")), _text(one, "can_delegate").lower() in ("true", "1"))
        for one in element.iterfind("privileges/privilege")
    ]
    passable = [name for name, may_delegate in held if may_delegate]
    which = "all" if len(passable) == len(held) > 1 else ", ".join(passable)
    names = ", ".join(name for name, _ in held) or "nothing"
    return f"{names} (may be passed on: {which})" if passable else names


def _expiry(element: etree._Element, now: datetime) -> str:
    try:
        return _when(credential.moment(_text(element, "expires")), now)
    except CredentialRefused:
        return f"{_plain(_text(element, 'expires')) or 'no time that is said'}, which is no time"


def _signers(root: etree._Element) -> Iterator[tuple[str, str]]:
    for signature in root.iterfind(f"signatures/{{{DSIG}}}Signature"):
        method = signature.find(f"{{{DSIG}}}SignedInfo/{{{DSIG}}}SignatureMethod")
        name = "no algorithm" if method is None else (method.get("Algorithm") or "").rpartition("#")[2]
        first = signature.findtext(f"{{{DSIG}}}KeyInfo/{{{DSIG}}}X509Data/{{{DSIG}}}X509Certificate") or ""
        try:
            by = _plain(GID.parse(first.strip()))
        except BadGID:
            by = "nobody who says who they are"
        yield "signed by", f"{by}, with {_plain(name).upper()}{' (outdated)' if name.endswith('sha1') else ''}"


def _abac(document: bytes, outer: etree._Element, trust: Trust | None, now: datetime) -> Explained:
    facts: list[tuple[str, str]] = []
    kind, check, verdict = (
        "ABAC credential",
        None,
        "its signature is good; the signer was not checked, for want of roots",
    )
    try:
        said = abac.read(document)
        head, *tails = said.rule.head, *said.rule.tails
        if head.role == f"speaks_for_{head.keyid}":
            kind = "speaks-for credential"
            facts += [("says", f"that {_principal(tails[0])} may act for {_principal(head)}")]
        facts += [
            ("rule", _plain(said.rule)),
            ("until", _when(said.expires_at, now)),
            ("signed by", _plain(said.signer)),
        ]
        if trust is not None:
            abac.examine(document, trust, now=now)
            verdict = "genuine; it was said by whose role it gives"
    except CredentialRefused as e:
        check, verdict = e.check, _plain(e)
        facts = facts or [("until", _expiry(outer, now))]
    return Explained(kind=kind, facts=tuple(facts), check=check, verdict=verdict)


def _principal(term: abac.Term) -> str:
    return f"{_plain(term.mnemonic)} (key {term.keyid[:12]}...)" if term.mnemonic else f"key {term.keyid}"


# Words


def _when(at: datetime, now: datetime) -> str:
    """A time, and how far it is."""
    away = at - now
    words = f"in {_span(away)}" if away > timedelta(0) else f"{_span(-away)} ago"
    return f"{at:%Y-%m-%dT%H:%M:%SZ} ({words})"


def _span(span: timedelta) -> str:
    for unit, size in (("year", 31_557_600), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if (count := int(span.total_seconds() // size)) >= 1:
            return f"{count} {unit}{'s' * (count != 1)}"
    return "a moment"


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _plain(value: object) -> str:
    """Words of a stranger, without what could steer a terminal, and of bearable length."""
    shown = ascii(str(value))[1:-1]
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."


@dataclass(frozen=True, slots=True)
class Report:
    """Several files explained. `status`: 0 when all is good, 1 when something is refused, 2 when a file is neither."""

    text: str
    struct: list[dict[str, object]]
    status: int


def report(files: Iterable[tuple[str, bytes]], *, trust: Trust | None, now: datetime) -> Report:
    """What commands print about files, given with their names."""
    texts, struct, status = [], [], 0
    for name, content in files:
        try:
            found = explain(content, trust=trust, now=now)
        except CredentialError as e:
            texts.append(f"{name}: {e}")
            struct.append({"file": name, "ok": False, "problem": str(e), "found": []})
            status = 2
            continue
        texts.extend(f"{name}: {one}" for one in found)
        is_good = all(one.is_good for one in found)
        struct.append({"file": name, "ok": is_good, "problem": None, "found": [one.as_struct() for one in found]})
        status = max(status, 0 if is_good else 1)
    return Report("\n\n".join(texts), struct, status)
