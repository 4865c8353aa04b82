"""Whatever comes in is read or refused in the library's own words; no other exception ever comes out."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from rspec import RSpecError, read_advertisement, read_manifest, read_request
from sfa_am.wire.xmlrpc import Malformed, unmarshal
from sfi_tool.rspec_commands import EXAMPLE

CALL = "<methodCall><methodName>a</methodName><params><param><value>x</value></param></params></methodCall>"

many = settings(max_examples=300, deadline=None)


@st.composite
def damaged(draw, text: str):
    """A document with some bytes changed, cut out, doubled or swapped for markup."""
    octets = bytearray(text.encode())
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(octets) - 1)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert"])):
            case "flip" if octets:
                octets[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del octets[place : place + draw(st.integers(1, 40))]
            case "double":
                octets[place:place] = octets[place : place + draw(st.integers(1, 200))]
            case _:
                markup = [b"<", b">", b"&", b"&#0;", b"<!--", b"]]>", b'"', b"\xff", b"<?x ?>", b'xmlns:a="b"', b"<a/>"]
                octets[place:place] = draw(st.sampled_from(markup))
    return bytes(octets)


@many
@given(damaged(EXAMPLE))
def test_damaged_requests(document):
    for read in (read_request, read_manifest, read_advertisement):
        with contextlib.suppress(RSpecError):
            read(document)


@many
@given(st.binary(max_size=300) | damaged(CALL))
def test_damaged_calls(body):
    with contextlib.suppress(Malformed):
        name, _ = unmarshal(body)
        assert isinstance(name, str)
