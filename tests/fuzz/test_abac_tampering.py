"""Tampered speaks-for credentials: refused with an error of ours, or meaning exactly what they meant before."""

from datetime import timedelta

from conftest import NOW, Federation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credentials import CredentialRefused, is_abac
from credentials.keys import new_ec_key

FED = Federation("plc", keys=new_ec_key)
WORD = FED.alice.issuer.issue_speaks_for(FED.bob.gid, expires_at=NOW + timedelta(hours=1))
many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def meaning(document):
    """What the credential lets bob do, or None. Any error but a refusal is a failure of the test."""
    is_abac(document)
    refusal = None
    try:
        said = FED.verifier().verify_speaks_for(document, tool=FED.bob.gid, user=None, now=NOW)
    except CredentialRefused as e:
        refusal = e
    if refusal is not None:
        assert str(refusal).isascii()
        return None
    return said.user_urn, said.tool_urn, said.expires_at


GENUINE = (FED.alice.urn, FED.bob.urn, NOW + timedelta(hours=1))


def test_the_untouched_credential_is_good():
    assert meaning(WORD) == GENUINE


def test_no_flipped_bit_changes_what_a_user_said():
    """Every 5th byte of the credential, each bit pattern once."""
    for place in range(0, len(WORD), 5):
        flipped = bytearray(WORD)
        flipped[place] ^= 1 << (place % 8)
        assert meaning(bytes(flipped)) in (None, GENUINE), place


@many
@given(st.integers(0, len(WORD)), st.integers(0, len(WORD)), st.integers(0, len(WORD)))
def test_no_part_moved_elsewhere_changes_what_a_user_said(start, end, place):
    part = WORD[start:end]
    assert meaning(WORD[:place] + part + WORD[place:]) in (None, GENUINE)


@many
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_comes_is_refused(document):
    assert meaning(document) is None
