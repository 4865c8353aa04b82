"""Credentials and certificates made to cost: refused before they have cost anything.

Anybody with a key can send one. The limit of time is a hundred times what the refusals take together, and a hundredth
of what these documents took when nothing limited them.
"""

import pytest
from conftest import NOW, Federation
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from credentials import GID, BadGID, CredentialRefused
from credentials.credential import MOST_ATTRIBUTES, MOST_ELEMENTS, MOST_NAMESPACES
from credentials.keys import new_ec_key

pytestmark = pytest.mark.timeout(10)

FED = Federation("plc", keys=new_ec_key)
PLAIN = FED.credential(privileges={"info": False})


def many(text, number):
    return "".join(text.format(n) for n in range(number))


def inside(tag, text):
    return PLAIN.replace(f"<{tag} ", f"<{tag} {text}", 1)


def before_serial(text):
    return PLAIN.replace("<serial>", f"{text}<serial>", 1)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(inside("credential", many('a{}="" ', 60_000)), id="attributes of the statement"),
        pytest.param(inside("CanonicalizationMethod", many('a{}="" ', 60_000)), id="attributes of the signed info"),
        pytest.param(inside("signed-credential", many('xml:a{}="" ', 60_000)), id="attributes to inherit"),
        pytest.param(inside("signed-credential", many('xmlns:a{0}="u:{0}" ', 40_000)), id="namespaces of the root"),
        pytest.param(
            inside("signed-credential", many('xmlns:a{0}="u:{0}" ', 10_000)).replace(
                "<serial>", many("<a{}:b/>", 10_000) + "<serial>"
            ),
            id="namespaces of the root in use",
        ),
        pytest.param(before_serial(many('<q xmlns="u:{}"/>', 40_000)), id="namespaces within"),
        pytest.param(
            before_serial(many('<q xmlns:a{0}="u:{0}">', 200) + "<a0:b/>" * 20_000 + "</q>" * 200),
            id="namespaces in one another",
        ),
        pytest.param(before_serial("<q/>" * 200_000), id="elements"),
        pytest.param(before_serial("<!---->" * 100_000), id="comments"),
        pytest.param(before_serial("<q>" * 100_000 + "</q>" * 100_000), id="elements in one another"),
        pytest.param(
            PLAIN.replace("</signatures>", '<Signature xmlns="urn:q"/>' * 30_000 + "</signatures>"), id="signatures"
        ),
        pytest.param(
            PLAIN.replace("<X509Certificate>", "<X509Certificate></X509Certificate>" * 400 + "<X509Certificate>"),
            id="certificates",
        ),
    ],
)
def test_a_document_of_excess_is_refused_at_once(document):
    assert document != PLAIN
    with pytest.raises(CredentialRefused) as caught:
        FED.verifier().verify(document, caller=FED.alice.gid, target=None, operation="listnodes", now=NOW)
    assert caught.value.check in ("parse", "signature")


@pytest.mark.parametrize(
    ("most", "document"),
    [
        (MOST_ATTRIBUTES, lambda number: inside("Transform", many('a{}="" ', number))),
        (MOST_NAMESPACES, lambda number: inside("signed-credential", many('xmlns:a{0}="u:{0}" ', number))),
        (MOST_ELEMENTS, lambda number: before_serial("<q/>" * number)),
    ],
)
def test_the_limits_are_for_the_excess_and_not_for_the_merely_odd(most, document):
    def check_that_failed(number):
        with pytest.raises(CredentialRefused) as caught:
            FED.verifier().verify(document(number), caller=FED.alice.gid, target=None, operation="listnodes", now=NOW)
        return caught.value.check

    assert check_that_failed(most // 2) == "signature"  # it was looked at, and found altered
    assert check_that_failed(most + 1) == "parse"


def test_a_giant_key_is_refused_before_it_is_used():
    """16384 bits: the numbers alone matter, so nobody has to find primes for them."""
    giant = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key()
    fitting = rsa.RSAPublicNumbers(65537, (1 << 8191) + 1).public_key()

    def certificate(key):
        name = x509.Name([])
        return (
            x509.CertificateBuilder(name, name, key, 1, FED.root.not_before, FED.root.not_after)
            .sign(FED.root_key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )

    assert not GID.parse(certificate(fitting)).is_authority
    with pytest.raises(BadGID, match="16384 bits"):
        GID.parse(certificate(giant))
