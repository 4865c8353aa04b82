"""Reading and writing RSpecs, beside lxml's bare parse of the same bytes."""

from collections.abc import Iterator

from lxml import etree

from bench.row import Row, rates
from rspec import GENI3, read_request, write

NODES, LINKS = 1000, 500


def request() -> bytes:
    """A request for 1,000 nodes, each with a sliver type, an image and an interface, and 500 links."""
    return "".join(_request()).encode()


def _request() -> Iterator[str]:
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<rspec xmlns="{GENI3}" type="request">\n'
    for n in range(NODES):
        yield (
            f'<node client_id="n{n}" component_manager_id="urn:publicid:IDN+plc+authority+cm" exclusive="false">\n'
            '  <sliver_type name="container">\n    <disk_image name="debian-12"/>\n  </sliver_type>\n'
            f'  <interface client_id="n{n}:if0">\n'
            f'    <ip address="10.{n // 250}.{n % 250}.1" netmask="255.255.0.0" type="ipv4"/>\n'
            "  </interface>\n</node>\n"
        )
    for n in range(LINKS):
        yield (
            f'<link client_id="l{n}">\n  <interface_ref client_id="n{2 * n}:if0"/>\n'
            f'  <interface_ref client_id="n{2 * n + 1}:if0"/>\n  <link_type name="lan"/>\n</link>\n'
        )
    yield "</rspec>\n"


def measure() -> list[Row]:
    """The rows of this section."""
    octets = request()
    asked = read_request(octets)
    floor, reading, writing = rates(
        lambda: etree.fromstring(octets), lambda: read_request(octets), lambda: write(asked)
    )
    words, size = "bare lxml parse", f"{NODES:,} nodes, {LINKS} links"
    return [
        Row(f"request of {size}: parsed, validated, modelled", reading, words, floor, "per second", aim=1 / 5),
        Row(f"manifest of {size}: written", writing, words, floor, "per second", aim=1 / 1.6),
    ]
