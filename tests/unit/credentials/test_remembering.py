"""What a verifier remembers, how long, and how much of it: the same object given back shows that it was remembered."""

import hashlib
from datetime import timedelta

import pytest
from conftest import NOW, Federation

from credentials import CredentialRefused, Verifier
from credentials.keys import new_ec_key

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def fed():
    return Federation("plc", keys=new_ec_key)


@pytest.fixture(scope="module")
def documents(fed):
    """Four credentials of the same length."""
    wanted = fed.credential()
    found = [wanted]
    while len(found) < 4:
        another = fed.credential()
        if len(another) == len(wanted):
            found.append(another)
    return found


def verify(fed, verifier, document, now=NOW):
    return verifier.verify(document, caller=fed.alice.gid, target=None, operation="createsliver", now=now)


def is_remembered(fed, verifier, document, was):
    return verify(fed, verifier, document) is was


def test_the_second_time_gives_the_same_authorization(fed, documents):
    verifier = fed.verifier()
    first = verify(fed, verifier, documents[0])
    assert is_remembered(fed, verifier, documents[0], first)
    assert not is_remembered(fed, verifier, documents[1], first)
    assert first.digest == hashlib.sha256(documents[0].encode()).hexdigest()
    assert verify(fed, verifier, documents[0].encode()).digest == first.digest


def test_what_is_used_least_goes_when_there_is_no_room(fed, documents):
    a, b, c, d = documents
    verifier = Verifier(fed.trust(), remember=2 * len(a))
    first = {document: verify(fed, verifier, document) for document in (a, b)}
    assert is_remembered(fed, verifier, a, first[a])  # and is used later than b
    assert is_remembered(fed, verifier, b, first[b])
    assert is_remembered(fed, verifier, a, first[a])
    first[c] = verify(fed, verifier, c)  # no room for b
    assert is_remembered(fed, verifier, a, first[a])
    assert is_remembered(fed, verifier, c, first[c])
    first[d] = verify(fed, verifier, d)  # nor for a
    assert is_remembered(fed, verifier, c, first[c])
    assert is_remembered(fed, verifier, d, first[d])
    assert not is_remembered(fed, verifier, a, first[a])


def test_one_that_is_larger_than_the_room_is_not_remembered(fed, documents):
    verifier = Verifier(fed.trust(), remember=len(documents[0]) - 1)
    first = verify(fed, verifier, documents[0])
    assert not is_remembered(fed, verifier, documents[0], first)


def test_what_has_ended_is_forgotten_and_leaves_its_room(fed, documents):
    a, b, c, _ = documents
    short = fed.credential(ends_at=NOW + HOUR)
    while len(short) != len(a):
        short = fed.credential(ends_at=NOW + HOUR)
    verifier = Verifier(fed.trust(), remember=2 * len(a))
    verify(fed, verifier, short)
    for _ in range(2):
        with pytest.raises(CredentialRefused, match="expired"):
            verify(fed, verifier, short, NOW + HOUR)
    first = {document: verify(fed, verifier, document) for document in (b, c)}
    assert is_remembered(fed, verifier, b, first[b])
    assert is_remembered(fed, verifier, c, first[c])


def test_nothing_is_remembered_past_the_end_of_a_certificate(fed):
    """The owner's certificate ends before the credential does."""
    shortly = fed.person("shortly", lifetime=HOUR)
    document = fed.credential(owner=shortly)
    verifier = fed.verifier()

    def verify(now):
        return verifier.verify(document, caller=shortly.gid, target=None, operation="createsliver", now=now)

    assert verify(NOW) is verify(NOW + HOUR - timedelta(seconds=1))
    with pytest.raises(CredentialRefused) as caught:
        verify(NOW + HOUR)
    assert caught.value.check == "expiry"


def test_refusals_are_not_remembered(fed, documents):
    verifier = fed.verifier()
    with pytest.raises(CredentialRefused, match="presented it"):
        verifier.verify(documents[0], caller=fed.bob.gid, target=None, operation="createsliver", now=NOW)
    assert verify(fed, verifier, documents[0]).actor == fed.alice.urn
