"""Verifying a credential, beside the least that anybody would have to do for it, and beside the program `xmlsec1`.

The credential is the field's usual one: three chains of three certificates (root, authority, and whom it is about), RSA
keys of 2048 bits, signed by the authority.
"""

import subprocess
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from bench.row import Row, rates
from credentials import GID, URN, Issuer, Root, Trust, Verifier, certificate, self_signed_root, signature
from credentials import trust as trusting
from credentials.credential import parse

_DSIG = "{http://www.w3.org/2000/09/xmldsig#}"


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class _Case:
    """A federation with one credential in it."""

    def __init__(self, now: datetime) -> None:
        year = timedelta(days=365)
        root_key, authority_key, user_key = _key(), _key(), _key()
        made = self_signed_root(URN("plc", "authority", "sa"), root_key, lifetime=year, now=now)
        self.root = GID.parse(made.pem)
        top = Issuer(self.root, root_key)
        authority = Issuer(
            top.issue_gid(
                URN("plc:lab", "authority", "sa"), authority_key.public_key(), lifetime=year, now=now, is_authority=True
            ),
            authority_key,
        )
        self.alice = authority.issue_gid(
            URN("plc:lab", "user", "alice"), user_key.public_key(), lifetime=year, now=now, email="alice@example.org"
        )
        self.slice = URN("plc:lab", "slice", "s1")
        target = authority.issue_gid(self.slice, _key().public_key(), lifetime=year, now=now)
        self.document = authority.issue_credential(
            owner=self.alice,
            target=target,
            privileges=dict.fromkeys(("refresh", "embed", "bind", "control", "info"), True),
            expires_at=now + timedelta(days=1),
        ).decode()
        self.signer_key = authority_key.public_key()


def measure() -> list[Row]:
    """The rows of this section."""
    now = datetime.now(UTC)
    case = _Case(now)
    trust = Trust([Root(case.root, names=("plc",))])
    remembering = Verifier(trust)
    octets = case.document.encode()
    message = b"x" * 1000
    root = etree.fromstring(octets)
    info = root.find(f".//{_DSIG}SignedInfo")
    credential = root.find("credential")
    assert info is not None
    assert credential is not None
    wrong = b"\0" * 256

    def floor() -> None:
        etree.fromstring(octets)
        etree.tostring(credential, method="c14n")
        etree.tostring(info, method="c14n")
        with suppress(InvalidSignature):  # a bad one costs what a good one does
            case.signer_key.verify(wrong, message, padding.PKCS1v15(), hashes.SHA256())

    def anew() -> None:
        certificate.forget()
        trusting.forget()
        verify(Verifier(trust))

    def verify(verifier: Verifier) -> None:
        verifier.verify(case.document, caller=case.alice, target=case.slice, operation="createsliver", now=now)

    def signed() -> None:
        document = parse(octets)
        credential, signatures = document.find("credential"), document.find("signatures")
        assert credential is not None
        assert signatures is not None
        signature.check(signatures[0], credential)

    def copied() -> str:
        """Another text each time, as each call brings one: its hash is part of the cost, making it is not."""
        return f"{case.document} "[:-1]

    def remembered() -> None:
        remembering.verify(copied(), caller=case.alice, target=case.slice, operation="createsliver", now=now)

    floor_rate, signed_rate, full, again, with_copy, copying = rates(
        floor, signed, anew, lambda: verify(Verifier(trust)), remembered, copied
    )
    remembered_rate = 1 / (1 / with_copy - 1 / copying)
    words = "the least: parse, two canonical forms, one RSA check"
    process = _processes(case)
    return [
        Row("credential: signature checked", signed_rate, words, floor_rate, "per second", aim=1 / 1.25),
        Row("credential: verified, nothing remembered", full, words, floor_rate, "per second", aim=1 / 4),
        Row("credential: verified, certificates remembered", again, words, floor_rate, "per second"),
        Row("credential: verified, remembered", remembered_rate, words, floor_rate, "per second", aim=20),
        Row("credential: verified, nothing remembered", full, "one xmlsec1 process", process, "per second", aim=40),
    ]


def _processes(case: _Case) -> float:
    with tempfile.TemporaryDirectory() as folder:
        root, document = Path(folder, "root.pem"), Path(folder, "credential.xml")
        root.write_text(case.root.pem)
        document.write_text(case.document)
        command = ["xmlsec1", "--verify", "--node-id", "Sig_ref0", "--trusted-pem", root, document]
        (rate,) = rates(lambda: subprocess.run(command, capture_output=True, check=True), rounds=10)
    return rate
