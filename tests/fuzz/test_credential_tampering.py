"""Tampered credentials and certificates: refused with an error of ours, or meaning exactly what they meant before."""

import copy
from datetime import timedelta

import pytest
from conftest import NOW, Federation
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from credentials import GID, BadGID, CredentialRefused, GIDRefused
from credentials.credential import unverified_target
from credentials.keys import new_ec_key

FED = Federation("plc", keys=new_ec_key)
PLAIN = FED.credential(privileges={"info": False}).encode()
DELEGATED = FED.alice.issuer.delegate(
    FED.credential(privileges={"embed": True, "info": True}),
    to=FED.bob.gid,
    privileges={"info": False},
    expires_at=NOW + timedelta(hours=1),
)
CALLERS = {PLAIN: FED.alice.gid, DELEGATED: FED.bob.gid}
documents = st.sampled_from([PLAIN, DELEGATED])
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def meaning(document, caller):
    """What the credential allows `caller`, or None. Any error but a refusal is a failure of the test."""
    refusal = None
    try:
        auth = FED.verifier().verify(document, caller=caller, target=None, operation="listnodes", now=NOW)
    except CredentialRefused as e:
        refusal = e
    if refusal is not None:
        assert str(refusal).isascii()
        assert refusal.check.isalpha()
        return None
    return auth.actor, auth.target, auth.privileges, auth.expires_at


GENUINE = {document: meaning(document, caller) for document, caller in CALLERS.items()}


def test_the_untouched_credentials_are_good():
    assert None not in GENUINE.values()


def changed_nothing(original, document):
    """The document is refused to everybody, or says what the original says, to its owner."""
    for caller in (FED.alice.gid, FED.bob.gid):
        found = meaning(document, caller)
        if found is not None:
            assert found == GENUINE[original]
            assert caller.same_key(CALLERS[original])
    return True


@pytest.mark.parametrize("bit", [0, 2, 5])
def test_no_flipped_bit_changes_what_a_credential_says(bit):
    for place in range(len(PLAIN)):
        flipped = bytearray(PLAIN)
        flipped[place] ^= 1 << bit
        found = meaning(bytes(flipped), FED.alice.gid)
        assert found in (None, GENUINE[PLAIN]), f"byte {place}"


@many
@given(documents, st.data())
def test_no_piece_cut_moved_or_doubled_changes_what_a_credential_says(original, data):
    ends = st.integers(0, len(original))
    first, last = sorted((data.draw(ends), data.draw(ends)))
    piece = data.draw(
        st.sampled_from([b"", original[first:last], original[first:last] * 2, b"\0", b"<!---->", b"&#65;"])
    )
    place = data.draw(ends)
    rest = original[:first] + original[last:]
    assert changed_nothing(original, rest[:place] + piece + rest[place:])


@many
@given(documents, st.data())
def test_no_element_moved_copied_or_renamed_changes_what_a_credential_says(original, data):
    """Signature wrapping in general: any element may go anywhere, twice over, with any other's xml:id."""
    root = etree.fromstring(original)
    for _ in range(data.draw(st.integers(1, 3))):
        elements = list(root.iter())
        index = st.integers(0, len(elements) - 1)
        source, target = elements[data.draw(index)], elements[data.draw(index)]
        what = data.draw(st.sampled_from(["copy", "move", "wrap", "text", "rename", "drop", "id"]))
        if what == "copy" or source is root:
            target.insert(data.draw(st.integers(0, len(target))), copy.deepcopy(source))
        elif what == "move" and target not in source.iter():
            target.insert(data.draw(st.integers(0, len(target))), source)
        elif what == "wrap":
            wrapper = etree.Element(data.draw(st.sampled_from(["parent", "credential", "extensions", "signatures"])))
            source.getparent().replace(source, wrapper)
            wrapper.append(source)
        elif what == "text":
            source.text = data.draw(
                st.sampled_from(["", "*", "authority", "true", "2036-01-01T00:00:00Z", target.text or ""])
            )
        elif what == "rename":
            source.tag = target.tag
        elif what == "drop":
            source.getparent().remove(source)
        else:
            source.set(
                "{http://www.w3.org/XML/1998/namespace}id", data.draw(st.sampled_from(["ref0", "ref1", "Sig_ref0"]))
            )
    assert changed_nothing(original, etree.tostring(root))


@many
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400)))
def test_noise_is_refused_as_noise(noise):
    assert meaning(noise, FED.alice.gid) is None
    with pytest.raises(CredentialRefused):
        unverified_target(noise)
    with pytest.raises(BadGID):
        GID.parse(noise)


# Certificates


def looked_at(der):
    """Everything one may ask of a certificate. None when it is refused; any other error fails the test."""
    try:
        gid = GID.parse(der)
    except BadGID:
        return None
    said = (str(gid), gid.urn, gid.uuid, gid.email, gid.is_authority, gid.fingerprint, gid.same_key(FED.alice.gid))
    assert gid.not_before.tzinfo is not None
    assert gid.not_after.tzinfo is not None
    assert GID.parse(gid.pem).fingerprint == gid.fingerprint
    assert said[0].isascii()
    refusal = None
    try:
        FED.trust().check_gid(gid, now=NOW)
    except GIDRefused as e:
        refusal = e
    assert refusal is None or str(refusal).isascii()
    return gid if refusal is None else None


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_of_a_certificate_is_trusted(bit):
    der = FED.alice.gid.leaf.public_bytes(Encoding.DER)
    assert looked_at(der) is not None
    for place in range(len(der)):
        flipped = bytearray(der)
        flipped[place] ^= 1 << bit
        gid = looked_at(bytes(flipped))
        assert gid is None or gid.leaf.tbs_certificate_bytes == FED.alice.gid.leaf.tbs_certificate_bytes, (
            f"byte {place}"
        )


@many
@given(st.data())
def test_a_certificate_with_parts_replaced_is_read_or_refused_but_not_trusted(data):
    der = FED.alice.gid.leaf.public_bytes(Encoding.DER)
    place = data.draw(st.integers(0, len(der) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    changed = der[:place] + noise + der[place + len(noise) :]
    gid = looked_at(changed)
    assert gid is None or gid.leaf.tbs_certificate_bytes == FED.alice.gid.leaf.tbs_certificate_bytes
