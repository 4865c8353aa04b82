"""The saved corpus: documents of every kind the two libraries read, whole and damaged.

What comes out is a value or an error of the library. A document that once broke something is put there and stays.
"""

import contextlib
from pathlib import Path

import pytest
from conftest import NOW, Federation
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials import GID, URN, CredentialError, Verifier
from credentials.explain import report
from credentials.keys import new_ec_key
from rspec import RSpecError, check, convert, read, read_request, write
from rspec.drawing import as_svg, as_text

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
FED = Federation("plc", keys=new_ec_key)
VERIFIER = Verifier(FED.trust())


def swallow(document):
    """Everything that is ever done with what strangers send."""
    done = report([("file", document)], trust=FED.trust(), now=NOW)
    assert done.text.isascii()
    for caller in (FED.alice.gid, FED.bob.gid):
        with contextlib.suppress(CredentialError):
            VERIFIER.verify(document, caller=caller, target=None, operation="createsliver", now=NOW)
            pytest.fail("nobody here signed anything")
        with contextlib.suppress(CredentialError):
            VERIFIER.verify_speaks_for(document, tool=caller, user=None, now=NOW)
            pytest.fail("likewise")
    with contextlib.suppress(CredentialError):
        GID.parse(document)
    with contextlib.suppress(CredentialError):
        URN.parse(document.decode("utf-8", "replace"))
    report_on_it = check(document)
    with contextlib.suppress(RSpecError):
        request = read_request(document)
        assert report_on_it.is_good
        assert read_request(write(request)) == request
    with contextlib.suppress(RSpecError):
        value = read(document)
        as_svg(value)
        as_text(value)
        convert(document)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_documents_of_the_corpus(path):
    swallow(path.read_bytes())


CHANGE = st.tuples(st.floats(0, 1), st.sampled_from(["flip", "cut", "double", "put"]), st.binary(max_size=12))


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(CORPUS), st.lists(CHANGE, max_size=4))
def test_damaged_documents_of_the_corpus(path, changes):
    document = path.read_bytes()
    for where, what, noise in changes:
        place = int(where * len(document))
        match what:
            case "flip" if document[place : place + 1]:
                document = document[:place] + bytes([document[place] ^ 1]) + document[place + 1 :]
            case "cut":
                document = document[:place] + document[place + 1 + len(noise) :]
            case "double":
                document = document[:place] + document[place : place + 60] + document[place:]
            case _:
                document = document[:place] + noise + document[place:]
    swallow(document)
